// SPDX-License-Identifier: Apache-2.0
/*
 * What both sides of a connection share: its options, streams and life. Here streams open by our request and close, errors of
 * either scope are carried out (RFC 9113 §5.4), and the connection is drained (§6.8) or ended.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';
import { H2_CODES } from '../codes.ts';
import { H2UsageError } from '../errors.ts';
import { DEFAULT_WINDOW_BYTES } from '../frame/settings.ts';
import { RateWindow } from '../rate-window.ts';
import { H2Stream, type StreamPort } from '../stream/stream.ts';
import { CAUSE_CONNECTION, CAUSE_LOCAL_RESET, type CloseCause, HALF_BODY, HALF_CLOSED, HALF_HEAD } from '../stream/stream-state.ts';
import { StreamTable } from '../stream/stream-table.ts';
import type { H2Code, H2ConnectionSink, H2StreamSink } from '../types.ts';
import type { H2ConnectionError, H2Counters } from './outcome.ts';
import type { ResolvedOptions } from './options.ts';
import { Sender, type SenderHost } from './sender.ts';

/** The largest stream identifier; also "no limit yet" in a first GOAWAY (§6.8). */
const MAX_STREAM_ID = 0x7fff_ffff;

/** Opaque data of the PING that follows a graceful GOAWAY; the one the reference proxy sends. */
const SHUTDOWN_PING_HIGH = 0x0b7b_a2f0;
const SHUTDOWN_PING_LOW = 0x8b9b_fe54;

/** The middle of a connection. */
export class ConnectionCore implements SenderHost, StreamPort {
  readonly options: ResolvedOptions;
  readonly isServer: boolean;
  readonly sink: H2ConnectionSink;
  readonly table: StreamTable;
  readonly sender: Sender;
  readonly counters: H2Counters;
  error: H2ConnectionError | undefined = undefined;
  isClosed = false;
  isGoawaySent = false;
  isGoawayReceived = false;
  /** Streams of the peer above this are ignored, as our GOAWAY said. */
  lastAcceptedId: number = MAX_STREAM_ID;
  /** The clock of the chunk being received. */
  nowMs = 0;
  /** The receiving window that new streams get. */
  recvWindowBytes: number;
  private readonly localResetRate: RateWindow;
  private isShutdownPingOut = false;
  private isOutputTold = false;
  private isFlushing = false;

  constructor(options: ResolvedOptions, sink: H2ConnectionSink, out: ByteWriter, counters: H2Counters) {
    this.options = options;
    this.isServer = options.role === 'server';
    this.sink = sink;
    this.counters = counters;
    this.table = new StreamTable(this.isServer);
    this.sender = new Sender(out, this, options.limits);
    // A peer that has not seen our SETTINGS yet may count on the initial value (§6.9.2).
    this.recvWindowBytes = Math.max(options.initialStreamWindowBytes, DEFAULT_WINDOW_BYTES);
    this.localResetRate = new RateWindow(options.limits.maxLocalResets, options.limits.resetWindowMs);
  }

  // Life of the connection.

  get canRequest(): boolean {
    return (
      !this.isServer &&
      !this.isClosed &&
      !this.isGoawayReceived &&
      !this.isGoawaySent &&
      this.table.size < this.sender.peer.maxConcurrentStreams &&
      this.table.lastOwnId <= MAX_STREAM_ID - 2
    );
  }

  request(fields: Readonly<FieldList>, isEnd: boolean, sink: H2StreamSink): H2Stream | undefined {
    if (!this.canRequest) return undefined;
    const { table, sender } = this;
    const id = table.lastOwnId === 0 ? 1 : table.lastOwnId + 2;
    // First, for it may throw; then the identifier is free as before.
    sender.headers(id, fields, isEnd);
    table.lastOwnId = id;
    const stream = new H2Stream(id, this, sender.peer.initialWindowBytes, this.recvWindowBytes, methodOf(fields), sink);
    table.open(stream);
    this.counters.streamsOpened++;
    stream.state.sendHead(isEnd);
    return stream;
  }

  flush(): boolean {
    this.isFlushing = true;
    const hasMore = this.sender.flush();
    this.isFlushing = false;
    this.isOutputTold = false;
    return hasMore;
  }

  ping(opaque: number): void {
    if (this.isClosed) return;
    this.sender.ping(false, Math.floor(opaque / 2 ** 32), opaque >>> 0);
  }

  goaway(code: H2Code): void {
    if (this.isClosed) return;
    this.isGoawaySent = true;
    this.isShutdownPingOut = false;
    this.lastAcceptedId = Math.min(this.lastAcceptedId, this.table.lastPeerId);
    this.sender.goaway(this.lastAcceptedId, code);
  }

  shutdown(): void {
    if (this.isClosed || this.isGoawaySent) return;
    if (!this.isServer) {
      this.goaway(H2_CODES.NO_ERROR);
      return;
    }
    this.isGoawaySent = true;
    this.isShutdownPingOut = true;
    this.sender.goaway(MAX_STREAM_ID, H2_CODES.NO_ERROR);
    this.sender.ping(false, SHUTDOWN_PING_HIGH, SHUTDOWN_PING_LOW);
  }

  finishShutdown(): void {
    if (this.isShutdownPingOut) this.goaway(H2_CODES.NO_ERROR);
  }

  /** The GOAWAY that names the last stream is out: whatever the peer sent before it knew has been taken or refused. */
  get isFinalGoawaySent(): boolean {
    return this.isGoawaySent && !this.isShutdownPingOut;
  }

  /** ACK of a PING: of the shutdown's, or of the owner's. */
  recvPong(high: number, low: number): void {
    if (this.isShutdownPingOut && high === SHUTDOWN_PING_HIGH && low === SHUTDOWN_PING_LOW) this.finishShutdown();
    else this.sink.onPong(high * 2 ** 32 + low);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.endStreams(H2_CODES.INTERNAL_ERROR);
  }

