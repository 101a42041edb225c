// SPDX-License-Identifier: Apache-2.0
/*
 * Which octets may stand where, as tables of 256 entries: scanning costs one load per byte. Sources: RFC 9110 §5.6.2 (token),
 * §5.5 (field value), RFC 3986 §3 (target and host).
 */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

/** Token characters: the lower-case octet, or 0 where the octet is none. */
export const TOKEN_LOWER: Uint8Array = tokenTable();

/** 1 for octets of a field value or reason phrase: HTAB, SP, VCHAR, obs-text. */
export const FIELD_CONTENT: Uint8Array = contentTable();

/**
 * 1 for octets of a request target. Wider than RFC 3986: real clients send `|`, `"`, braces and raw UTF-8, and the path is
 * the app's to judge. `#` is out: a fragment never belongs in a request (RFC 9112 §3.2) and peers disagree about it.
 */
export const TARGET: Uint8Array = targetTable();

/** 1 for octets of a host outside brackets: unreserved, sub-delims, `%` (RFC 3986 §3.2.2). */
export const REG_NAME: Uint8Array = hostTable();

/** Value of a hexadecimal digit, or 255. */
export const HEX_VALUE: Uint8Array = hexTable();

function tokenTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
    const octet = character.charCodeAt(0);
    table[octet] = octet;
    table[character.toUpperCase().charCodeAt(0)] = octet;
  }
  return table;
}

function contentTable(): Uint8Array {
  const table = new Uint8Array(256).fill(1, SP);
  table[HTAB] = 1;
  table[0x7f] = 0;
  return table;
}

function targetTable(): Uint8Array {
  const table = new Uint8Array(256).fill(1, SP + 1);
  table[0x7f] = 0;
  table[0x23] = 0;
  return table;
}

function hostTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (const character of "-._~!$&'()*+,;=%0123456789abcdefghijklmnopqrstuvwxyz") {
    table[character.charCodeAt(0)] = 1;
    table[character.toUpperCase().charCodeAt(0)] = 1;
  }
  return table;
}

function hexTable(): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (let value = 0; value < 16; value++) {
    const digit = value.toString(16);
    table[digit.charCodeAt(0)] = value;
    table[digit.toUpperCase().charCodeAt(0)] = value;
  }
  return table;
}
