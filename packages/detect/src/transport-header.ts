// SPDX-License-Identifier: Apache-2.0
/*
 * The header that a client proxy writes first on a connection with the transport ALPN, to say which port (or, through a gateway, which name)
 * the bytes behind it are for (proxy-contract §3.6): magic, length, protobuf message `transport.l5d.io.Header`. The message has three fields, so
 * it is written and read by hand here; the proxy's fast start needs no protobuf runtime for it, and the tests hold it to the generated code.
 */
import { Buffer } from 'node:buffer';
import { parseDnsName } from './dns-name.ts';
import { ProtobufReader, WIRE_BYTES, WIRE_VARINT } from './protobuf-reader.ts';

/** The ALPN protocol whose connections begin with the header; only if the server chose it. */
export const TRANSPORT_ALPN = 'transport.l5d.io/v1';

/** Most bytes of magic, length and message together that are read; the longest header anyone sends is about 300. */
export const TRANSPORT_HEADER_MAX_BYTES = 65536;

/** What the stream behind the header carries; undefined = opaque bytes. */
export type SessionProtocol = 'http1' | 'http2';

export interface TransportHeader {
  /** 1 to 65535. */
  readonly port: number;
  /** Set: the stream is for a gateway to pass on to this name. A DNS name, in lower case when decoded. */
  readonly name: string | undefined;
  readonly sessionProtocol: SessionProtocol | undefined;
}

/**
 * `magic` (another or no protocol), `too-long` (over the limit), `protobuf` (not a message), `port` (absent, 0 or above 65535), `name` (not a
 * DNS name).
 */
export type TransportHeaderError = 'magic' | 'too-long' | 'protobuf' | 'port' | 'name';

export type TransportHeaderResult =
  | { readonly kind: 'incomplete' }
  /** `consumed`: bytes of this push that belonged to the header; the stream begins behind them. */
  | { readonly kind: 'header'; readonly header: TransportHeader; readonly consumed: number }
  /** The connection is to be closed. */
  | { readonly kind: 'invalid'; readonly reason: TransportHeaderError };

const MAGIC = Buffer.from(`${TRANSPORT_ALPN}\r\n\r\n`, 'latin1');
const LENGTH_BYTES = 4;
const PREFIX_BYTES = MAGIC.length + LENGTH_BYTES;
const NAME_MAX_BYTES = 254;

const INCOMPLETE: TransportHeaderResult = { kind: 'incomplete' };

/**
 * The bytes of a header, to be written before anything else. Equal headers have equal bytes, so callers may keep them per endpoint. Throws
 * RangeError on a port outside 1 to 65535 and on a name longer than 254 octets.
 */
export function encodeTransportHeader(header: TransportHeader): Buffer {
  const { port, name, sessionProtocol } = header;
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new RangeError(`not a port: ${port}`);
  const nameBytes = Buffer.from(name ?? '', 'utf8');
  if (nameBytes.length > NAME_MAX_BYTES) throw new RangeError('name of a transport header too long');
  const portBytes = port < 0x80 ? 1 : port < 0x4000 ? 2 : 3;
  const nameLengthBytes = nameBytes.length < 0x80 ? 1 : 2;
  const messageBytes =
    1 + portBytes + (nameBytes.length > 0 ? 1 + nameLengthBytes + nameBytes.length : 0) + (sessionProtocol === undefined ? 0 : 4);
  const bytes = Buffer.allocUnsafeSlow(PREFIX_BYTES + messageBytes);
  bytes.set(MAGIC, 0);
  let at = bytes.writeUInt32BE(messageBytes, MAGIC.length);
  bytes[at++] = 0x08;
  at = writeVarint(bytes, at, port);
  if (nameBytes.length > 0) {
    bytes[at++] = 0x12;
    at = writeVarint(bytes, at, nameBytes.length);
    bytes.set(nameBytes, at);
    at += nameBytes.length;
  }
  if (sessionProtocol !== undefined) {
    bytes[at++] = 0x1a;
    bytes[at++] = 2;
    bytes[at++] = sessionProtocol === 'http1' ? 0x0a : 0x12;
    bytes[at] = 0;
  }
  return bytes;
}

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value;
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}

/** Reads one header from the beginning of a stream, however the bytes are cut. Keeps only bytes that came, never more than the limit. */
export class TransportHeaderDecoder {
  private readonly maxBytes: number;
  private pending: Buffer;
  private pendingBytes: number;
  private result: TransportHeaderResult;

