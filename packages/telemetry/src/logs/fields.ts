// SPDX-License-Identifier: Apache-2.0
/*
 * Values of log lines. Whatever text they hold, a line stays one line of printable characters: control characters are escaped and
 * long values cut, since names, paths and errors come from peers and from users' objects (bad-inputs 21: log injection).
 */
import { Buffer } from 'node:buffer';

/** Text that the plain form writes in quotes, as the reference does for strings that are not names: `path="/x"`. */
export interface QuotedText {
  readonly quoted: string;
}

export type LogValue = string | number | bigint | boolean | undefined | readonly string[] | QuotedText;

/** Fields in the order in which they are to be written; `undefined` ones are left out. */
export type LogFields = Readonly<Record<string, LogValue>>;

/** Longest value in UTF-16 units. */
export const MAX_LOG_VALUE_LENGTH = 4096;
/** Longest peer text in bytes. */
export const MAX_PEER_TEXT_BYTES = 256;

/** A value for text or bytes that a peer sent: cut, quoted, one character a byte. Use at debug level and below only. */
export function peerText(raw: string | Uint8Array): QuotedText {
  const text = typeof raw === 'string' ? raw : Buffer.from(raw.subarray(0, MAX_PEER_TEXT_BYTES + 1)).toString('latin1');
  return { quoted: text.length > MAX_PEER_TEXT_BYTES ? `${text.slice(0, MAX_PEER_TEXT_BYTES)}…` : text };
}

/** C0, C1, line separators, marks that turn or hide text on a terminal, and halves of characters. */
const UNSAFE =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const ALL_UNSAFE = new RegExp(UNSAFE, 'g');

/** Escapes what does not print as it reads (see UNSAFE), and cuts. */
export function escapeText(text: string): string {
  const cut = text.length > MAX_LOG_VALUE_LENGTH ? `${text.slice(0, MAX_LOG_VALUE_LENGTH)}…` : text;
  if (!UNSAFE.test(cut)) return cut;
  return cut.replaceAll(ALL_UNSAFE, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\r') return '\\r';
    if (character === '\t') return '\\t';
    return `\\u{${character.charCodeAt(0).toString(16)}}`;
  });
}

/** A value as the plain form writes it. */
export function plainValue(value: LogValue): string {
  if (isList(value)) return `[${value.map((one) => escapeText(textOf(one))).join(', ')}]`;
  if (isQuoted(value)) return `"${escapeText(textOf(value.quoted)).replaceAll('"', '\\"')}"`;
  return escapeText(textOf(value));
}

/** A value as JSON may hold it. */
export function jsonValue(value: LogValue): string | number | boolean {
  if (isList(value)) return `[${value.map((one) => escapeText(textOf(one))).join(', ')}]`;
  if (isQuoted(value)) return escapeText(textOf(value.quoted));
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value;
  return escapeText(textOf(value));
}

// Callers behind wider interfaces may hand over anything; a log call must neither throw nor print `[object Object]`.
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Error) return value.message;
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return '(unprintable)';
  }
}

function isList(value: LogValue): value is readonly string[] {
  return Array.isArray(value);
}

function isQuoted(value: LogValue): value is QuotedText {
  return typeof value === 'object' && value !== null && 'quoted' in value;
}
