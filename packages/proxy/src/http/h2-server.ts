// SPDX-License-Identifier: Apache-2.0
/*
 * An accepted HTTP/2 connection: owns the codec, gives each request's stream to the handler as a ServerStream, and restores
 * `l5d-orig-proto` on answers to HTTP/1 requests that were carried inside (proxy-contract §4.2).
 */
import type { Buffer } from 'node:buffer';
import { type FieldList, hasField } from '@weft/bytes';
import { H2Connection, type H2ConnectionSink, type H2Options, type H2StreamHandle, type H2StreamSink } from '@weft/http2';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';
import type { Clock } from '../runtime.ts';
import { endAndLinger } from './linger.ts';
import { KeepAlive, type KeepAliveOptions, type KeepAliveTarget } from './keep-alive.ts';
import { fromH2, type ProxyRequestHead } from './request-head.ts';
import {
  HTTP_1_0,
  HTTP_2,
  type HttpHandler,
  type RequestSink,
  type ResponseHead,
  type ServerConnectionInfo,
  type ServerStream,
} from './types.ts';

/** A draining connection waits this long for the peer to have heard of it (RFC 9113 §6.8); then the final GOAWAY goes out anyway. */
const SHUTDOWN_ACK_WAIT_MS = 5000;

/** Settings of accepted HTTP/2 connections. */
export interface H2ServerOptions {
  readonly codec: Partial<H2Options>;
  readonly keepAlive: KeepAliveOptions | undefined;
}

export class H2ServerConnection implements ByteStreamSink, H2ConnectionSink, KeepAliveTarget {
  readonly info: ServerConnectionInfo;
  readonly codec: H2Connection;
  readonly clock: Clock;
  private readonly stream: ByteStream;
  private readonly handler: HttpHandler;
  private readonly keepAlive: KeepAlive | undefined;
  private wantsClose = false;
  private cancelShutdown: (() => void) | undefined = undefined;
  private cancelLinger: (() => void) | undefined = undefined;

  constructor(stream: ByteStream, handler: HttpHandler, options: H2ServerOptions, clock: Clock) {
    this.stream = stream;
    this.handler = handler;
    this.clock = clock;
    this.info = { clientIp: stream.remote.ip, clientPort: stream.remote.port };
    this.codec = new H2Connection({ ...options.codec, role: 'server' }, this, stream.out);
    this.keepAlive = options.keepAlive === undefined ? undefined : new KeepAlive(clock, options.keepAlive, this);
    stream.onBeforeFlush = () => this.beforeFlush();
  }

  start(): void {
    this.stream.schedule();
    this.stream.setSink(this);
  }

  /** GOAWAY now, close once the streams in flight are done (proxy-contract §9). */
  drain(): void {
    if (this.wantsClose) return;
    this.wantsClose = true;
    this.codec.shutdown();
    this.cancelShutdown = this.clock.after(SHUTDOWN_ACK_WAIT_MS, () => {
      this.codec.finishShutdown();
      this.stream.schedule();
    });
    this.stream.schedule();
  }

  onRead(chunk: Buffer, start: number, end: number): void {
    const nowMs = this.clock.now();
    this.keepAlive?.onRead(nowMs);
    if (!this.codec.recv(chunk, start, end, nowMs)) this.close();
    this.stream.schedule();
  }

  onReadEnd(): void {
    this.codec.close();
    this.stream.end();
  }

  onDrain(): void {
    this.codec.isBlocked = false;
    this.stream.schedule();
  }

  onClose(_error: NetError | undefined): void {
    this.cancelShutdown?.();
    this.cancelLinger?.();
    this.keepAlive?.close();
    this.codec.close();
    this.reportCounters();
    this.handler.onConnectionClose();
  }

  onRequest(handle: H2StreamHandle, fields: Readonly<FieldList>, endStream: boolean): H2StreamSink {
    const head = fromH2(fields, endStream);
    const stream = new H2ServerStream(this, handle, head);
    stream.begin(this.handler.onRequest(head, stream, endStream));
    return stream;
  }

  onSettings(): void {}
  onGoaway(): void {}
  onPong(): void {}

  onOutput(): void {
    this.stream.schedule();
  }

  get hasStreams(): boolean {
    return this.codec.activeStreams > 0;
  }

  sendPing(): void {
    this.codec.ping(1);
    this.stream.schedule();
  }

  onDead(): void {
    this.stream.destroy({ reset: true });
  }

