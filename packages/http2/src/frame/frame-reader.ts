// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes to frames (RFC 9113 §4). A frame that lies within one chunk is handed out in place as offsets. Of frames that span
 * chunks, DATA is passed on piece by piece, unknown types are skipped, and the others are gathered, which the announced
 * maximum frame size bounds. Also owns two rules of sequence: the client preface comes first (§3.4), and nothing comes
 * between the frames of one field block (§6.10). What a frame means is the handler's.
 */
import { Buffer } from 'node:buffer';
import { H2_CODES } from '../codes.ts';
import type { H2Code } from '../types.ts';
import { FLAG_END_STREAM, FLAG_PADDED, FRAME_CONTINUATION, FRAME_DATA, FRAME_HEADER_BYTES, readUint32 } from './frame-header.ts';

/** The octets a client sends first (RFC 9113 §3.4). */
export const CLIENT_PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Takes frames. Each method returns false when the connection is over and the rest of the bytes must not be looked at. */
export interface FrameHandler {
  /** A whole frame of any type but DATA; the payload is `chunk[start, end)`, valid during the call. */
  recvFrame(type: number, flags: number, streamId: number, chunk: Uint8Array, start: number, end: number): boolean;
  /** A DATA frame begins: `dataBytes` of data in `payloadBytes` that count against flow control. */
  recvDataStart(streamId: number, payloadBytes: number, dataBytes: number, isEndStream: boolean): boolean;
  /** Some of that data, `isLast` with its end (at once, and empty, for an empty frame). */
  recvDataBytes(chunk: Uint8Array, start: number, end: number, isLast: boolean): boolean;
  /** A connection error found while framing. */
  recvFramingError(code: H2Code, message: string): void;
}

/** Where the reader stands between two chunks. */
const AT_PREFACE = 0;
const AT_HEADER = 1;
const AT_GATHER = 2;
const AT_PAD_LENGTH = 3;
const AT_DATA = 4;
const AT_SKIP = 5;
type ReaderState = typeof AT_PREFACE | typeof AT_HEADER | typeof AT_GATHER | typeof AT_PAD_LENGTH | typeof AT_DATA | typeof AT_SKIP;

const EMPTY: Buffer = Buffer.alloc(0);

/** Splits what a peer sends into frames. */
export class FrameReader {
  /** While not 0, only CONTINUATION of this stream may come. Set and cleared by the handler. */
  continuationOf = 0;
  /** Frames begun. */
  frameCount = 0;
  private readonly handler: FrameHandler;
  private readonly maxFrameBytes: number;
  private state: ReaderState;
  private prefaceBytes = 0;
  /** The payload of a frame that spans chunks. */
  private gathered: Buffer = EMPTY;
  private gatheredBytes = 0;
  /** A header that spans chunks; made when the first one does. */
  private header: Uint8Array = EMPTY;
  private headerBytes = 0;
  private type = 0;
  private flags = 0;
  private streamId = 0;
  private payloadBytes = 0;
  /** Data, or bytes to skip, still to come. */
  private remainingBytes = 0;
  private paddingBytes = 0;

  constructor(handler: FrameHandler, maxFrameBytes: number, expectPreface: boolean) {
    this.handler = handler;
    this.maxFrameBytes = maxFrameBytes;
    this.state = expectPreface ? AT_PREFACE : AT_HEADER;
  }

