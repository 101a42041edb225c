// SPDX-License-Identifier: Apache-2.0
/*
 * Is this connection HTTP, and which (proxy-contract §4.1)? The answer is given for what one read brought: HTTP/2 by its preface, HTTP/1
 * by anything that a request parser has not refused yet, everything else is opaque. Only the request line is looked at: whether the fields
 * behind it are well formed is for the HTTP/1 codec to say, with a 400 that a client can read. Versions other than 1.0 and 1.1 are opaque.
 */

/** Most bytes that detection looks at; also the size of the one read that feeds it. */
export const HTTP_DETECTION_MAX_BYTES = 1024;

/** With fewer bytes there is neither a preface line nor a request line. */
export const HTTP_DETECTION_MIN_BYTES = 14;

/**
 * `incomplete`: fewer than 14 bytes (maybe none), which so far are the beginning of the HTTP/2 preface or of a request line with a registered method. The
 * reference decides on its first read and takes these for opaque; a caller may instead wait a little, since hardly any other protocol begins so.
 */
export type HttpDetection = 'http/1' | 'http/2' | 'not-http' | 'incomplete';

const PREFACE_LINE = latin1('PRI * HTTP/2.0');
const VERSION_PREFIX = latin1('HTTP/1.');

/** What a short first read may begin with and still be worth waiting for: RFC 9110 §9, RFC 5789. */
const KNOWN_METHODS: readonly Uint8Array[] = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'CONNECT', 'HEAD', 'TRACE'].map(
  (method) => latin1(`${method} `),
);

const CR = 0x0d;
const LF = 0x0a;
const SP = 0x20;
const DEL = 0x7f;

/** RFC 9110 §5.6.2. */
const IS_TOKEN = new Uint8Array(256);
for (const byte of latin1("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")) IS_TOKEN[byte] = 1;

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Classifies `chunk[start, end)`, the first bytes of a connection. Looks at no more than `HTTP_DETECTION_MAX_BYTES` of them; keeps none. */
export function detectHttp(chunk: Uint8Array, start: number, end: number): HttpDetection {
  const limit = Math.min(end, start + HTTP_DETECTION_MAX_BYTES);
  if (limit - start < HTTP_DETECTION_MIN_BYTES) return mayBecomeHttp(chunk, start, limit) ? 'incomplete' : 'not-http';
  if (startsAlike(chunk, start, limit, PREFACE_LINE)) return 'http/2';
  return mayBeRequest(chunk, start, limit) ? 'http/1' : 'not-http';
}

/** Whether these few bytes are the beginning of HTTP and hardly of anything else. */
function mayBecomeHttp(chunk: Uint8Array, start: number, end: number): boolean {
  if (startsAlike(chunk, start, end, PREFACE_LINE)) return true;
  if (!mayBeRequest(chunk, start, end)) return false;
  for (const method of KNOWN_METHODS) {
    if (startsAlike(chunk, start, end, method)) return true;
  }
  return false;
}

/** Whether the bytes and `known` agree as far as both go. */
function startsAlike(chunk: Uint8Array, start: number, end: number, known: Uint8Array): boolean {
  const bytes = Math.min(end - start, known.length);
  for (let i = 0; i < bytes; i++) {
    if (chunk[start + i] !== known[i]) return false;
  }
  return true;
}

/** Whether the bytes are a request line of HTTP/1.0 or 1.1, or the beginning of one; empty lines before it are skipped (RFC 9112 §2.2). */
function mayBeRequest(chunk: Uint8Array, start: number, end: number): boolean {
  let at = start;
  for (; at < end; at++) {
    const byte = chunk[at];
    if (byte === LF) continue;
    if (byte !== CR) break;
    if (at + 1 < end && chunk[at + 1] !== LF) return false;
  }
  const methodStart = at;
  while (at < end && IS_TOKEN[chunk[at] as number] === 1) at += 1;
  if (at === end) return true;
  if (chunk[at] !== SP || at === methodStart) return false;
  at += 1;
  const targetStart = at;
  // Octets above ASCII pass, as they do in deployed parsers; the codec decides about them.
  while (at < end && (chunk[at] as number) > SP && chunk[at] !== DEL) at += 1;
  if (at === end) return true;
  if (chunk[at] !== SP || at === targetStart) return false;
  at += 1;
  if (!startsAlike(chunk, at, end, VERSION_PREFIX)) return false;
  at += VERSION_PREFIX.length;
  if (at >= end) return true;
  if (chunk[at] !== 0x30 && chunk[at] !== 0x31) return false;
  at += 1;
  if (at === end) return true;
  if (chunk[at] === LF) return true;
  return chunk[at] === CR && (at + 1 === end || chunk[at + 1] === LF);
}
