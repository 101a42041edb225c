// SPDX-License-Identifier: Apache-2.0
/*
 * The server name that a TLS client asks for, read from its ClientHello without terminating TLS (proxy-contract §3.5; RFC 8446 §4.1.2, RFC 6066
 * §3). Works on the bytes received so far; the caller keeps them and asks again when more have come. A hello must fit in one record and in the
 * limit; whatever cannot become one is refused at the first byte that shows it, so that plaintext clients never wait.
 */
import { parseDnsName } from './dns-name.ts';

/** Most bytes of a ClientHello, record header included; room for post-quantum key shares several times over. */
export const CLIENT_HELLO_MAX_BYTES = 8192;

/**
 * Why bytes are no ClientHello that we read: `record` (not a TLS handshake record), `version`, `too-long` (more than the limit), `handshake` (another
 * handshake message, or one that spans records), `malformed` (lengths that do not fit).
 */
export type NotTlsReason = 'record' | 'version' | 'too-long' | 'handshake' | 'malformed';

export type ClientHello =
  /** A hello for `sni`: a DNS name in lower case. */
  | { readonly kind: 'sni'; readonly sni: string }
  /** A hello without a server name, or with one that is no DNS name. */
  | { readonly kind: 'no-sni' }
  | { readonly kind: 'not-tls'; readonly reason: NotTlsReason }
  /** A hello so far; ask again with more bytes. */
  | { readonly kind: 'incomplete' };

const NO_SNI: ClientHello = { kind: 'no-sni' };
const INCOMPLETE: ClientHello = { kind: 'incomplete' };
const NOT_A_RECORD: ClientHello = { kind: 'not-tls', reason: 'record' };
const WRONG_VERSION: ClientHello = { kind: 'not-tls', reason: 'version' };
const TOO_LONG: ClientHello = { kind: 'not-tls', reason: 'too-long' };
const WRONG_HANDSHAKE: ClientHello = { kind: 'not-tls', reason: 'handshake' };
const MALFORMED: ClientHello = { kind: 'not-tls', reason: 'malformed' };

const RECORD_HEADER_BYTES = 5;
const RECORD_HANDSHAKE = 22;
const HANDSHAKE_HEADER_BYTES = 4;
const HANDSHAKE_CLIENT_HELLO = 1;
const RANDOM_BYTES = 32;
const EXTENSION_SERVER_NAME = 0;
const NAME_TYPE_HOST_NAME = 0;

/** Reads the ClientHello at the beginning of `bytes[start, end)`. Keeps no bytes; what follows the record is not looked at. */
export function parseClientHello(bytes: Uint8Array, start: number, end: number, maxBytes: number = CLIENT_HELLO_MAX_BYTES): ClientHello {
  const available = end - start;
  if (available >= 1 && bytes[start] !== RECORD_HANDSHAKE) return NOT_A_RECORD;
  if (available >= 2 && bytes[start + 1] !== 3) return WRONG_VERSION;
  if (available >= 3 && bytes[start + 2] !== 1 && bytes[start + 2] !== 3) return WRONG_VERSION;
  if (available < RECORD_HEADER_BYTES) return INCOMPLETE;
  const recordBytes = readUint16(bytes, start + 3);
  if (RECORD_HEADER_BYTES + recordBytes > maxBytes) return TOO_LONG;
  if (recordBytes < HANDSHAKE_HEADER_BYTES) return WRONG_HANDSHAKE;
  const handshakeStart = start + RECORD_HEADER_BYTES;
  if (end > handshakeStart && bytes[handshakeStart] !== HANDSHAKE_CLIENT_HELLO) return WRONG_HANDSHAKE;
  if (end < handshakeStart + HANDSHAKE_HEADER_BYTES) return INCOMPLETE;
  const helloBytes = ((bytes[handshakeStart + 1] as number) << 16) | readUint16(bytes, handshakeStart + 2);
  if (HANDSHAKE_HEADER_BYTES + helloBytes > recordBytes) return WRONG_HANDSHAKE;
  if (end < handshakeStart + recordBytes) return INCOMPLETE;
  const helloStart = handshakeStart + HANDSHAKE_HEADER_BYTES;
  return parseBody(bytes, helloStart, helloStart + helloBytes);
}

/** The body of a ClientHello, all of it present. */
function parseBody(bytes: Uint8Array, start: number, end: number): ClientHello {
  let at = start + 2 + RANDOM_BYTES;
  if (at >= end) return MALFORMED;
  if (bytes[start] !== 3 || bytes[start + 1] !== 3) return WRONG_VERSION;
  at += 1 + (bytes[at] as number);
  if (at + 2 > end) return MALFORMED;
  at += 2 + readUint16(bytes, at);
  if (at + 1 > end) return MALFORMED;
  at += 1 + (bytes[at] as number);
  // RFC 8446 §4.1.2: a hello of old may end here.
  if (at === end) return NO_SNI;
  if (at + 2 > end) return MALFORMED;
  const extensionsEnd = at + 2 + readUint16(bytes, at);
  if (extensionsEnd !== end) return MALFORMED;
  return parseExtensions(bytes, at + 2, extensionsEnd);
}

function parseExtensions(bytes: Uint8Array, start: number, end: number): ClientHello {
  let at = start;
  let found: ClientHello = NO_SNI;
  while (at < end) {
    if (at + 4 > end) return MALFORMED;
    const type = readUint16(bytes, at);
    const extensionEnd = at + 4 + readUint16(bytes, at + 2);
    if (extensionEnd > end) return MALFORMED;
    if (type === EXTENSION_SERVER_NAME) {
      // RFC 8446 §4.2: an extension occurs once. Two server names are an attempt to be read in two ways.
      if (found !== NO_SNI) return MALFORMED;
      found = parseServerNames(bytes, at + 4, extensionEnd);
      if (found.kind === 'not-tls') return found;
    }
    at = extensionEnd;
  }
  return found;
}

/** RFC 6066 §3: a list of names, of which only host names were ever defined, at most one of each type. */
function parseServerNames(bytes: Uint8Array, start: number, end: number): ClientHello {
  if (start + 2 > end || start + 2 + readUint16(bytes, start) !== end) return MALFORMED;
  let at = start + 2;
  let found: ClientHello = NO_SNI;
  while (at < end) {
    if (at + 3 > end) return MALFORMED;
    const nameStart = at + 3;
    const nameEnd = nameStart + readUint16(bytes, at + 1);
    if (nameEnd > end) return MALFORMED;
    if (bytes[at] === NAME_TYPE_HOST_NAME) {
      if (found !== NO_SNI) return MALFORMED;
      const sni = parseDnsName(bytes, nameStart, nameEnd);
      if (sni !== undefined) found = { kind: 'sni', sni };
    }
    at = nameEnd;
  }
  return found;
}

function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
