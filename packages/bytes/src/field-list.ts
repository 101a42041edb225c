// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP fields as every codec and layer of Weft passes them: one flat array, so that a request costs one allocation
 * and no per-field object. Names are lower-case; values are latin1 strings, so any octet survives a round trip.
 */

/** Name at even indexes (lower-case), value at odd ones, in wire order; duplicates stay apart. HTTP/2 pseudo-fields come first. */
export type FieldList = string[];

/** First value of `name` (lower-case), or undefined. */
export function fieldValue(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === name) return fields[i + 1];
  }
  return undefined;
}

/** Whether `name` (lower-case) occurs at least once. */
export function hasField(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === name) return true;
  }
  return false;
}
