// SPDX-License-Identifier: Apache-2.0
/*
 * The data of templates and Go's rules for it: truth, emptiness, printing, comparison. Integers that templates make are bigints; numbers
 * from values files are JavaScript numbers. Helm reads the latter as another type depending on where they came from (a chart's defaults,
 * a file, --set) and on its version, and then 0 may be true, 1000000 may print as 1e+06, and a comparison may fail. So a template must
 * first say what it wants (`int`, `int64`, `toString`): where Helm's answer would depend on the origin, ours is an error.
 */

/** Anything that a template handles. */
export type Data = null | boolean | string | number | bigint | readonly Data[] | Dictionary;

/** A map; keys are visited in sorted order, as Go's templates do. */
export interface Dictionary {
  [key: string]: Data;
}

/** An operation that Go's templates refuse, or that the subset does. The engine adds file and line. */
export class DataError extends Error {}

/** Integers from here on are printed by Helm in one of two ways. */
const MAX_PLAIN_NUMBER = 1_000_000;

/** Whether it is a map. */
export function isDictionary(value: Data): value is Dictionary {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Sets a key of a map, whatever its name: assigning `__proto__` would change what the map is instead. */
export function setKey(dictionary: Dictionary, key: string, value: Data): void {
  Object.defineProperty(dictionary, key, { value, writable: true, enumerable: true, configurable: true });
}

/** A copy that shares nothing, not even within itself: two YAML aliases of one map become two maps. */
export function copyOf<T extends Data>(value: T): T {
  if (Array.isArray(value)) return value.map((item: Data) => copyOf(item)) as unknown as T;
  if (!isDictionary(value)) return value;
  const copy: Dictionary = {};
  for (const [key, item] of Object.entries(value)) setKey(copy, key, copyOf(item));
  return copy as T;
}

/** Keys in the order of Go's templates and of toYaml. */
export function sortedKeys(dictionary: Dictionary): string[] {
  return Object.keys(dictionary).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Whether `if` and `with` take it. */
export function isTrue(value: Data): boolean {
  if (typeof value === 'number') throw new DataError('a number from values is not true or false: compare it, as in (gt (int …) 0)');
  if (typeof value === 'bigint') return value !== 0n;
  return !isEmpty(value);
}

/** What `default`, `empty` and `required` mean by empty. */
export function isEmpty(value: Data): boolean {
  switch (typeof value) {
    case 'number':
      if (value === 0) throw new DataError('whether the number 0 from values is empty depends on its origin: use (int …) and compare');
      return false;
    case 'bigint':
      return value === 0n;
    case 'boolean':
      return !value;
    case 'string':
      return value === '';
    default:
      if (value === null) return true;
      return Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0;
  }
}

/** What an action prints. A missing value prints nothing, as Helm has it. */
export function printed(value: Data): string {
  return value === null ? '' : text(value);
}

/** `%v`; lists and maps have no text in the subset. */
export function text(value: Data): string {
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'number':
      if (Math.abs(value) >= MAX_PLAIN_NUMBER) throw new DataError(`how ${value} is printed depends on its origin: pass it through int64`);
      return String(value);
    default:
      throw new DataError(`${kindOf(value)} has no text: pass it through toYaml or toJson`);
  }
}

/** A word for messages. */
export function kindOf(value: Data): string {
  if (value === null) return 'nothing';
  if (typeof value === 'bigint') return 'an integer';
  if (typeof value !== 'object') return `a ${typeof value}`;
  return Array.isArray(value) ? 'a list' : 'a map';
}

/** `eq` of two values. */
export function isEqual(a: Data, b: Data): boolean {
  if (a === null || b === null) return a === b;
  if (typeof a === 'number' || typeof b === 'number') throw new DataError('a number from values is not compared as it is: use (int …)');
  if (typeof a === 'object' || typeof b === 'object') throw new DataError(`${kindOf(a)} and ${kindOf(b)} are not compared`);
  if (typeof a !== typeof b) throw new DataError(`incompatible types for comparison: ${kindOf(a)} and ${kindOf(b)}`);
  return a === b;
}

/** Negative, 0 or positive; integers and strings only. */
export function order(a: Data, b: Data): number {
  if (typeof a === 'bigint' && typeof b === 'bigint') return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new DataError(`${kindOf(a)} and ${kindOf(b)} have no order`);
}
