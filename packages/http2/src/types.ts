// SPDX-License-Identifier: Apache-2.0
/*
 * The public shapes of the HTTP/2 codec (RFC 9113, HPACK RFC 7541). `H2Connection` is sans-I/O: bytes are pushed in, sinks are
 * called synchronously, output goes into a ByteWriter that the owner flushes once per turn of the event loop.
 */
import type { ByteWriter, FieldList } from '@weft/bytes';

/** RFC 9113 §7 error codes. */
export type H2Code = number;

/**
 * What a stream tells its owner. All calls come from inside `H2Connection.recv`, `flush` or `close`. Views are valid during the
 * call only. Field lists may be kept, but never changed: equal heads share one list, which also makes identity a good cache key.
 */
export interface H2StreamSink {
  /** Response head (client), pseudo-fields first. `status` 1xx heads come through `onInterim`. Never called on servers. */
  onHeaders(fields: Readonly<FieldList>, endStream: boolean): void;
  /** 1xx response head (client only). */
  onInterim(fields: Readonly<FieldList>): void;
  /** DATA payload `chunk[start, end)`, padding removed. The owner credits it back with `H2Stream.consume`. */
  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void;
  /** Trailer section; always ends the stream's receiving half. */
  onTrailers(fields: Readonly<FieldList>): void;
  /** The stream ended abnormally: RST_STREAM from the peer, a stream error of the peer's (we sent RST_STREAM), GOAWAY above us, or connection loss. Last call. */
  onReset(code: H2Code, by: 'peer' | 'local' | 'connection'): void;
  /** Sending may go on after `sendData` answered false. */
  onWritable(): void;
}

/** What a connection tells its owner. */
export interface H2ConnectionSink {
  /** Server: a request arrived. Return its sink. Client: never called. */
  onRequest(stream: H2StreamHandle, fields: Readonly<FieldList>, endStream: boolean): H2StreamSink;
  /** The peer's SETTINGS took effect (first or changed). */
  onSettings(): void;
  /** The peer sent GOAWAY: streams above `lastStreamId` get `onReset(REFUSED_STREAM, 'connection')`; open no more. */
  onGoaway(lastStreamId: number, code: H2Code): void;
  /** ACK to a PING of ours. */
  onPong(opaque: number): void;
  /** Output was produced outside of a `flush`; the owner schedules its end-of-turn flush (may be called many times a turn). */
  onOutput(): void;
}

/**
 * One stream. Calls on one that is over have no effect. H2UsageError is thrown for calls out of order and for field lists that
 * cannot be sent: a name that is not lower-case or belongs to HTTP/1.1 connections, a value with CR, LF, NUL or a character
 * beyond latin1. Such a call has no effect, so another head can be sent instead.
 */
export interface H2StreamHandle {
  readonly id: number;
  /** Server: response head, interim 1xx head (endStream false). Client: not used. */
  sendHeaders(fields: Readonly<FieldList>, endStream: boolean): void;
  /**
   * Copies `chunk[start, end)` toward the peer, under flow control and the turn's byte budgets. Returns false when more than the
   * stream's send mark is waiting: stop until `onWritable`. An ended or reset stream swallows the bytes and answers true.
   */
  sendData(chunk: Uint8Array, start: number, end: number, endStream: boolean): boolean;
  /**
   * Ends the sending half with a trailer section, after all waiting data. A section that waits and turns out to be unsendable
   * resets the stream: `onReset(INTERNAL_ERROR, 'local')`.
   */
  sendTrailers(fields: Readonly<FieldList>): void;
  /** RST_STREAM; waiting data is dropped. No more sink calls come after it. */
  reset(code: H2Code): void;
  /** Credits `bytes` of received DATA back to the stream's window (the connection's window returns on receipt by itself). */
  consume(bytes: number): void;
  /** Bytes accepted by `sendData` and not yet written. */
  readonly queuedBytes: number;
  readonly isSendClosed: boolean;
  readonly isRecvClosed: boolean;
}

/** Values of ours that are announced in SETTINGS and otherwise configure a connection. */
export interface H2Options {
  readonly role: 'client' | 'server';
  /** SETTINGS_INITIAL_WINDOW_SIZE we announce. Default 65,535 (client), 65,535 (server). */
  readonly initialStreamWindowBytes: number;
  /** Connection window we keep open by an initial WINDOW_UPDATE. Default 1,048,576. */
  readonly initialConnectionWindowBytes: number;
  readonly maxFrameBytes: number;
  /** Server: SETTINGS_MAX_CONCURRENT_STREAMS announced; undefined announces none but the limit below still holds. */
  readonly maxConcurrentStreams: number | undefined;
  /** SETTINGS_MAX_HEADER_LIST_SIZE announced and enforced (RFC 9113 §10.5.1 size). */
  readonly maxHeaderListBytes: number;
  readonly limits: Partial<H2Limits>;
}

/** Abuse limits; exceeding one is a connection error ENHANCE_YOUR_CALM (or as said) and counts in `counters`. */
export interface H2Limits {
  /** Streams a peer may have open at once, announced or not; the next is refused with REFUSED_STREAM. */
  readonly maxConcurrentStreams: number;
  /** Header lists of the streams a peer has open, in RFC 9113 §10.5.1 bytes; beyond it new streams are refused with REFUSED_STREAM. */
  readonly maxOpenHeadBytes: number;
  readonly maxFieldCount: number;
  readonly maxContinuationFrames: number;
  /** RST_STREAM received, and RST_STREAM we were made to send, tolerated per window of `resetWindowMs`. */
  readonly maxPeerResets: number;
  readonly maxLocalResets: number;
  readonly resetWindowMs: number;
  /** Empty DATA frames without END_STREAM, in a row over the connection. */
  readonly maxEmptyDataFrames: number;
  /** DATA frames of less than 64 bytes, without END_STREAM, per `controlWindowMs`. */
  readonly maxSmallDataFrames: number;
  /** Interim (1xx) heads per stream; the next resets it with ENHANCE_YOUR_CALM. */
  readonly maxInterimHeads: number;
  /** SETTINGS (each counts as 50), PING, PRIORITY and unknown frames per `controlWindowMs`. */
  readonly maxControlFrames: number;
  readonly controlWindowMs: number;
  /** Control frames waiting to be written (ACKs a peer does not read). */
  readonly maxPendingControlBytes: number;
  /** Data waiting per stream before `sendData` answers false. */
  readonly streamSendMarkBytes: number;
  /** Per flush: at most this much DATA of one stream and of the connection. */
  readonly maxStreamBytesPerTurn: number;
  readonly maxConnectionBytesPerTurn: number;
}
export type { ByteWriter };
