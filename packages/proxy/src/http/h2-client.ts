// SPDX-License-Identifier: Apache-2.0
/*
 * One HTTP/2 connection toward an endpoint. HTTP/1 requests ride on it as `l5d-orig-proto` (proxy-contract §4.2): the field list is
 * made once per distinct request head and reused by identity, which the HPACK encoder turns into a few index bytes.
 */
import type { Buffer } from 'node:buffer';
import { type FieldList, fieldValue } from '@weft/bytes';
import { H2Connection, type H2ConnectionSink, type H2Options, type H2StreamHandle, type H2StreamSink } from '@weft/http2';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';
import type { Clock } from '../runtime.ts';
import { endAndLinger } from './linger.ts';
import { KeepAlive, type KeepAliveOptions, type KeepAliveTarget } from './keep-alive.ts';
import { origProtoValue, type ProxyRequestHead } from './request-head.ts';
import { BODY_UNKNOWN, type ClientStream, HTTP_1_0, HTTP_1_1, HTTP_2, type HttpVersion, type ResponseSink } from './types.ts';

const REFUSED_STREAM = 7;
/**
 * Streams reset on one connection before another takes its place. Servers answer many resets by closing (rapid reset; node and nghttp2 after
 * 1,000, Envoy after 500): one client that cancels must not cost all others the connection that they share.
 */
const MAX_RESETS_SENT = 400;

/** Told about a connection's life. */
export interface H2ClientOwner {
  /** Streams to open at most before the peer's SETTINGS have said how many it allows (RFC 9113 §5.1.2). */
  readonly assumedMaxStreams: number;
  /** Streams may be opened again, or the peer's limit changed. */
  onCapacity(connection: H2ClientConnection): void;
  /** No new streams: GOAWAY, or gone, or `isSpent`: by our own choice, while the peer is well. Called once. */
  onRetired(connection: H2ClientConnection, error: string, isSpent: boolean): void;
}

export interface H2ClientOptions {
  readonly codec: Partial<H2Options>;
  readonly keepAlive: KeepAliveOptions | undefined;
}

export class H2ClientConnection implements ByteStreamSink, H2ConnectionSink, KeepAliveTarget {
  readonly codec: H2Connection;
  /** When it was opened, for the owner's back-off. */
  readonly openedMs: number;
  private readonly stream: ByteStream;
  private readonly owner: H2ClientOwner;
  private readonly clock: Clock;
  private readonly keepAlive: KeepAlive | undefined;
  private isRetired = false;
  private hasSettings = false;
  private wantsClose = false;
  private cancelLinger: (() => void) | undefined = undefined;
  /** A stream has ended since the owner was last told of capacity. */
  private hasFreed = false;
  private resetsSent = 0;

  constructor(stream: ByteStream, owner: H2ClientOwner, options: H2ClientOptions, clock: Clock) {
    this.stream = stream;
    this.owner = owner;
    this.clock = clock;
    this.openedMs = clock.now();
    this.codec = new H2Connection({ ...options.codec, role: 'client' }, this, stream.out);
    this.keepAlive = options.keepAlive === undefined ? undefined : new KeepAlive(clock, options.keepAlive, this);
    stream.onBeforeFlush = () => this.beforeFlush();
    stream.setSink(this);
    stream.schedule();
  }

  /** The peer does not take what was written: heads of further requests would only pile up. `onCapacity` comes when it does. */
  get isCongested(): boolean {
    return !this.isRetired && this.stream.isBlocked;
  }

  get canRequest(): boolean {
    if (this.isRetired || !this.codec.canRequest || this.stream.isBlocked) return false;
    return this.hasSettings || this.codec.activeStreams < this.owner.assumedMaxStreams;
  }

  /** Streams that the peer allows at once; Infinity without a limit or before its SETTINGS. */
  get maxStreams(): number {
    return this.codec.peerMaxConcurrentStreams;
  }

  /** Opens a stream for the request; undefined where the connection cannot take one now. */
  request(head: ProxyRequestHead, end: boolean, sink: ResponseSink): ClientStream | undefined {
    if (!this.canRequest) return undefined;
    const stream = new H2ClientStream(this, sink, head.version);
    const handle = this.codec.request(requestFields(head), end, stream);
    if (handle === undefined) return undefined;
    stream.begin(handle);
    this.stream.schedule();
    return stream;
  }

  /** Opens no more streams and closes when the last is done. */
  close(): void {
    this.wantsClose = true;
    this.retire('connection closed');
    this.settle();
  }

  destroy(): void {
    this.retire('connection closed');
    this.stream.destroy();
  }

  onRead(chunk: Buffer, start: number, end: number): void {
    const nowMs = this.clock.now();
    this.keepAlive?.onRead(nowMs);
    if (!this.codec.recv(chunk, start, end, nowMs)) {
      this.retire(this.codec.error?.message ?? 'HTTP/2 connection error');
      this.finish();
    }
    this.settle();
    this.stream.schedule();
  }

  onReadEnd(): void {
    this.retire('connection closed by peer');
    this.codec.close();
    this.stream.end();
  }

  onDrain(): void {
    this.codec.isBlocked = false;
    if (!this.isRetired) this.owner.onCapacity(this);
    this.stream.schedule();
  }

  onClose(error: NetError | undefined): void {
    this.cancelLinger?.();
    this.keepAlive?.close();
    this.retire(error?.message ?? 'connection closed');
    this.codec.close();
  }

  onRequest(): H2StreamSink {
    // Push is disabled, so a client never gets here.
    throw new Error('request on a client connection');
  }

  onSettings(): void {
    this.hasSettings = true;
    if (!this.isRetired) this.owner.onCapacity(this);
  }

  onGoaway(): void {
    this.retire('GOAWAY');
  }

