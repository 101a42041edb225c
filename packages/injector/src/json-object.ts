// SPDX-License-Identifier: Apache-2.0
/*
 * Reading objects that someone else wrote: pods, services and values are JSON of unchecked shape, and a field of the wrong type counts as
 * absent. Nothing here throws.
 */

/** A JSON object of unknown members. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The value if it is an object, an empty one otherwise. */
export function objectOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {};
}

/** The objects of a list; anything else in it is left out. */
export function objectsOf(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter((item): item is JsonObject => objectOf(item) === item) : [];
}

/** The value if it is a text, '' otherwise. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The texts of a list. */
export function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** Annotations or labels: the members that are texts, own ones only. */
export function textMap(value: unknown): ReadonlyMap<string, string> {
  const texts = Object.entries(objectOf(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return new Map(texts);
}

/** Drops members that are undefined. */
export function present(members: Readonly<Record<string, unknown>>): JsonObject {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