  /** Asked for by an answer that must be the connection's last (`connection: close` has no HTTP/2 form but GOAWAY). */
  closeAfterStreams(): void {
    this.drain();
  }

  private beforeFlush(): void {
    this.codec.isBlocked = this.stream.isBlocked;
    if (this.codec.flush()) this.stream.schedule();
    // Not before the final GOAWAY: a request that crossed the first one on the wire must still be taken.
    if (this.wantsClose && this.codec.activeStreams === 0 && this.codec.isFinalGoawaySent) this.close();
  }

  /** Nothing more will be said. */
  private close(): void {
    if (this.cancelLinger !== undefined) return;
    this.keepAlive?.close();
    this.cancelLinger = endAndLinger(this.stream, this.clock);
  }

  private reportCounters(): void {
    const { malformedMessages, oversizedSections, floods, refusedStreams, localResets } = this.codec.counters;
    if (malformedMessages > 0) this.handler.onPeerErrors('h2 malformed', malformedMessages);
    if (oversizedSections > 0) this.handler.onPeerErrors('h2 oversized', oversizedSections);
    // Malformed messages end in a reset too and have been counted.
    if (localResets > malformedMessages) this.handler.onPeerErrors('h2 stream error', localResets - malformedMessages);
    if (refusedStreams > 0) this.handler.onPeerErrors('h2 refused', refusedStreams);
    if (floods > 0) this.handler.onPeerErrors('h2 flood', floods);
    else if (this.codec.error !== undefined) this.handler.onPeerErrors('h2 connection error', 1);
  }
}

class H2ServerStream implements ServerStream, H2StreamSink {
  readonly connection: ServerConnectionInfo;
  private readonly owner: H2ServerConnection;
  private readonly handle: H2StreamHandle;
  private readonly head: ProxyRequestHead;
  private sink: RequestSink | undefined = undefined;

  constructor(owner: H2ServerConnection, handle: H2StreamHandle, head: ProxyRequestHead) {
    this.owner = owner;
    this.connection = owner.info;
    this.handle = handle;
    this.head = head;
  }

  begin(sink: RequestSink): void {
    this.sink = sink;
  }

  // ---- ServerStream

  sendInterim(status: number, fields: Readonly<FieldList>): void {
    this.handle.sendHeaders([':status', statusText(status), ...fields], false);
  }

  sendResponse(head: ResponseHead, end: boolean): void {
    const fields: FieldList = [':status', statusText(head.status)];
    for (let i = 0; i < head.fields.length; i++) fields.push(head.fields[i] as string);
    if (!hasField(head.fields, 'date')) fields.push('date', this.owner.clock.date());
    // An answer of the proxy's own is HTTP/2 even here, and says nothing of the version inside.
    if (this.head.isOrigProto && head.version !== HTTP_2) {
      fields.push('l5d-orig-proto', head.version === HTTP_1_0 ? 'HTTP/1.0' : 'HTTP/1.1');
    }
    this.handle.sendHeaders(fields, end);
  }

  sendBody(chunk: Uint8Array, start: number, end: number): boolean {
    return this.handle.sendData(chunk, start, end, false);
  }

  sendEnd(trailers: Readonly<FieldList> | undefined): void {
    if (trailers === undefined || trailers.length === 0) this.handle.sendData(NOTHING, 0, 0, true);
    else this.handle.sendTrailers(trailers);
  }

  abort(h2Code: number): void {
    this.sink = undefined;
    this.handle.reset(h2Code);
  }

  consumed(bytes: number): void {
    this.handle.consume(bytes);
  }

  closeAfterResponse(): void {
    this.owner.closeAfterStreams();
  }

  // ---- H2StreamSink

  onHeaders(): void {}
  onInterim(): void {}

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    const { sink } = this;
    if (sink === undefined) {
      this.handle.consume(end - start);
      return;
    }
    if (end > start) sink.onRequestBody(chunk, start, end);
    if (endStream) sink.onRequestEnd(undefined);
  }

  onTrailers(fields: Readonly<FieldList>): void {
    this.sink?.onRequestEnd(fields);
  }

  onReset(code: number): void {
    const { sink } = this;
    this.sink = undefined;
    sink?.onRequestAbort(code);
  }

  onWritable(): void {
    this.sink?.onResponseWritable();
  }
}

const NOTHING = new Uint8Array(0);

const STATUS_TEXT: string[] = [];

/** Decimal status, from a cache: the same string object lets the HPACK encoder hit by identity. */
function statusText(status: number): string {
  return (STATUS_TEXT[status] ??= String(status));
}
