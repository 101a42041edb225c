// SPDX-License-Identifier: Apache-2.0
/*
 * Frames as bytes, for tests: builders that check nothing, so that wrong frames can be built too, and a reader that turns
 * bytes into readable records. Field blocks are encoded without the dynamic table, so each stands alone.
 */
import { Buffer } from 'node:buffer';
import { ByteWriter, type FieldList } from '@weft/bytes';
import {
  FLAG_ACK,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FLAG_PADDED,
  FRAME_CONTINUATION,
  FRAME_DATA,
  FRAME_GOAWAY,
  FRAME_HEADERS,
  FRAME_HEADER_BYTES,
  FRAME_PING,
  FRAME_PRIORITY,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  putFrameHeader,
  readUint32,
} from '../frame/frame-header.ts';
import type { HpackEncoder } from '../hpack/encoder.ts';

/** A frame of any type and flags. `length` overrides the length field. */
export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0), length?: number): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  putFrameHeader(bytes, 0, length ?? payload.length, type, flags, streamId);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** A field block of its own: nothing is put into a dynamic table. Anything goes, malformed fields included. */
export function fieldBlock(fields: Readonly<FieldList>): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.from([0x00]), literal(fields[i] as string), literal(fields[i + 1] as string));
  }
  return Buffer.concat(parts);
}

/** A raw string literal of HPACK. */
export function literal(text: string): Buffer {
  const head = [];
  if (text.length < 127) {
    head.push(text.length);
  } else {
    head.push(127);
    let rest = text.length - 127;
    for (; rest >= 128; rest = Math.floor(rest / 128)) head.push((rest % 128) + 128);
    head.push(rest);
  }
  return Buffer.concat([Buffer.from(head), Buffer.from(text, 'latin1')]);
}

/** What HEADERS and DATA may be asked for beyond their content. */
export interface MessageFrameOptions {
  readonly endStream?: boolean;
  /** Default true. */
  readonly endHeaders?: boolean;
  /** Padded with so many octets. */
  readonly padding?: number;
}

export function headersFrame(streamId: number, fields: Readonly<FieldList>, options: MessageFrameOptions = {}): Buffer {
  return blockFrame(streamId, fieldBlock(fields), options);
}

/** HEADERS with a block as given. */
export function blockFrame(streamId: number, block: Uint8Array, options: MessageFrameOptions = {}): Buffer {
  const flags =
    ((options.endHeaders ?? true) ? FLAG_END_HEADERS : 0) |
    (options.endStream === true ? FLAG_END_STREAM : 0) |
    (options.padding === undefined ? 0 : FLAG_PADDED);
  return frame(FRAME_HEADERS, flags, streamId, padded(block, options.padding));
}

export function continuationFrame(streamId: number, block: Uint8Array, endHeaders: boolean): Buffer {
  return frame(FRAME_CONTINUATION, endHeaders ? FLAG_END_HEADERS : 0, streamId, block);
}

export function dataFrame(streamId: number, data: Uint8Array | string, options: MessageFrameOptions = {}): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : data;
  const flags = (options.endStream === true ? FLAG_END_STREAM : 0) | (options.padding === undefined ? 0 : FLAG_PADDED);
  return frame(FRAME_DATA, flags, streamId, padded(bytes, options.padding));
}

/** `[identifier, value]` pairs. */
export function settingsFrame(entries: readonly (readonly [number, number])[] = []): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  for (const [index, [id, value]] of entries.entries()) {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(FRAME_SETTINGS, 0, 0, payload);
}

export function settingsAckFrame(): Buffer {
  return frame(FRAME_SETTINGS, FLAG_ACK, 0);
}

export function windowUpdateFrame(streamId: number, increment: number): Buffer {
  return frame(FRAME_WINDOW_UPDATE, 0, streamId, uint32(increment));
}

export function rstStreamFrame(streamId: number, code: number): Buffer {
  return frame(FRAME_RST_STREAM, 0, streamId, uint32(code));
}

/** `opaque` is 16 hexadecimal digits. */
export function pingFrame(opaque: string, isAck: boolean = false): Buffer {
  return frame(FRAME_PING, isAck ? FLAG_ACK : 0, 0, Buffer.from(opaque, 'hex'));
}

export function goawayFrame(lastStreamId: number, code: number): Buffer {
  return frame(FRAME_GOAWAY, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code)]));
}

export function priorityFrame(streamId: number): Buffer {
  return frame(FRAME_PRIORITY, 0, streamId, Buffer.from([0, 0, 0, 0, 15]));
}

/** One frame as it was sent. */
export interface FrameRecord {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Whole frames in `bytes`; throws when they end inside one. */
export function parseFrames(bytes: Uint8Array): FrameRecord[] {
  const frames: FrameRecord[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = readUint32(bytes, at) >>> 8;
    const end = at + FRAME_HEADER_BYTES + length;
    if (end > bytes.length) throw new Error(`bytes end inside a frame at ${at}`);
    const payload = Buffer.from(bytes.subarray(at + FRAME_HEADER_BYTES, end));
    const streamId = readUint32(bytes, at + 5) & 0x7fff_ffff;
    frames.push({ type: bytes[at + 3] as number, flags: bytes[at + 4] as number, streamId, payload });
    at = end;
  }
  return frames;
}

/** The field block that our own encoder makes, with its dynamic table. */
export function encodeWith(encoder: HpackEncoder, fields: Readonly<FieldList>): Buffer {
  const out = new ByteWriter();
  encoder.encode(fields, out);
  return Buffer.from(out.buffer.subarray(0, out.length));
}

function padded(bytes: Uint8Array, padding: number | undefined): Buffer {
  if (padding === undefined) return Buffer.from(bytes);
  return Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
