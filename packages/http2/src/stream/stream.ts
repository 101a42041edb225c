// SPDX-License-Identifier: Apache-2.0
/*
 * One stream: its states, its two windows, what waits to be sent, and the handle that its owner holds. Rules live in the
 * sender and the receiver; this class keeps their facts together in one object per stream.
 */
import type { ByteQueue, FieldList } from '@weft/bytes';
import { RecvWindow, SendWindow } from '../flow-window.ts';
import type { H2Code, H2StreamHandle, H2StreamSink } from '../types.ts';
import { HALF_CLOSED, StreamState } from './stream-state.ts';

/** What a stream's handle needs of its connection. */
export interface StreamPort {
  sendHeaders(stream: H2Stream, fields: Readonly<FieldList>, isEnd: boolean): void;
  sendData(stream: H2Stream, chunk: Uint8Array, start: number, end: number, isEnd: boolean): boolean;
  sendTrailers(stream: H2Stream, fields: Readonly<FieldList>): void;
  resetByOwner(stream: H2Stream, code: H2Code): void;
  consume(stream: H2Stream, bytes: number): void;
}

/** Content-Length of a message that has none, or none that counts. */
export const ANY_LENGTH = -1;

/** A stream from its HEADERS on. */
export class H2Stream implements H2StreamHandle {
  readonly id: number;
  /** Undefined only while a server's owner is being asked for it. */
  sink: H2StreamSink | undefined;
  readonly state: StreamState = new StreamState();
  readonly sendWindow: SendWindow;
  readonly recvWindow: RecvWindow;
  /** Client: the request was HEAD, so the response has no content (RFC 9110 §9.3.2). */
  readonly isHeadRequest: boolean;
  /** Client: the request was CONNECT, so a Content-Length of a 2xx means nothing (RFC 9110 §9.3.6). */
  readonly isConnectRequest: boolean;
  /** Data of the message being received: announced (or ANY_LENGTH), and come so far. */
  expectedBytes: number = ANY_LENGTH;
  receivedBytes = 0;
  /** Size of the peer's head, kept while the stream is open. */
  headBytes = 0;
  interimCount = 0;
  /** Data that windows, budgets or the socket hold back. */
  queue: ByteQueue | undefined = undefined;
  /** The owner ended the message; END_STREAM goes out with the last of the queue. */
  isEndQueued = false;
  queuedTrailers: Readonly<FieldList> | undefined = undefined;
  /** `sendData` answered false and `onWritable` is owed. */
  wantsWritable = false;
  /** Links of the scheduler's ring; a stream is in at most one. */
  isScheduled = false;
  nextScheduled: H2Stream | undefined = undefined;
  /** Bytes sent in the turn `turn`. */
  turn = 0;
  turnBytes = 0;
  private readonly port: StreamPort;

  constructor(
    id: number,
    port: StreamPort,
    sendWindowBytes: number,
    recvWindowBytes: number,
    method: string,
    sink: H2StreamSink | undefined,
  ) {
    this.id = id;
    this.port = port;
    this.sink = sink;
    this.sendWindow = new SendWindow(sendWindowBytes);
    this.recvWindow = new RecvWindow(recvWindowBytes);
    this.isHeadRequest = method === 'HEAD';
    this.isConnectRequest = method === 'CONNECT';
  }

  get queuedBytes(): number {
    return this.queue === undefined ? 0 : this.queue.length;
  }

  get isSendClosed(): boolean {
    return this.isEndQueued || this.state.sendState === HALF_CLOSED;
  }

  get isRecvClosed(): boolean {
    return this.state.recvState === HALF_CLOSED;
  }

  /** Whether the data received so far agrees with the Content-Length (RFC 9113 §8.1.1), `isEnd` with its end. */
  isLengthRight(isEnd: boolean): boolean {
    if (this.expectedBytes === ANY_LENGTH) return true;
    return isEnd ? this.receivedBytes === this.expectedBytes : this.receivedBytes <= this.expectedBytes;
  }

  sendHeaders(fields: Readonly<FieldList>, endStream: boolean): void {
    this.port.sendHeaders(this, fields, endStream);
  }

  sendData(chunk: Uint8Array, start: number, end: number, endStream: boolean): boolean {
    return this.port.sendData(this, chunk, start, end, endStream);
  }

  sendTrailers(fields: Readonly<FieldList>): void {
    this.port.sendTrailers(this, fields);
  }

  reset(code: H2Code): void {
    this.port.resetByOwner(this, code);
  }

  consume(bytes: number): void {
    this.port.consume(this, bytes);
  }
}
