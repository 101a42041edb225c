// SPDX-License-Identifier: Apache-2.0
/*
 * The texts of a few Go standard-library errors and of its `%q` verb. Statuses of the destination API quote them (control-contract §1.3,
 * §1.8; vectors `dst.profile-bad-*`), and clients' logs and users' searches know them. Nothing is parsed here.
 */

/** `text` as Go's `%q` prints it: double-quoted, with escapes for quotes, backslashes, control characters and what is not printable. */
export function quoted(text: string): string {
  let out = '"';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (character === '"' || character === '\\') out += `\\${character}`;
    else if (code >= 0x20 && code < 0x7f) out += character;
    else out += escaped(character, code);
  }
  return `${out}"`;
}

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** Letters, marks, numbers, punctuation and symbols print as they are; every other character is escaped. */
const PRINTABLE = /[\p{L}\p{M}\p{N}\p{P}\p{S}]/u;

function escaped(character: string, code: number): string {
  const short = SHORT_ESCAPES[character];
  if (short !== undefined) return short;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (PRINTABLE.test(character)) return character;
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** What `strconv.Atoi` says of a text that is no number. */
export function atoiSyntaxError(text: string): string {
  return `strconv.Atoi: parsing ${quoted(text)}: invalid syntax`;
}

/** What `strconv.Atoi` says of a number beyond 64 bits. */
export function atoiRangeError(text: string): string {
  return `strconv.Atoi: parsing ${quoted(text)}: value out of range`;
}
