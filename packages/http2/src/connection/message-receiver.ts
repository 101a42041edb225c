// SPDX-License-Identifier: Apache-2.0
/*
 * HEADERS and CONTINUATION to requests, responses and trailers (RFC 9113 §6.2, §6.10, §8.1). Every block is decoded, also those
 * of streams that no one listens to any more, since the compression state is the connection's.
 */
import type { FieldList } from '@weft/bytes';
import { H2_CODES } from '../codes.ts';
import { PRIORITY_PAYLOAD_BYTES } from '../frame/control-frames.ts';
import { FLAG_END_HEADERS, FLAG_END_STREAM, FLAG_PADDED, FLAG_PRIORITY } from '../frame/frame-header.ts';
import type { FrameReader } from '../frame/frame-reader.ts';
import { DEFAULT_HEADER_TABLE_BYTES } from '../frame/settings.ts';
import { BlockAssembler } from '../message/block-assembler.ts';
import { NO_CONTENT_LENGTH } from '../message/field-section.ts';
import { hasNoContent, isInterimStatus, isRequestSection, isResponseSection, isTrailerSection } from '../message/message-rules.ts';
import { ANY_LENGTH, H2Stream } from '../stream/stream.ts';
import { CAUSE_LOCAL_RESET, HALF_CLOSED, HALF_HEAD } from '../stream/stream-state.ts';
import type { H2Code } from '../types.ts';
import type { ConnectionCore } from './core.ts';

/** What a block being read is for. */
const BLOCK_OF_NEW_STREAM = 0;
const BLOCK_OF_OPEN_STREAM = 1;
const BLOCK_IGNORED = 2;
type BlockUse = typeof BLOCK_OF_NEW_STREAM | typeof BLOCK_OF_OPEN_STREAM | typeof BLOCK_IGNORED;

/** What a server answers to a head over the limits (RFC 6585 §5). */
const TOO_LARGE: Readonly<FieldList> = [':status', '431', 'content-length', '0'];

/** Takes field blocks. */
export class MessageReceiver {
  private readonly core: ConnectionCore;
  private readonly reader: FrameReader;
  private readonly blocks: BlockAssembler;
  private blockStreamId = 0;
  private blockUse: BlockUse = BLOCK_IGNORED;
  private isBlockEndStream = false;
  private continuationCount = 0;

  constructor(core: ConnectionCore, reader: FrameReader) {
    const { options } = core;
    this.core = core;
    this.reader = reader;
    this.blocks = new BlockAssembler(DEFAULT_HEADER_TABLE_BYTES, options.maxHeaderListBytes, options.limits.maxFieldCount);
  }

