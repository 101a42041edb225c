// SPDX-License-Identifier: Apache-2.0
/*
 * Heads, chunks and trailer sections as bytes (RFC 9112 §2.1, §7.1), appended to a connection's writer. Framing fields are
 * the caller's. Every octet is checked while it is stored: text that came over HTTP/2, where other rules hold, must never
 * become a line of its own here.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';
import { H1EncodeError } from './errors.ts';
import { COLON, CR, FIELD_CONTENT, LF, SP, TARGET, TOKEN_LOWER } from './octets.ts';
import { FieldBlockCache } from './field-block-cache.ts';
import { storeLatin1 } from './latin1.ts';
import { reasonPhrase } from './reason-phrase.ts';

const requestFields: FieldBlockCache = new FieldBlockCache(putField);
const responseFields: FieldBlockCache = new FieldBlockCache(putField);

/** ` HTTP/1.x` and CRLF. */
const VERSION_TAIL_BYTES = 11;
/** `HTTP/1.x 200 ` and CRLF. */
const STATUS_LINE_BYTES = 15;
/** From this length on, one call into native code is cheaper than a loop over characters. */
const NATIVE_WRITE_CHARACTERS = 20;
const HEX_DIGITS = '0123456789abcdef';
/** Longest chunk-size line: 14 digits of 2^53 and CRLF, then the CRLF behind the data. */
const CHUNK_OVERHEAD_BYTES = 18;

/**
 * Appends request line, `fields` as given, and the empty line. Throws `H1EncodeError`, with nothing appended, where method,
 * target, a name or a value has an octet that may not stand there.
 */
export function writeRequestHead(
  writer: ByteWriter,
  method: string,
  target: string,
  minorVersion: 0 | 1,
  fields: Readonly<FieldList>,
): void {
  writer.reserve(method.length + target.length + VERSION_TAIL_BYTES + 1 + fieldBytes(fields) + 2);
  const { buffer } = writer;
  let at = putToken(buffer, writer.length, method);
  buffer[at++] = SP;
  if (target.length === 0) throw new H1EncodeError('empty request target');
  at = putText(buffer, at, target, TARGET);
  buffer[at++] = SP;
  at = putVersion(buffer, at, minorVersion);
  at = putLineEnd(buffer, at);
  writer.length = putLineEnd(buffer, requestFields.put(buffer, at, fields));
}

/**
 * Appends status line, `fields` as given, and the empty line; `reason` undefined means the registered phrase. Throws as
 * `writeRequestHead` does.
 */
export function writeResponseHead(
  writer: ByteWriter,
  status: number,
  reason: string | undefined,
  minorVersion: 0 | 1,
  fields: Readonly<FieldList>,
): void {
  if (!(status >= 100 && status <= 999 && status % 1 === 0)) throw new H1EncodeError('status is no number from 100 to 999');
  const phrase = reason ?? reasonPhrase(status);
  writer.reserve(STATUS_LINE_BYTES + phrase.length + fieldBytes(fields) + 2);
  const { buffer } = writer;
  let at = putVersion(buffer, writer.length, minorVersion);
  buffer[at++] = SP;
  buffer[at++] = 0x30 + Math.floor(status / 100);
  buffer[at++] = 0x30 + (Math.floor(status / 10) % 10);
  buffer[at++] = 0x30 + (status % 10);
  buffer[at++] = SP;
  at = putLineEnd(buffer, putText(buffer, at, phrase, FIELD_CONTENT));
  writer.length = putLineEnd(buffer, responseFields.put(buffer, at, fields));
}

/** Appends `chunk[start, end)` as one chunk (RFC 9112 §7.1). An empty piece writes nothing: size 0 would end the body. */
export function writeChunk(writer: ByteWriter, chunk: Uint8Array, start: number, end: number): void {
  const bytes = end - start;
  if (bytes <= 0) return;
  writer.reserve(bytes + CHUNK_OVERHEAD_BYTES);
  writer.length = putLineEnd(writer.buffer, putHex(writer.buffer, writer.length, bytes));
  writer.writeBytes(chunk, start, end);
  writer.length = putLineEnd(writer.buffer, writer.length);
}

/** Appends the last chunk and the trailer section. Throws as `writeRequestHead` does. */
export function writeLastChunk(writer: ByteWriter, trailers?: Readonly<FieldList>): void {
  writer.reserve(5 + (trailers === undefined ? 0 : fieldBytes(trailers)));
  const { buffer } = writer;
  let at = writer.length;
  buffer[at++] = 0x30;
  at = putLineEnd(buffer, at);
  if (trailers !== undefined) {
    for (let i = 0; i < trailers.length; i += 2) at = putField(buffer, at, trailers[i] as string, trailers[i + 1] as string);
  }
  writer.length = putLineEnd(buffer, at);
}

/** Bytes that the field lines take: each has `: ` and CRLF. */
function fieldBytes(fields: readonly string[]): number {
  let bytes = fields.length * 2;
  for (let i = 0; i < fields.length; i++) bytes += (fields[i] as string).length;
  return bytes;
}

function putField(buffer: Uint8Array, start: number, name: string, value: string): number {
  let at = putToken(buffer, start, name);
  buffer[at++] = COLON;
  buffer[at++] = SP;
  at = putText(buffer, at, value, FIELD_CONTENT);
  buffer[at++] = CR;
  buffer[at++] = LF;
  return at;
}

function putToken(buffer: Uint8Array, start: number, token: string): number {
  const { length } = token;
  if (length === 0) throw new H1EncodeError('empty method or field name');
  let at = start;
  for (let i = 0; i < length; i++) {
    const character = token.charCodeAt(i);
    // Undefined beyond latin1, hence no token either.
    if (!TOKEN_LOWER[character]) throw new H1EncodeError('method or field name is no token');
    buffer[at++] = character;
  }
  return at;
}

function putText(buffer: Uint8Array, start: number, text: string, allowed: Uint8Array): number {
  const { length } = text;
  let at = start;
  if (length < NATIVE_WRITE_CHARACTERS) {
    for (let i = 0; i < length; i++) {
      const character = text.charCodeAt(i);
      if (allowed[character] !== 1) throw new H1EncodeError('character that may not stand in a head');
      buffer[at++] = character;
    }
    return at;
  }
  // Reading octets back costs a fifth of reading characters. Where a character was cut down to an octet, that one is judged.
  storeLatin1(buffer, start, text);
  const end = start + length;
  while (at < end && allowed[buffer[at] as number] === 1) at++;
  if (at < end) throw new H1EncodeError('character that may not stand in a head');
  return end;
}

function putVersion(buffer: Uint8Array, start: number, minorVersion: 0 | 1): number {
  buffer[start] = 0x48;
  buffer[start + 1] = 0x54;
  buffer[start + 2] = 0x54;
  buffer[start + 3] = 0x50;
  buffer[start + 4] = 0x2f;
  buffer[start + 5] = 0x31;
  buffer[start + 6] = 0x2e;
  buffer[start + 7] = 0x30 + minorVersion;
  return start + 8;
}

function putHex(buffer: Uint8Array, start: number, value: number): number {
  let digits = 1;
  for (let rest = Math.floor(value / 16); rest > 0; rest = Math.floor(rest / 16)) digits += 1;
  let rest = value;
  for (let i = start + digits - 1; i >= start; i--) {
    buffer[i] = HEX_DIGITS.charCodeAt(rest % 16);
    rest = Math.floor(rest / 16);
  }
  return start + digits;
}

function putLineEnd(buffer: Uint8Array, at: number): number {
  buffer[at] = CR;
  buffer[at + 1] = LF;
  return at + 2;
}
