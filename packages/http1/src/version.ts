// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP-version (RFC 9112 §2.3): eight octets, case-sensitive. Only 1.0 and 1.1 are spoken; a transparent proxy that took
 * `HTTP/1.2` for 1.1 would have to answer for semantics it does not know.
 */

/** Length of `HTTP/x.y`. */
export const VERSION_BYTES = 8;

const ZERO = 0x30;

/** 0 or 1 where `HTTP/1.0` or `HTTP/1.1` stands at `bytes[at]`, -1 otherwise. Eight bytes must be there. */
export function minorVersionAt(bytes: Uint8Array, at: number): 0 | 1 | -1 {
  if (!isVersionSyntax(bytes, at) || bytes[at + 5] !== ZERO + 1) return -1;
  const minor = (bytes[at + 7] as number) - ZERO;
  return minor === 0 || minor === 1 ? minor : -1;
}

/** Whether `HTTP/x.y` with any digits stands at `bytes[at]`. */
export function isVersionSyntax(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === 0x48 &&
    bytes[at + 1] === 0x54 &&
    bytes[at + 2] === 0x54 &&
    bytes[at + 3] === 0x50 &&
    bytes[at + 4] === 0x2f &&
    isDigit(bytes[at + 5]) &&
    bytes[at + 6] === 0x2e &&
    isDigit(bytes[at + 7])
  );
}

function isDigit(octet: number | undefined): boolean {
  return octet !== undefined && octet >= ZERO && octet <= ZERO + 9;
}