  onPong(): void {}

  onOutput(): void {
    this.stream.schedule();
  }

  /** We gave a stream up. */
  onResetSent(): void {
    this.resetsSent += 1;
    if (this.resetsSent >= MAX_RESETS_SENT) this.retire('many requests were cancelled', true);
  }

  onStreamEnd(): void {
    this.hasFreed = true;
    // The codec still counts a stream whose end it is just telling; onRead settles then. Elsewhere the end of the turn does.
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
    this.retire('keep-alive timed out');
    this.stream.destroy({ reset: true });
  }

  /** After streams have ended: room for waiting requests, or the end of a connection that takes none. */
  private settle(): void {
    if (this.isRetired) {
      if (this.codec.activeStreams === 0) this.finish();
    } else if (this.hasFreed) {
      this.hasFreed = false;
      this.owner.onCapacity(this);
    }
  }

  private retire(reason: string, isSpent = false): void {
    if (this.isRetired) return;
    this.isRetired = true;
    this.owner.onRetired(this, reason, isSpent);
  }

  private finish(): void {
    if (this.cancelLinger !== undefined) return;
    if (this.wantsClose) this.codec.goaway(0);
    this.keepAlive?.close();
    this.cancelLinger = endAndLinger(this.stream, this.clock);
  }

  private beforeFlush(): void {
    this.settle();
    this.codec.isBlocked = this.stream.isBlocked;
    if (this.codec.flush()) this.stream.schedule();
  }
}

class H2ClientStream implements ClientStream, H2StreamSink {
  private readonly owner: H2ClientConnection;
  private readonly requestVersion: HttpVersion;
  private sink: ResponseSink | undefined;
  private handle: H2StreamHandle | undefined = undefined;

  constructor(owner: H2ClientConnection, sink: ResponseSink, requestVersion: HttpVersion) {
    this.owner = owner;
    this.sink = sink;
    this.requestVersion = requestVersion;
  }

  begin(handle: H2StreamHandle): void {
    this.handle = handle;
  }

  sendBody(chunk: Uint8Array, start: number, end: number): boolean {
    return this.handle?.sendData(chunk, start, end, false) ?? true;
  }

  sendEnd(trailers: Readonly<FieldList> | undefined): void {
    if (trailers === undefined || trailers.length === 0) this.handle?.sendData(NOTHING, 0, 0, true);
    else this.handle?.sendTrailers(trailers);
  }

  abort(h2Code: number): void {
    this.sink = undefined;
    this.handle?.reset(h2Code);
    this.owner.onResetSent();
    this.owner.onStreamEnd();
  }

  consumed(bytes: number): void {
    this.handle?.consume(bytes);
  }

  onHeaders(fields: Readonly<FieldList>, endStream: boolean): void {
    const { sink } = this;
    if (sink === undefined) return;
    const status = Number(fields[1]);
    const rest: FieldList = [];
    let version: HttpVersion = this.requestVersion;
    let bodyBytes = endStream ? 0 : BODY_UNKNOWN;
    const isCarried = this.requestVersion !== HTTP_2;
    for (let i = 2; i < fields.length; i += 2) {
      const name = fields[i] as string;
      const value = fields[i + 1] as string;
      if (isCarried && name === 'l5d-orig-proto') {
        if (value.startsWith('HTTP/1.1')) version = HTTP_1_1;
        else if (value.startsWith('HTTP/1.0')) version = HTTP_1_0;
        continue;
      }
      if (name === 'content-length' && !endStream) bodyBytes = Number(value);
      rest.push(name, value);
    }
    sink.onResponse({ version, status, fields: rest, bodyBytes }, endStream);
    if (endStream) this.end();
  }

  onInterim(fields: Readonly<FieldList>): void {
    this.sink?.onInterim(Number(fieldValue(fields, ':status')), fields.slice(2));
  }

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    const { sink } = this;
    if (sink === undefined) {
      this.handle?.consume(end - start);
      return;
    }
    if (end > start) sink.onResponseBody(chunk, start, end);
    if (endStream) {
      sink.onResponseEnd(undefined);
      this.end();
    }
  }

  onTrailers(fields: Readonly<FieldList>): void {
    this.sink?.onResponseEnd(fields);
    this.end();
  }

  onReset(code: number, by: 'peer' | 'local' | 'connection'): void {
    const { sink } = this;
    this.sink = undefined;
    const isUnprocessed = code === REFUSED_STREAM;
    sink?.onResponseFail({
      kind: by === 'connection' ? 'closed' : by === 'local' ? 'protocol' : 'reset',
      message: by === 'peer' ? 'stream reset by peer' : by === 'local' ? 'invalid HTTP/2 response' : 'connection closed',
      h2Code: code,
      isUnprocessed,
    });
    this.owner.onStreamEnd();
  }

  onWritable(): void {
    this.sink?.onRequestWritable();
  }

  private end(): void {
    this.sink = undefined;
    this.owner.onStreamEnd();
  }
}

const NOTHING = new Uint8Array(0);

/** HTTP/2 fields of a request, with `l5d-orig-proto` for an HTTP/1 one; cached on the head. */
function requestFields(head: ProxyRequestHead): Readonly<FieldList> {
  if (head.cachedFields !== undefined) return head.cachedFields;
  const fields: FieldList = [':method', head.method];
  fields.push(':scheme', head.scheme);
  if (head.authority !== undefined) fields.push(':authority', head.authority);
  fields.push(':path', head.path === '' ? '/' : head.path);
  for (let i = 0; i < head.fields.length; i++) fields.push(head.fields[i] as string);
  if (head.version !== HTTP_2) fields.push('l5d-orig-proto', origProtoValue(head));
  head.cachedFields = fields;
  return fields;
}
