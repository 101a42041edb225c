// SPDX-License-Identifier: Apache-2.0
/*
 * Comparison of vector JSON by the vectors' own rules: maps have no order, nor have the addresses of one set, the authorizations of one
 * server and the cases of an `any`; everything else (routes, rules, matches, filters, backends) has.
 */
import type { VectorJson } from './vector-json.ts';

/** Repeated fields that are sets wherever they occur. */
const SET_FIELDS: ReadonlySet<string> = new Set(['addrs', 'authorizations']);

/** Whether two vector JSON values mean the same. */
export function equalAsVectors(actual: VectorJson, expected: VectorJson): boolean {
  return vectorDifference(actual, expected) === undefined;
}

/** The first difference as `path: actual … expected …`, for messages of failed tests; undefined if the values mean the same. */
export function vectorDifference(actual: VectorJson, expected: VectorJson): string | undefined {
  return difference(ordered(actual, '', ''), ordered(expected, '', ''), '$');
}

/** A copy with sets sorted and keys in order, so that equal values have equal text. */
function ordered(value: VectorJson, name: string, parentName: string): VectorJson {
  if (Array.isArray(value)) {
    const items = value.map((item) => ordered(item, '', name));
    const isSet = SET_FIELDS.has(name) || (name === 'matches' && parentName === 'any');
    if (!isSet) return items;
    return items
      .map((item) => [JSON.stringify(item), item] as const)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([, item]) => item);
  }
  if (typeof value !== 'object') return value;
  const copy: { [name: string]: VectorJson } = Object.create(null) as { [name: string]: VectorJson };
  for (const key of Object.keys(value).sort()) copy[key] = ordered(value[key] as VectorJson, key, name);
  return copy;
}

function difference(actual: VectorJson, expected: VectorJson, path: string): string | undefined {
  if (actual === expected) return undefined;
  if (Array.isArray(actual) && Array.isArray(expected)) {
    if (actual.length !== expected.length) return `${path}: actual has ${actual.length} items, expected ${expected.length}`;
    for (const [i, item] of actual.entries()) {
      const found = difference(item, expected[i] as VectorJson, `${path}[${i}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isObject(actual) && isObject(expected)) {
    for (const key of new Set([...Object.keys(actual), ...Object.keys(expected)])) {
      const a = actual[key];
      const e = expected[key];
      if (a === undefined) return `${path}.${key}: actual is missing, expected ${JSON.stringify(e)}`;
      if (e === undefined) return `${path}.${key}: actual ${JSON.stringify(a)}, expected nothing`;
      const found = difference(a, e, `${path}.${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return `${path}: actual ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
}

function isObject(value: VectorJson): value is { [name: string]: VectorJson } {
  return typeof value === 'object' && !Array.isArray(value);
}
