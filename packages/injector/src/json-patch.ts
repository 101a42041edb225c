// SPDX-License-Identifier: Apache-2.0
/*
 * JSON patches (RFC 6902): pointers, and applying the three operations that the injector writes to a manifest without an API server. Keys
 * come from users, so they are escaped into pointers and set as own members, whatever they are called.
 */
import type { JsonPatchOperation } from '@weft/webhook';

/** A JSON pointer (RFC 6901) from its parts. */
export function pointer(...parts: readonly (string | number)[]): string {
  return parts.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The document after the patch; the given one is not changed. Throws RangeError where an operation does not apply (RFC 6902 §5). */
export function applyPatch(document: unknown, patch: readonly JsonPatchOperation[]): unknown {
  const root = { document: structuredClone(document) };
  for (const operation of patch) applyOperation(root, operation);
  return root.document;
}

function applyOperation(root: { document: unknown }, operation: JsonPatchOperation): void {
  const parts = operation.path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = parts.pop();
  if (last === undefined) throw new RangeError('a patch of the whole document is not supported');
  let parent: unknown = root.document;
  for (const part of parts) parent = memberOf(parent, part, operation.path);
  if (Array.isArray(parent)) {
    const index = last === '-' ? parent.length : Number(last);
    const limit = operation.op === 'add' ? parent.length : parent.length - 1;
    if (!Number.isInteger(index) || index < 0 || index > limit) throw new RangeError(`${operation.path}: no such element`);
    if (operation.op === 'add') parent.splice(index, 0, structuredClone(operation.value));
    else if (operation.op === 'replace') parent[index] = structuredClone(operation.value);
    else parent.splice(index, 1);
    return;
  }
  if (typeof parent !== 'object' || parent === null) throw new RangeError(`${operation.path}: no such parent`);
  if (operation.op !== 'add' && !Object.hasOwn(parent, last)) throw new RangeError(`${operation.path}: no such member`);
  if (operation.op === 'remove') Reflect.deleteProperty(parent, last);
  else {
    Object.defineProperty(parent, last, {
      value: structuredClone(operation.value),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
}

function memberOf(parent: unknown, part: string, path: string): unknown {
  if (typeof parent === 'object' && parent !== null && Object.hasOwn(parent, part)) return (parent as Record<string, unknown>)[part];
  throw new RangeError(`${path}: no such parent`);
}
