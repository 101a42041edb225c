// SPDX-License-Identifier: Apache-2.0
/*
 * The sending side of a connection: frames into the output buffer, under the peer's windows (RFC 9113 §5.2), the budgets of a
 * turn and the socket's backpressure. Data that may go goes at once, without a copy in between; the rest waits in its stream's
 * queue for `flush`. Heads and control frames are never held back: they have no flow control, and limits elsewhere bound them.
 */
import { ByteQueue, type ByteWriter, type FieldList } from '@weft/bytes';
import { H2UsageError } from '../errors.ts';
import { SendWindow } from '../flow-window.ts';
import { writeGoaway, writePing, writeRstStream, writeWindowUpdate } from '../frame/control-frames.ts';
import {
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_CONTINUATION,
  FRAME_DATA,
  FRAME_HEADERS,
  FRAME_HEADER_BYTES,
  putFrameHeader,
  readUint32,
} from '../frame/frame-header.ts';
import { DEFAULT_HEADER_TABLE_BYTES, DEFAULT_WINDOW_BYTES, PeerSettings, writeSettingsAck } from '../frame/settings.ts';
import { HpackEncoder } from '../hpack/encoder.ts';
import type { H2Stream } from '../stream/stream.ts';
import { HALF_CLOSED } from '../stream/stream-state.ts';
import type { H2Code, H2Limits } from '../types.ts';
import { SendScheduler } from './send-scheduler.ts';

/** One DATA frame of ours carries at most this much, however much the peer would take, so that streams share fairly. */
const MAX_DATA_FRAME_BYTES = 16_384;

/** What the sender tells its connection. */
export interface SenderHost {
  /** Something was written outside of `flush`. */
  onSenderOutput(): void;
  /** END_STREAM went out on this stream. */
  onSendEnded(stream: H2Stream): void;
  /** Trailers that waited behind data cannot be encoded. */
  onTrailersFailed(stream: H2Stream): void;
}

/** Writes frames. */
export class Sender {
  readonly peer: PeerSettings = new PeerSettings();
  readonly window: SendWindow = new SendWindow(DEFAULT_WINDOW_BYTES);
  isBlocked = false;
  /**
   * Answers that the peer made us write since the socket last took bytes: ACKs and RST_STREAM. Window updates do not count:
   * each stands for half a window of data.
   */
  pendingControlBytes = 0;
  private readonly out: ByteWriter;
  private readonly host: SenderHost;
  private readonly limits: H2Limits;
  private readonly encoder: HpackEncoder = new HpackEncoder(DEFAULT_HEADER_TABLE_BYTES);
  private readonly ready: SendScheduler = new SendScheduler();
  /** Streams that used up their budget of this turn. */
  private readonly spent: SendScheduler = new SendScheduler();
  private turn = 1;
  private turnBytes = 0;
  /** Where the last DATA or HEADERS frame of this turn begins, while nothing follows it in the output; -1 otherwise. */
  private lastFrameAt = -1;
  private lastFrameEnd = -1;
  private lastFrameStreamId = 0;

  constructor(out: ByteWriter, host: SenderHost, limits: H2Limits) {
    this.out = out;
    this.host = host;
    this.limits = limits;
  }

  ackSettings(): void {
    const start = this.out.length;
    writeSettingsAck(this.out);
    this.countControl(start);
  }

  /** Takes over a setting that the encoder must obey. */
  applyPeerTableSize(): void {
    this.encoder.setPeerMaxTableBytes(this.peer.headerTableBytes);
  }

  ping(isAck: boolean, high: number, low: number): void {
    const start = this.out.length;
    writePing(this.out, isAck, high, low);
    this.countControl(start);
  }

  goaway(lastStreamId: number, code: H2Code): void {
    writeGoaway(this.out, lastStreamId, code);
    this.host.onSenderOutput();
  }

  rstStream(streamId: number, code: H2Code): void {
    const start = this.out.length;
    writeRstStream(this.out, streamId, code);
    this.countControl(start);
  }

  windowUpdate(streamId: number, incrementBytes: number): void {
    writeWindowUpdate(this.out, streamId, incrementBytes);
    this.host.onSenderOutput();
  }