  /** A connection error (§5.4.1): GOAWAY, and every stream is told. */
  fail(code: H2Code, message: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.error = { code, message };
    this.isGoawaySent = true;
    this.sender.goaway(Math.min(this.lastAcceptedId, this.table.lastPeerId), code);
    this.endStreams(code);
  }

  /** A peer did something too often. */
  failFlood(message: string): void {
    this.counters.floods++;
    this.fail(H2_CODES.ENHANCE_YOUR_CALM, message);
  }

  // Life of streams.

  /** A stream error of the peer's making (§5.4.2). Such resets are counted: a peer may cause them while its request still works. */
  resetForPeer(stream: H2Stream, code: H2Code): void {
    this.endStream(stream, CAUSE_LOCAL_RESET);
    this.countLocalReset(stream.id, code);
    stream.sink?.onReset(code, 'local');
  }

  /** The same for a stream without object. */
  rejectId(id: number, code: H2Code): void {
    this.table.remember(id, CAUSE_LOCAL_RESET);
    this.countLocalReset(id, code);
  }

  private countLocalReset(id: number, code: H2Code): void {
    this.counters.localResets++;
    this.sender.rstStream(id, code);
    if (!this.localResetRate.add(1, this.nowMs)) this.failFlood('made us reset too many streams');
  }

  /** Too many streams are open: nothing was done for this one, and the peer may try again. */
  refuseId(id: number): void {
    this.counters.refusedStreams++;
    this.table.remember(id, CAUSE_LOCAL_RESET);
    this.sender.rstStream(id, H2_CODES.REFUSED_STREAM);
    if (this.sender.pendingControlBytes > this.options.limits.maxPendingControlBytes) {
      this.failFlood('refusals are not read');
    }
  }

  /** Ends a stream without telling anyone. */
  endStream(stream: H2Stream, cause: CloseCause): void {
    stream.state.reset(cause);
    this.sender.drop(stream);
    this.table.close(stream);
  }

  /** Forgets the stream if both halves are closed. */
  settle(stream: H2Stream): void {
    if (stream.state.isClosed) this.table.close(stream);
  }

  /** The peer acknowledged our SETTINGS: a smaller window than the initial one holds from here on. */
  shrinkRecvWindows(): void {
    const excess = this.recvWindowBytes - this.options.initialStreamWindowBytes;
    if (excess === 0) return;
    this.recvWindowBytes -= excess;
    this.table.forEach((stream) => {
      const increment = stream.recvWindow.shrink(excess);
      if (increment > 0 && !stream.isRecvClosed) this.sender.windowUpdate(stream.id, increment);
    });
  }

  private endStreams(code: H2Code): void {
    this.table.forEach((stream) => {
      // The owner of an earlier one may have reset this one.
      if (stream.state.isClosed) return;
      this.endStream(stream, CAUSE_CONNECTION);
      stream.sink?.onReset(code, 'connection');
    });
  }

  // SenderHost

  onSenderOutput(): void {
    if (this.isOutputTold || this.isFlushing) return;
    this.isOutputTold = true;
    this.sink.onOutput();
  }

  onSendEnded(stream: H2Stream): void {
    this.settle(stream);
  }

  onTrailersFailed(stream: H2Stream): void {
    this.resetByOwner(stream, H2_CODES.INTERNAL_ERROR);
    stream.sink?.onReset(H2_CODES.INTERNAL_ERROR, 'local');
  }

  // StreamPort: what owners of streams do. On streams that are over it has no effect.

  sendHeaders(stream: H2Stream, fields: Readonly<FieldList>, isEnd: boolean): void {
    const { state } = stream;
    if (state.sendState === HALF_CLOSED) return;
    if (state.sendState !== HALF_HEAD) throw new H2UsageError('ERR_H2_SEND_ORDER', 'a final head was sent before');
    const isInterim = fields[0] === ':status' && fields[1]?.charCodeAt(0) === 0x31;
    if (isInterim && isEnd) throw new H2UsageError('ERR_H2_SEND_ORDER', 'an interim head cannot end the stream');
    this.sender.headers(stream.id, fields, isEnd);
    if (!isInterim) state.sendHead(isEnd);
    if (isEnd) this.settle(stream);
  }

  sendData(stream: H2Stream, chunk: Uint8Array, start: number, end: number, isEnd: boolean): boolean {
    if (stream.isSendClosed) return true;
    if (stream.state.sendState !== HALF_BODY) throw new H2UsageError('ERR_H2_SEND_ORDER', 'data before a final head');
    return this.sender.data(stream, chunk, start, end, isEnd);
  }

  sendTrailers(stream: H2Stream, fields: Readonly<FieldList>): void {
    if (stream.isSendClosed) return;
    if (stream.state.sendState !== HALF_BODY) throw new H2UsageError('ERR_H2_SEND_ORDER', 'trailers before a final head');
    this.sender.trailers(stream, fields);
  }

  resetByOwner(stream: H2Stream, code: H2Code): void {
    if (stream.state.isClosed || this.isClosed) return;
    this.endStream(stream, CAUSE_LOCAL_RESET);
    this.sender.rstStream(stream.id, code);
  }

  consume(stream: H2Stream, bytes: number): void {
    // Nothing more will come: no one needs the credit.
    if (stream.isRecvClosed || this.isClosed) return;
    const increment = stream.recvWindow.release(bytes);
    if (increment > 0) this.sender.windowUpdate(stream.id, increment);
  }
}

function methodOf(fields: Readonly<FieldList>): string {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === ':method') return fields[i + 1] as string;
  }
  return '';
}