  constructor(maxBytes: number = TRANSPORT_HEADER_MAX_BYTES) {
    this.maxBytes = maxBytes;
    this.pending = Buffer.alloc(0);
    this.pendingBytes = 0;
    this.result = INCOMPLETE;
  }

  /** Takes `chunk[start, end)`. Once it has answered anything but `incomplete` it must not be called again (throws). */
  push(chunk: Uint8Array, start: number, end: number): TransportHeaderResult {
    if (this.result !== INCOMPLETE) throw new Error('the transport header has been read');
    if (this.pendingBytes === 0) {
      this.result = decode(chunk, start, end, this.maxBytes);
      if (this.result === INCOMPLETE) this.keep(chunk, start, end);
      return this.result;
    }
    const before = this.pendingBytes;
    // The header may end inside this chunk: bytes of the stream are never copied, bytes of the header only up to the limit.
    this.keep(chunk, start, Math.min(end, start + this.maxBytes - before));
    const result = decode(this.pending, 0, this.pendingBytes, this.maxBytes);
    this.result = result.kind === 'header' ? { ...result, consumed: result.consumed - before } : result;
    if (this.result !== INCOMPLETE) this.pending = Buffer.alloc(0);
    return this.result;
  }

  private keep(chunk: Uint8Array, start: number, end: number): void {
    const needed = this.pendingBytes + end - start;
    if (needed > this.pending.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, 256, this.pending.length * 2), Math.max(needed, this.maxBytes)));
      this.pending.copy(bigger, 0, 0, this.pendingBytes);
      this.pending = bigger;
    }
    this.pending.set(chunk.subarray(start, end), this.pendingBytes);
    this.pendingBytes = needed;
  }
}

function decode(bytes: Uint8Array, start: number, end: number, maxBytes: number): TransportHeaderResult {
  const magicEnd = Math.min(MAGIC.length, end - start);
  for (let i = 0; i < magicEnd; i++) {
    if (bytes[start + i] !== MAGIC[i]) return { kind: 'invalid', reason: 'magic' };
  }
  const messageStart = start + PREFIX_BYTES;
  if (end < messageStart) return INCOMPLETE;
  const length = start + MAGIC.length;
  const messageBytes =
    (((bytes[length] as number) << 24) |
      ((bytes[length + 1] as number) << 16) |
      ((bytes[length + 2] as number) << 8) |
      (bytes[length + 3] as number)) >>>
    0;
  if (messageBytes > maxBytes - PREFIX_BYTES) return { kind: 'invalid', reason: 'too-long' };
  if (end < messageStart + messageBytes) return INCOMPLETE;
  const header = decodeMessage(bytes, messageStart, messageStart + messageBytes);
  if (typeof header === 'string') return { kind: 'invalid', reason: header };
  return { kind: 'header', header, consumed: PREFIX_BYTES + messageBytes };
}

function decodeMessage(bytes: Uint8Array, start: number, end: number): TransportHeader | TransportHeaderError {
  const reader = new ProtobufReader(bytes, start, end);
  let port = 0;
  let nameStart = start;
  let nameEnd = start;
  let sessionProtocol: SessionProtocol | undefined;
  while (reader.next()) {
    // A known field of another wire type is refused: every writer agrees on these three.
    if (reader.fieldNumber <= 3 && reader.wireType !== (reader.fieldNumber === 1 ? WIRE_VARINT : WIRE_BYTES)) return 'protobuf';
    if (reader.fieldNumber === 1) {
      port = reader.int32;
    } else if (reader.fieldNumber === 2) {
      nameStart = reader.bytesStart;
      nameEnd = reader.bytesEnd;
    } else if (reader.fieldNumber === 3) {
      const session = new ProtobufReader(bytes, reader.bytesStart, reader.bytesEnd);
      while (session.next()) {
        if (session.fieldNumber > 2) continue;
        if (session.wireType !== WIRE_BYTES || !new ProtobufReader(bytes, session.bytesStart, session.bytesEnd).skipAll())
          return 'protobuf';
        sessionProtocol = session.fieldNumber === 1 ? 'http1' : 'http2';
      }
      if (session.isMalformed) return 'protobuf';
    }
  }
  if (reader.isMalformed) return 'protobuf';
  if (port < 1 || port > 65535) return 'port';
  if (nameStart === nameEnd) return { port, name: undefined, sessionProtocol };
  const name = parseDnsName(bytes, nameStart, nameEnd);
  return name === undefined ? 'name' : { port, name, sessionProtocol };
}