  /** HEADERS, and CONTINUATION where the peer's frame size asks for it. Throws H2UsageError, and then nothing was written. */
  headers(streamId: number, fields: Readonly<FieldList>, isEnd: boolean): void {
    const { out } = this;
    out.reserve(FRAME_HEADER_BYTES + fields.length * 8);
    const at = out.length;
    out.length = at + FRAME_HEADER_BYTES;
    try {
      this.encoder.encode(fields, out);
    } catch (error) {
      out.length = at;
      this.encoder.abandonBlock();
      throw error;
    }
    const endFlag = isEnd ? FLAG_END_STREAM : 0;
    const blockBytes = out.length - at - FRAME_HEADER_BYTES;
    if (blockBytes <= this.peer.maxFrameBytes) {
      putFrameHeader(out.buffer, at, blockBytes, FRAME_HEADERS, FLAG_END_HEADERS | endFlag, streamId);
      this.lastFrameAt = at;
      this.lastFrameEnd = out.length;
      this.lastFrameStreamId = streamId;
    } else {
      this.splitBlock(streamId, at, blockBytes, endFlag);
    }
    this.host.onSenderOutput();
  }

  /** `StreamPort.sendData`: returns false above the stream's mark. The caller has checked the stream's state. */
  data(stream: H2Stream, chunk: Uint8Array, start: number, end: number, isEnd: boolean): boolean {
    const queue = stream.queue;
    if (queue === undefined || queue.length === 0) {
      const sent = this.sendNow(stream, chunk, start, end, isEnd);
      start += sent;
      if (start === end) {
        if (isEnd && sent === 0) this.endNow(stream);
        return true;
      }
    }
    stream.queue ??= new ByteQueue(this.out.source);
    stream.queue.push(chunk, start, end);
    if (isEnd) stream.isEndQueued = true;
    this.schedule(stream);
    if (stream.queue.length <= this.limits.streamSendMarkBytes) return true;
    stream.wantsWritable = true;
    return false;
  }

  /** Trailers, now or after what waits. The caller has checked the stream's state. */
  trailers(stream: H2Stream, fields: Readonly<FieldList>): void {
    if (stream.queuedBytes > 0) {
      stream.isEndQueued = true;
      stream.queuedTrailers = fields;
    } else {
      this.endWithTrailers(stream, fields);
    }
  }

  /** Forgets what waits on a stream that was reset. */
  drop(stream: H2Stream): void {
    stream.queue?.clear();
    stream.queuedTrailers = undefined;
    stream.wantsWritable = false;
  }

  /** Puts a stream that has data waiting into the ring, if its window lets it send. */
  schedule(stream: H2Stream): void {
    if (stream.queuedBytes > 0 && stream.sendWindow.availableBytes > 0) {
      this.ready.add(stream);
      this.host.onSenderOutput();
    }
  }

  /** The connection's window opened: what waits can be sent by the next `flush`. */
  resume(): void {
    if (!this.ready.isEmpty) this.host.onSenderOutput();
  }

  /** The end of a turn, see `H2Connection.flush`. */
  flush(): boolean {
    if (this.isBlocked) {
      this.endTurn();
      return false;
    }
    this.pendingControlBytes = 0;
    const maxBytes = this.limits.maxConnectionBytesPerTurn;
    while (this.window.availableBytes > 0 && this.turnBytes < maxBytes) {
      const stream = this.ready.shift();
      if (stream === undefined) break;
      this.sendQueued(stream);
    }
    this.endTurn();
    return !this.ready.isEmpty && this.window.availableBytes > 0;
  }

  private endTurn(): void {
    this.ready.addAll(this.spent);
    this.turn++;
    this.turnBytes = 0;
    this.lastFrameAt = -1;
  }

  /** Sends one frame of what waits, then gives the turn to the next stream. */
  private sendQueued(stream: H2Stream): void {
    const { queue } = stream;
    if (queue === undefined || queue.length === 0) return;
    if (stream.sendWindow.availableBytes <= 0) return;
    const bytes = Math.min(queue.length, this.allowance(stream));
    if (bytes <= 0) {
      this.spent.add(stream);
      return;
    }
    const isLast = bytes === queue.length;
    const isEnd = isLast && stream.isEndQueued && stream.queuedTrailers === undefined;
    this.beginData(stream, bytes, isEnd);
    queue.moveTo(this.out, bytes);
    this.lastFrameEnd = this.out.length;
    this.count(stream, bytes);
    if (isEnd) {
      this.endSend(stream);
    } else if (isLast && stream.queuedTrailers !== undefined) {
      this.endWithQueuedTrailers(stream, stream.queuedTrailers);
    } else if (!isLast) {
      if (stream.sendWindow.availableBytes > 0) this.ready.add(stream);
    }
    if (stream.wantsWritable && queue.length * 2 <= this.limits.streamSendMarkBytes) {
      stream.wantsWritable = false;
      if (stream.state.sendState !== HALF_CLOSED) stream.sink?.onWritable();
    }
  }

