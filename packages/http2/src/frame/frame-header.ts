// SPDX-License-Identifier: Apache-2.0
/*
 * The nine octets before every frame (RFC 9113 §4.1), the frame types (§6) and their flags.
 *
 *   +-----------------------------------------------+
 *   |                 Length (24)                   |
 *   +---------------+---------------+---------------+
 *   |   Type (8)    |   Flags (8)   |
 *   +-+-------------+---------------+-------------------------------+
 *   |R|                 Stream Identifier (31)                      |
 *   +-+-------------------------------------------------------------+
 */
import type { ByteWriter } from '@weft/bytes';

/** Octets of a frame header. */
export const FRAME_HEADER_BYTES = 9;

/** Frame types. */
export const FRAME_DATA = 0x0;
export const FRAME_HEADERS = 0x1;
export const FRAME_PRIORITY = 0x2;
export const FRAME_RST_STREAM = 0x3;
export const FRAME_SETTINGS = 0x4;
export const FRAME_PUSH_PROMISE = 0x5;
export const FRAME_PING = 0x6;
export const FRAME_GOAWAY = 0x7;
export const FRAME_WINDOW_UPDATE = 0x8;
export const FRAME_CONTINUATION = 0x9;

/** Flags; ACK and END_STREAM share a bit, on different types. */
export const FLAG_ACK = 0x1;
export const FLAG_END_STREAM = 0x1;
export const FLAG_END_HEADERS = 0x4;
export const FLAG_PADDED = 0x8;
export const FLAG_PRIORITY = 0x20;

/** Appends a frame header; `payloadBytes` of payload have to follow, and room for them is reserved too. */
export function writeFrameHeader(out: ByteWriter, payloadBytes: number, type: number, flags: number, streamId: number): void {
  out.reserve(FRAME_HEADER_BYTES + payloadBytes);
  putFrameHeader(out.buffer, out.length, payloadBytes, type, flags, streamId);
  out.length += FRAME_HEADER_BYTES;
}

/** Stores a frame header at `buffer[at, at + 9)`. */
export function putFrameHeader(buffer: Uint8Array, at: number, payloadBytes: number, type: number, flags: number, streamId: number): void {
  buffer[at] = payloadBytes >>> 16;
  buffer[at + 1] = payloadBytes >>> 8;
  buffer[at + 2] = payloadBytes;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  buffer[at + 5] = streamId >>> 24;
  buffer[at + 6] = streamId >>> 16;
  buffer[at + 7] = streamId >>> 8;
  buffer[at + 8] = streamId;
}

/** The unsigned 32-bit number at `chunk[at, at + 4)`. */
export function readUint32(chunk: Uint8Array, at: number): number {
  return (
    (((chunk[at] as number) << 24) | ((chunk[at + 1] as number) << 16) | ((chunk[at + 2] as number) << 8) | (chunk[at + 3] as number)) >>> 0
  );
}

/** Appends an unsigned 32-bit number. */
export function writeUint32(out: ByteWriter, value: number): void {
  out.reserve(4);
  const { buffer, length } = out;
  buffer[length] = value >>> 24;
  buffer[length + 1] = value >>> 16;
  buffer[length + 2] = value >>> 8;
  buffer[length + 3] = value;
  out.length = length + 4;
}