  /** Reads `chunk[start, end)`. False: the connection is over. */
  push(chunk: Uint8Array, start: number, end: number): boolean {
    let at = start;
    while (at < end) {
      switch (this.state) {
        case AT_HEADER: {
          if (this.headerBytes === 0 && end - at >= FRAME_HEADER_BYTES) {
            if (!this.beginFrame(chunk, at)) return false;
            at += FRAME_HEADER_BYTES;
          } else {
            if (this.header === EMPTY) this.header = new Uint8Array(FRAME_HEADER_BYTES);
            while (at < end && this.headerBytes < FRAME_HEADER_BYTES) this.header[this.headerBytes++] = chunk[at++] as number;
            if (this.headerBytes < FRAME_HEADER_BYTES) return true;
            this.headerBytes = 0;
            if (!this.beginFrame(this.header, 0)) return false;
          }
          const next = this.readInPlace(chunk, at, end);
          if (next < 0) return false;
          at = next;
          break;
        }
        case AT_DATA: {
          const bytes = Math.min(this.remainingBytes, end - at);
          this.remainingBytes -= bytes;
          const isLast = this.remainingBytes === 0;
          if (isLast) this.beginSkip(this.paddingBytes);
          const dataStart = at;
          at += bytes;
          if (!this.handler.recvDataBytes(chunk, dataStart, at, isLast)) return false;
          break;
        }
        case AT_PAD_LENGTH: {
          this.paddingBytes = chunk[at++] as number;
          if (this.paddingBytes >= this.payloadBytes) return this.fail(H2_CODES.PROTOCOL_ERROR, 'padding exceeds the frame');
          if (!this.beginData(this.payloadBytes - 1 - this.paddingBytes)) return false;
          if (this.remainingBytes === 0 && !this.endEmptyData(chunk, at)) return false;
          break;
        }
        case AT_SKIP: {
          const bytes = Math.min(this.remainingBytes, end - at);
          this.remainingBytes -= bytes;
          at += bytes;
          if (this.remainingBytes === 0) this.state = AT_HEADER;
          break;
        }
        case AT_GATHER: {
          if (this.gatheredBytes === 0) this.gathered = Buffer.allocUnsafeSlow(this.payloadBytes);
          const bytes = Math.min(this.payloadBytes - this.gatheredBytes, end - at);
          this.gathered.set(chunk.subarray(at, at + bytes), this.gatheredBytes);
          this.gatheredBytes += bytes;
          at += bytes;
          if (this.gatheredBytes < this.payloadBytes) return true;
          const payload = this.gathered;
          this.gathered = EMPTY;
          this.gatheredBytes = 0;
          this.state = AT_HEADER;
          if (!this.handler.recvFrame(this.type, this.flags, this.streamId, payload, 0, payload.length)) return false;
          break;
        }
        case AT_PREFACE: {
          if (chunk[at++] !== CLIENT_PREFACE.charCodeAt(this.prefaceBytes++)) {
            return this.fail(H2_CODES.PROTOCOL_ERROR, 'not the HTTP/2 client preface');
          }
          if (this.prefaceBytes === CLIENT_PREFACE.length) this.state = AT_HEADER;
          break;
        }
      }
    }
    return true;
  }

  /** Takes the header at `chunk[at, at + 9)` and chooses how its payload is read. */
  private beginFrame(chunk: Uint8Array, at: number): boolean {
    const length = ((chunk[at] as number) << 16) | ((chunk[at + 1] as number) << 8) | (chunk[at + 2] as number);
    const type = chunk[at + 3] as number;
    const streamId = readUint32(chunk, at + 5) & 0x7fff_ffff;
    this.frameCount++;
    this.type = type;
    this.flags = chunk[at + 4] as number;
    this.streamId = streamId;
    this.payloadBytes = length;
    if (length > this.maxFrameBytes) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'frame longer than announced');
    if (this.continuationOf !== 0 && (type !== FRAME_CONTINUATION || streamId !== this.continuationOf)) {
      return this.fail(H2_CODES.PROTOCOL_ERROR, 'frame inside a field block');
    }
    if (type === FRAME_DATA) {
      this.paddingBytes = 0;
      if ((this.flags & FLAG_PADDED) === 0) return this.beginData(length);
      if (length === 0) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'padded DATA without pad length');
      this.state = AT_PAD_LENGTH;
    } else if (type > FRAME_CONTINUATION) {
      // Still shown to the handler (empty), which counts it.
      this.beginSkip(length);
      return this.handler.recvFrame(type, this.flags, streamId, chunk, at, at);
    } else {
      this.state = AT_GATHER;
    }
    return true;
  }

  /** What can be settled at once after a header: whole frames, empty DATA. Returns where reading goes on, -1 for over. */
  private readInPlace(chunk: Uint8Array, at: number, end: number): number {
    if (this.state === AT_GATHER) {
      const payloadEnd = at + this.payloadBytes;
      if (payloadEnd > end) return at;
      this.state = AT_HEADER;
      return this.handler.recvFrame(this.type, this.flags, this.streamId, chunk, at, payloadEnd) ? payloadEnd : -1;
    }
    if (this.state === AT_DATA && this.remainingBytes === 0) return this.endEmptyData(chunk, at) ? at : -1;
    return at;
  }

  private beginData(dataBytes: number): boolean {
    this.state = AT_DATA;
    this.remainingBytes = dataBytes;
    return this.handler.recvDataStart(this.streamId, this.payloadBytes, dataBytes, (this.flags & FLAG_END_STREAM) !== 0);
  }

  /** An empty DATA frame is complete at once, even where the chunk ends there. */
  private endEmptyData(chunk: Uint8Array, at: number): boolean {
    this.beginSkip(this.paddingBytes);
    return this.handler.recvDataBytes(chunk, at, at, true);
  }

  private beginSkip(bytes: number): void {
    this.remainingBytes = bytes;
    this.state = bytes === 0 ? AT_HEADER : AT_SKIP;
  }

  private fail(code: H2Code, message: string): false {
    this.handler.recvFramingError(code, message);
    return false;
  }
}