  /** Sends what is allowed of `chunk[start, end)` at once; returns how much that was. */
  private sendNow(stream: H2Stream, chunk: Uint8Array, start: number, end: number, isEnd: boolean): number {
    // Others wait for the same window or budget: no overtaking.
    if (this.isBlocked || !this.ready.isEmpty) return 0;
    const total = end - start;
    let sent = 0;
    while (sent < total) {
      const bytes = Math.min(total - sent, this.allowance(stream));
      if (bytes <= 0) break;
      const isLast = sent + bytes === total;
      this.beginData(stream, bytes, isLast && isEnd);
      this.out.writeBytes(chunk, start + sent, start + sent + bytes);
      this.lastFrameEnd = this.out.length;
      this.count(stream, bytes);
      sent += bytes;
      if (isLast && isEnd) this.endSend(stream);
    }
    if (sent > 0) this.host.onSenderOutput();
    return sent;
  }

  /** How much the stream may put into one frame now. */
  private allowance(stream: H2Stream): number {
    if (stream.turn !== this.turn) {
      stream.turn = this.turn;
      stream.turnBytes = 0;
    }
    return Math.min(
      MAX_DATA_FRAME_BYTES,
      stream.sendWindow.availableBytes,
      this.window.availableBytes,
      this.limits.maxStreamBytesPerTurn - stream.turnBytes,
      this.limits.maxConnectionBytesPerTurn - this.turnBytes,
    );
  }

  private beginData(stream: H2Stream, bytes: number, isEnd: boolean): void {
    const { out } = this;
    out.reserve(FRAME_HEADER_BYTES + bytes);
    this.lastFrameAt = out.length;
    this.lastFrameStreamId = stream.id;
    putFrameHeader(out.buffer, out.length, bytes, FRAME_DATA, isEnd ? FLAG_END_STREAM : 0, stream.id);
    out.length += FRAME_HEADER_BYTES;
  }

  private count(stream: H2Stream, bytes: number): void {
    stream.sendWindow.availableBytes -= bytes;
    stream.turnBytes += bytes;
    this.window.availableBytes -= bytes;
    this.turnBytes += bytes;
  }

  /** END_STREAM without data: on the frame just written where that is this stream's, else in an empty DATA frame. */
  private endNow(stream: H2Stream): void {
    const { out } = this;
    const at = this.lastFrameAt;
    if (
      at >= 0 &&
      this.lastFrameStreamId === stream.id &&
      this.lastFrameEnd === out.length &&
      readUint32(out.buffer, at + 5) === stream.id
    ) {
      const flagsAt = at + 4;
      out.buffer[flagsAt] = (out.buffer[flagsAt] as number) | FLAG_END_STREAM;
    } else {
      this.beginData(stream, 0, true);
      this.lastFrameEnd = out.length;
    }
    this.endSend(stream);
    this.host.onSenderOutput();
  }

  /** `flush` serves every stream, so what one owner did wrong must not break out of it. */
  private endWithQueuedTrailers(stream: H2Stream, fields: Readonly<FieldList>): void {
    try {
      this.endWithTrailers(stream, fields);
    } catch (error) {
      if (!(error instanceof H2UsageError)) throw error;
      this.host.onTrailersFailed(stream);
    }
  }

  private endWithTrailers(stream: H2Stream, fields: Readonly<FieldList>): void {
    stream.queuedTrailers = undefined;
    this.headers(stream.id, fields, true);
    this.endSend(stream);
  }

  private endSend(stream: H2Stream): void {
    stream.isEndQueued = true;
    stream.state.sendData(true);
    this.host.onSendEnded(stream);
  }

  /** Rewrites a block that was written behind one header into frames of the peer's size. */
  private splitBlock(streamId: number, at: number, blockBytes: number, endFlag: number): void {
    const { out } = this;
    const frameBytes = this.peer.maxFrameBytes;
    const frames = Math.ceil(blockBytes / frameBytes);
    out.reserve((frames - 1) * FRAME_HEADER_BYTES);
    const { buffer } = out;
    // From the last frame to the first, so that no octet is overwritten before it has moved.
    for (let frame = frames - 1; frame >= 0; frame--) {
      const from = at + FRAME_HEADER_BYTES + frame * frameBytes;
      const bytes = Math.min(frameBytes, blockBytes - frame * frameBytes);
      const to = from + frame * FRAME_HEADER_BYTES;
      buffer.copyWithin(to, from, from + bytes);
      const flags = (frame === frames - 1 ? FLAG_END_HEADERS : 0) | (frame === 0 ? endFlag : 0);
      putFrameHeader(buffer, to - FRAME_HEADER_BYTES, bytes, frame === 0 ? FRAME_HEADERS : FRAME_CONTINUATION, flags, streamId);
    }
    out.length += (frames - 1) * FRAME_HEADER_BYTES;
    this.lastFrameAt = -1;
  }

  private countControl(start: number): void {
    this.pendingControlBytes += this.out.length - start;
    this.host.onSenderOutput();
  }
}
