// SPDX-License-Identifier: Apache-2.0
/*
 * One HTTP/2 connection, either role (RFC 9113): the face of the codec. Bytes of the peer go into `recv`; requests and
 * responses go through stream handles; frames come out in the writer, to be handed to the socket once per turn of the event
 * loop. Receiving, sending and the life of streams are in `connection/`.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';
import { ConnectionCore } from './connection/core.ts';
import { resolveOptions } from './connection/options.ts';
import { type H2ConnectionError, type H2Counters, createCounters } from './connection/outcome.ts';
import { Receiver } from './connection/receiver.ts';
import { H2UsageError } from './errors.ts';
import { writeWindowUpdate } from './frame/control-frames.ts';
import { CLIENT_PREFACE } from './frame/frame-reader.ts';
import { DEFAULT_WINDOW_BYTES, writeSettings } from './frame/settings.ts';
import type { H2Code, H2ConnectionSink, H2Options, H2StreamHandle, H2StreamSink } from './types.ts';

/** One HTTP/2 connection, sans-I/O. Its owner calls every method; sinks are called from inside `recv`, `flush` and `close`. */
export class H2Connection {
  readonly counters: H2Counters = createCounters();
  private readonly core: ConnectionCore;
  private readonly receiver: Receiver;

  /**
   * Writes preface (client), SETTINGS and WINDOW_UPDATE into `out` at once, without `onOutput`. `out` stays the place for
   * all output; between turns its owner may take what it holds. Throws H2UsageError on options out of range.
   */
  constructor(options: Partial<H2Options> & Pick<H2Options, 'role'>, sink: H2ConnectionSink, out: ByteWriter) {
    const resolved = resolveOptions(options);
    if (resolved.role === 'client') out.writeLatin1(CLIENT_PREFACE);
    writeSettings(out, resolved);
    const incrementBytes = resolved.initialConnectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (incrementBytes > 0) writeWindowUpdate(out, 0, incrementBytes);
    this.core = new ConnectionCore(resolved, sink, out, this.counters);
    this.receiver = new Receiver(this.core);
  }

  /** Why `recv` answered false; undefined otherwise. */
  get error(): H2ConnectionError | undefined {
    return this.core.error;
  }

  /** Set by the owner while the socket has backpressure: DATA is queued, not written, until unset and `flush()` called. */
  get isBlocked(): boolean {
    return this.core.sender.isBlocked;
  }

  set isBlocked(isBlocked: boolean) {
    this.core.sender.isBlocked = isBlocked;
  }

  /**
   * Takes `chunk[start, end)` from the peer at `nowMs` (any monotonic clock). The bytes are not kept. Returns false when the
   * connection is over: after a connection error (`error` says why) GOAWAY is in `out`, every stream got
   * `onReset(code, 'connection')`, and the owner flushes and closes the socket.
   */
  recv(chunk: Uint8Array, start: number, end: number, nowMs: number): boolean {
    if (this.core.isClosed) return false;
    this.core.nowMs = nowMs;
    return this.receiver.recv(chunk, start, end);
  }

  /**
   * Client: opens a stream with a request head (pseudo-fields first). Undefined when not possible now: at the peer's
   * MAX_CONCURRENT_STREAMS, after GOAWAY either way, out of identifiers, closed. Throws H2UsageError for fields that cannot be sent.
   */
  request(fields: Readonly<FieldList>, endStream: boolean, sink: H2StreamSink): H2StreamHandle | undefined {
    return this.core.request(fields, endStream, sink);
  }

  /** Whether `request` would open a stream now. */
  get canRequest(): boolean {
    return this.core.canRequest;
  }

  /** Streams open now. */
  get activeStreams(): number {
    return this.core.table.size;
  }

  /** SETTINGS_MAX_CONCURRENT_STREAMS of the peer; Infinity where it announces none; 100 before its SETTINGS. */
  get peerMaxConcurrentStreams(): number {
    return this.core.sender.peer.maxConcurrentStreams;
  }

  /**
   * The end of a turn: writes waiting DATA round robin, within windows and budgets. True if more could be sent in a further
   * turn: the owner calls again once its write has completed.
   */
  flush(): boolean {
    return this.core.flush();
  }

  /** Sends PING; its answer comes as `onPong(opaque)`. `opaque` is a safe integer ≥ 0. */
  ping(opaque: number): void {
    if (!Number.isSafeInteger(opaque) || opaque < 0) throw new H2UsageError('ERR_H2_OPTION', 'opaque must be a safe integer ≥ 0');
    this.core.ping(opaque);
  }

  /** GOAWAY now, with the last processed stream. Streams in flight go on; new ones of the peer are ignored. */
  goaway(code: H2Code): void {
    this.core.goaway(code);
  }

  /**
   * Graceful end (RFC 9113 §6.8). Server: GOAWAY that names no last stream, then, on the ACK of a PING or by
   * `finishShutdown()`, the final one. Client: GOAWAY, no new requests. Streams in flight go on either way.
   */
  shutdown(): void {
    this.core.shutdown();
  }

  /** The second step of `shutdown` at once, for a peer that does not answer. Without a pending shutdown it does nothing. */
  finishShutdown(): void {
    this.core.finishShutdown();
  }

  /** The transport is gone: every stream gets `onReset(INTERNAL_ERROR, 'connection')`; nothing is sent. */
  close(): void {
    this.core.close();
  }

  /** GOAWAY was sent or received: no new streams, those in flight go on. */
  get isDraining(): boolean {
    return this.core.isGoawaySent || this.core.isGoawayReceived;
  }

  /** The GOAWAY that names the last processed stream was sent: with no active streams left the connection may be closed. */
  get isFinalGoawaySent(): boolean {
    return this.core.isFinalGoawaySent;
  }

  /** After a connection error or `close()`. */
  get isClosed(): boolean {
    return this.core.isClosed;
  }
}
