// SPDX-License-Identifier: Apache-2.0
/*
 * The parts of a request target in origin form (RFC 9112 §3.2.1). A fragment does not belong there; it is cut off, so that no match is fooled by it.
 */

/** Index of the query's `?` or of the fragment's `#`, or the end. */
export function endOfPath(target: string): number {
  for (let i = 0; i < target.length; i++) {
    const unit = target.charCodeAt(i);
    if (unit === 0x3f || unit === 0x23) return i;
  }
  return target.length;
}

/** The text between `?` and a fragment; '' without one. `pathEnd` is `endOfPath(target)`. */
export function queryOf(target: string, pathEnd: number): string {
  if (target.charCodeAt(pathEnd) !== 0x3f) return '';
  const fragment = target.indexOf('#', pathEnd);
  return target.slice(pathEnd + 1, fragment < 0 ? target.length : fragment);
}
