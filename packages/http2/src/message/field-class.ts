// SPDX-License-Identifier: Apache-2.0
/*
 * What kind of field a name and value make, as far as HTTP/2 cares (RFC 9113 §8.2, §8.3). The class is computed once, when a
 * literal is decoded, and travels with the table entry, so an indexed field costs no look at its characters again.
 */

/** The message is malformed for this name: bad octets, upper case, connection-specific. */
export const NAME_MALFORMED = 1;
/** The message is malformed for this value. */
export const VALUE_MALFORMED = 2;
/** Either of the two. */
export const FIELD_MALFORMED = 3;

/** Kinds stand above those two bits: `fieldClass >> KIND_SHIFT`. */
export const KIND_SHIFT = 2;
export const KIND_ORDINARY = 0;
export const KIND_METHOD = 1;
export const KIND_SCHEME = 2;
export const KIND_PATH = 3;
export const KIND_AUTHORITY = 4;
export const KIND_STATUS = 5;
/** The last kind that is a pseudo-field. */
export const KIND_LAST_PSEUDO = 5;
export const KIND_CONTENT_LENGTH = 6;
export const KIND_HOST = 7;
export const KIND_TE = 8;

const KIND_NONE = -1;

const KIND_BY_NAME: ReadonlyMap<string, number> = new Map([
  [':method', KIND_METHOD],
  [':scheme', KIND_SCHEME],
  [':path', KIND_PATH],
  [':authority', KIND_AUTHORITY],
  [':status', KIND_STATUS],
  ['content-length', KIND_CONTENT_LENGTH],
  ['host', KIND_HOST],
  ['te', KIND_TE],
  // RFC 9113 §8.2.2: fields of HTTP/1.1 connections have no place here.
  ['connection', KIND_NONE],
  ['proxy-connection', KIND_NONE],
  ['keep-alive', KIND_NONE],
  ['transfer-encoding', KIND_NONE],
  ['upgrade', KIND_NONE],
]);

/** Token characters of RFC 9110 §5.6.2 without upper case: 1 where allowed. */
const NAME_OCTETS: Uint8Array = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") NAME_OCTETS[character.charCodeAt(0)] = 1;

/** The class of a name alone. `te` is judged with its value only. */
export function classifyName(name: string): number {
  const kind = KIND_BY_NAME.get(name);
  if (kind !== undefined) return kind === KIND_NONE ? NAME_MALFORMED : kind << KIND_SHIFT;
  if (name.length === 0) return NAME_MALFORMED;
  // An unknown pseudo-field fails here: a colon is no token character.
  for (let i = 0; i < name.length; i++) {
    if (NAME_OCTETS[name.charCodeAt(i)] !== 1) return NAME_MALFORMED;
  }
  return KIND_ORDINARY << KIND_SHIFT;
}

/**
 * VALUE_MALFORMED where `value` holds an octet that no field value may hold (RFC 9110 §5.5): control characters but tab.
 * Leading and trailing whitespace passes, as it passes the reference proxy.
 */
export function classifyValue(value: string): number {
  for (let i = 0; i < value.length; i++) {
    const octet = value.charCodeAt(i);
    if ((octet < 0x20 && octet !== 0x09) || octet === 0x7f) return VALUE_MALFORMED;
  }
  return 0;
}

/** Joins the classes of a name and a value. */
export function joinClasses(nameClass: number, valueClass: number, value: string): number {
  if (nameClass === KIND_TE << KIND_SHIFT && value !== 'trailers') return nameClass | VALUE_MALFORMED;
  return nameClass | valueClass;
}

/** The class of a whole field. */
export function classifyField(name: string, value: string): number {
  return joinClasses(classifyName(name), classifyValue(value), value);
}