  recvHeaders(flags: number, streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    if (streamId === 0) return this.failProtocol('HEADERS on stream 0');
    let paddingBytes = 0;
    if ((flags & FLAG_PADDED) !== 0) {
      if (start >= end) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'padded HEADERS without pad length');
      paddingBytes = chunk[start++] as number;
    }
    if ((flags & FLAG_PRIORITY) !== 0) start += PRIORITY_PAYLOAD_BYTES;
    if (start > end) return this.fail(H2_CODES.FRAME_SIZE_ERROR, 'HEADERS too short for its priority');
    end -= paddingBytes;
    if (start > end) return this.failProtocol('padding exceeds the frame');
    if (!this.placeBlock(streamId)) return false;
    this.isBlockEndStream = (flags & FLAG_END_STREAM) !== 0;
    this.continuationCount = 0;
    const isEnd = (flags & FLAG_END_HEADERS) !== 0;
    if (!isEnd) this.reader.continuationOf = streamId;
    return this.finishFragment(this.blocks.begin(chunk, start, end, isEnd), isEnd);
  }

  recvContinuation(flags: number, streamId: number, chunk: Uint8Array, start: number, end: number): boolean {
    if (this.reader.continuationOf !== streamId || streamId === 0) return this.failProtocol('CONTINUATION without HEADERS');
    this.continuationCount++;
    if (this.continuationCount > this.core.options.limits.maxContinuationFrames) {
      this.core.failFlood('too many CONTINUATION frames');
      return false;
    }
    const isEnd = (flags & FLAG_END_HEADERS) !== 0;
    if (isEnd) this.reader.continuationOf = 0;
    return this.finishFragment(this.blocks.append(chunk, start, end, isEnd), isEnd);
  }

  /** Decides what a block on this stream is for (§5.1, §5.1.1). */
  private placeBlock(streamId: number): boolean {
    const { core } = this;
    const { table } = core;
    this.blockStreamId = streamId;
    if (table.find(streamId) !== undefined) {
      this.blockUse = BLOCK_OF_OPEN_STREAM;
    } else if (core.isServer && (streamId & 1) === 1 && streamId > table.lastPeerId) {
      this.blockUse = BLOCK_OF_NEW_STREAM;
    } else if (table.wasResetByUs(streamId)) {
      this.blockUse = BLOCK_IGNORED;
    } else if (table.wasClosed(streamId)) {
      return this.fail(H2_CODES.STREAM_CLOSED, 'HEADERS on a closed stream');
    } else {
      return this.failProtocol('HEADERS on a stream that cannot be opened');
    }
    return true;
  }

  private finishFragment(code: H2Code, isEnd: boolean): boolean {
    if (code !== H2_CODES.NO_ERROR) return this.fail(code, 'field block cannot be decoded');
    if (!isEnd) return true;
    switch (this.blockUse) {
      case BLOCK_OF_NEW_STREAM:
        this.recvRequest(this.blockStreamId, this.isBlockEndStream);
        break;
      case BLOCK_OF_OPEN_STREAM:
        this.recvOnStream(this.blockStreamId, this.isBlockEndStream);
        break;
      case BLOCK_IGNORED:
        break;
    }
    return !this.core.isClosed;
  }

  private recvRequest(streamId: number, isEnd: boolean): void {
    const { core } = this;
    const { section } = this.blocks;
    const { table, sender, counters, options } = core;
    if (streamId > core.lastAcceptedId) {
      // Our GOAWAY said that it would not be looked at (§6.8).
      table.remember(streamId, CAUSE_LOCAL_RESET);
      return;
    }
    table.lastPeerId = streamId;
    const { limits } = options;
    const maxStreams = Math.min(options.maxConcurrentStreams ?? Infinity, limits.maxConcurrentStreams);
    if (table.size >= maxStreams || table.openHeadBytes > limits.maxOpenHeadBytes) {
      core.refuseId(streamId);
      return;
    }
    if (section.isOversized) {
      counters.oversizedSections++;
      sender.headers(streamId, TOO_LARGE, true);
      // The request is answered; its rest is not wanted (RFC 9113 §8.1).
      if (!isEnd) sender.rstStream(streamId, H2_CODES.NO_ERROR);
      table.remember(streamId, CAUSE_LOCAL_RESET);
      return;
    }
    if (!isRequestSection(section) || (isEnd && section.contentLength > 0)) {
      counters.malformedMessages++;
      core.rejectId(streamId, H2_CODES.PROTOCOL_ERROR);
      return;
    }
    const stream = new H2Stream(streamId, core, sender.peer.initialWindowBytes, core.recvWindowBytes, section.method, undefined);
    // After CONNECT the data is a tunnel's, of no announced length (RFC 9110 §9.3.6).
    stream.expectedBytes = stream.isConnectRequest ? ANY_LENGTH : section.contentLength;
    stream.headBytes = section.listBytes;
    stream.state.recvHead(isEnd);
    table.open(stream);
    counters.streamsOpened++;
    stream.sink = core.sink.onRequest(stream, section.fields, isEnd);
  }

  private recvOnStream(streamId: number, isEnd: boolean): void {
    const { core } = this;
    const { section } = this.blocks;
    const stream = core.table.find(streamId);
    if (stream === undefined) return;
    if (stream.state.recvState === HALF_CLOSED) {
      core.resetForPeer(stream, H2_CODES.STREAM_CLOSED);
    } else if (section.isOversized) {
      core.counters.oversizedSections++;
      core.resetForPeer(stream, H2_CODES.ENHANCE_YOUR_CALM);
    } else if (stream.state.recvState === HALF_HEAD) {
      this.recvResponse(stream, isEnd);
    } else {
      this.recvTrailers(stream, isEnd);
    }
  }

  private recvResponse(stream: H2Stream, isEnd: boolean): void {
    const { core } = this;
    const { section } = this.blocks;
    if (!isResponseSection(section)) {
      this.recvMalformed(stream);
    } else if (isInterimStatus(section)) {
      if (stream.state.recvInterim(isEnd) !== H2_CODES.NO_ERROR) {
        this.recvMalformed(stream);
      } else if (++stream.interimCount > core.options.limits.maxInterimHeads) {
        core.resetForPeer(stream, H2_CODES.ENHANCE_YOUR_CALM);
      } else {
        stream.sink?.onInterim(section.fields);
      }
    } else {
      stream.expectedBytes = expectedBytes(stream, section.status, section.contentLength);
      if (isEnd && !stream.isLengthRight(true)) {
        this.recvMalformed(stream);
        return;
      }
      stream.state.recvHead(isEnd);
      stream.sink?.onHeaders(section.fields, isEnd);
      if (isEnd) core.settle(stream);
    }
  }

  private recvTrailers(stream: H2Stream, isEnd: boolean): void {
    const { section } = this.blocks;
    if (!isEnd || !isTrailerSection(section) || !stream.isLengthRight(true)) {
      this.recvMalformed(stream);
      return;
    }
    stream.state.recvTrailers(true);
    stream.sink?.onTrailers(section.fields);
    this.core.settle(stream);
  }

  private recvMalformed(stream: H2Stream): void {
    this.core.counters.malformedMessages++;
    this.core.resetForPeer(stream, H2_CODES.PROTOCOL_ERROR);
  }

  private failProtocol(message: string): false {
    return this.fail(H2_CODES.PROTOCOL_ERROR, message);
  }

  private fail(code: H2Code, message: string): false {
    this.core.fail(code, message);
    return false;
  }
}

/** How much data a response has to bring (RFC 9110 §6.4.1, §8.6). */
function expectedBytes(stream: H2Stream, status: string, contentLength: number): number {
  if (stream.isHeadRequest || hasNoContent(status)) return 0;
  if (stream.isConnectRequest && status.charCodeAt(0) === 0x32) return ANY_LENGTH;
  return contentLength === NO_CONTENT_LENGTH ? ANY_LENGTH : contentLength;
}
