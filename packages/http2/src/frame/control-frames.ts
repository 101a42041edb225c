// SPDX-License-Identifier: Apache-2.0
/*
 * Writers of the small frames of fixed layout: RST_STREAM (RFC 9113 §6.4), PING (§6.7), GOAWAY (§6.8) and
 * WINDOW_UPDATE (§6.9). Reading them is one `readUint32` each and lives with the rules that judge them.
 */
import type { ByteWriter } from '@weft/bytes';
import type { H2Code } from '../types.ts';
import {
  FLAG_ACK,
  FRAME_GOAWAY,
  FRAME_PING,
  FRAME_RST_STREAM,
  FRAME_WINDOW_UPDATE,
  writeFrameHeader,
  writeUint32,
} from './frame-header.ts';

/** Payload octets of each fixed-size frame. */
export const PRIORITY_PAYLOAD_BYTES = 5;
export const RST_STREAM_PAYLOAD_BYTES = 4;
export const PING_PAYLOAD_BYTES = 8;
export const WINDOW_UPDATE_PAYLOAD_BYTES = 4;
/** The least a GOAWAY carries; debug data may follow. */
export const GOAWAY_MIN_PAYLOAD_BYTES = 8;

/** Ends one stream with `code`. */
export function writeRstStream(out: ByteWriter, streamId: number, code: H2Code): void {
  writeFrameHeader(out, RST_STREAM_PAYLOAD_BYTES, FRAME_RST_STREAM, 0, streamId);
  writeUint32(out, code);
}

/** Eight opaque octets as two 32-bit halves. */
export function writePing(out: ByteWriter, isAck: boolean, high: number, low: number): void {
  writeFrameHeader(out, PING_PAYLOAD_BYTES, FRAME_PING, isAck ? FLAG_ACK : 0, 0);
  writeUint32(out, high);
  writeUint32(out, low);
}

/** No debug data: it would tell a peer about our insides. */
export function writeGoaway(out: ByteWriter, lastStreamId: number, code: H2Code): void {
  writeFrameHeader(out, GOAWAY_MIN_PAYLOAD_BYTES, FRAME_GOAWAY, 0, 0);
  writeUint32(out, lastStreamId);
  writeUint32(out, code);
}

/** Stream 0 means the connection. `incrementBytes` is 1 … 2^31 − 1. */
export function writeWindowUpdate(out: ByteWriter, streamId: number, incrementBytes: number): void {
  writeFrameHeader(out, WINDOW_UPDATE_PAYLOAD_BYTES, FRAME_WINDOW_UPDATE, 0, streamId);
  writeUint32(out, incrementBytes);
}
