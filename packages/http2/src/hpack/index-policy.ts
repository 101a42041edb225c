// SPDX-License-Identifier: Apache-2.0
/*
 * Which fields the encoder puts into its dynamic table. Values that rarely repeat would only push out those that do; short
 * secrets must not be open to guessing by compressed size (RFC 7541 §7.1).
 */

/** Ways to send a field that no table holds whole. */
export const INDEXING_INCREMENTAL = 0;
export const INDEXING_NONE = 1;
export const INDEXING_NEVER = 2;
export type Indexing = typeof INDEXING_INCREMENTAL | typeof INDEXING_NONE | typeof INDEXING_NEVER;

/** Rules for a name; SECRET depends on the value's length too. */
const RULE_INDEX = 0;
const RULE_NONE = 1;
const RULE_SECRET = 2;

/** Shorter secrets could be guessed one octet at a time; longer ones are beyond that and cost too much to repeat. */
const MIN_INDEXED_SECRET_CHARACTERS = 32;

const RULE_BY_NAME: ReadonlyMap<string, number> = new Map([
  [':path', RULE_NONE],
  ['age', RULE_NONE],
  ['content-length', RULE_NONE],
  ['content-range', RULE_NONE],
  ['etag', RULE_NONE],
  ['if-match', RULE_NONE],
  ['if-modified-since', RULE_NONE],
  ['if-none-match', RULE_NONE],
  ['if-range', RULE_NONE],
  ['if-unmodified-since', RULE_NONE],
  ['last-modified', RULE_NONE],
  ['location', RULE_NONE],
  ['range', RULE_NONE],
  // Unlike from one request to the next by their very purpose.
  ['b3', RULE_NONE],
  ['grpc-timeout', RULE_NONE],
  ['grpc-trace-bin', RULE_NONE],
  ['traceparent', RULE_NONE],
  ['x-b3-parentspanid', RULE_NONE],
  ['x-b3-spanid', RULE_NONE],
  ['x-b3-traceid', RULE_NONE],
  ['x-request-id', RULE_NONE],
  ['authorization', RULE_SECRET],
  ['cookie', RULE_SECRET],
  ['proxy-authorization', RULE_SECRET],
  ['set-cookie', RULE_SECRET],
]);

/** The rule for a name, to be kept with it. */
export function indexRuleOf(name: string): number {
  return RULE_BY_NAME.get(name) ?? RULE_INDEX;
}

/** How to send a value that no table holds, under the name's rule, in a table of `tableBytes`. */
export function indexingOf(rule: number, entryBytes: number, value: string, tableBytes: number): Indexing {
  if (rule === RULE_NONE) return INDEXING_NONE;
  if (rule === RULE_SECRET && value.length < MIN_INDEXED_SECRET_CHARACTERS) return INDEXING_NEVER;
  // One entry must not push out most of the others.
  return entryBytes * 2 <= tableBytes ? INDEXING_INCREMENTAL : rule === RULE_SECRET ? INDEXING_NEVER : INDEXING_NONE;
}
