// SPDX-License-Identifier: Apache-2.0
/* A well-behaved HTTP/2 peer of either role on a memory stream, its exchanges kept as plain values. */
import { Buffer } from 'node:buffer';
import { type FieldList, fieldValue } from '@weft/bytes';
import { H2Connection, type H2ConnectionSink, type H2Options, type H2StreamHandle, type H2StreamSink } from '@weft/http2';
import type { ByteStreamSink, NetError } from '@weft/net';
import type { MemoryStream } from './memory-stream.ts';

/** One stream as the peer sees it. */
export class H2PeerStream implements H2StreamSink {
  handle: H2StreamHandle | undefined = undefined;
  /** Head of the other side: request (peer is server) or response. */
  fields: FieldList | undefined = undefined;
  readonly interim: FieldList[] = [];
  body = '';
  bodyBytes = 0;
  trailers: FieldList | undefined = undefined;
  isEnded = false;
  resetCode: number | undefined = undefined;
  isWritable = true;
  /** For tests to mark. */
  isAnswered = false;
  /** Whether data is credited as it comes. */
  isConsuming = true;
  private unconsumed = 0;

  /** Value of a field of the head. */
  field(name: string): string | undefined {
    return this.fields === undefined ? undefined : fieldValue(this.fields, name);
  }

  respond(status: number, fields: FieldList = [], body?: string, trailers?: FieldList): void {
    const isBodiless = body === undefined && trailers === undefined;
    this.handle?.sendHeaders([':status', String(status), ...fields], isBodiless);
    if (isBodiless) return;
    this.send(body ?? '', trailers === undefined);
    if (trailers !== undefined) this.handle?.sendTrailers(trailers);
  }

  send(body: string | Uint8Array, end: boolean): boolean {
    const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
    this.isWritable = this.handle?.sendData(bytes, 0, bytes.length, end) ?? true;
    return this.isWritable;
  }

  /** Credits what was held back. */
  consume(): void {
    this.handle?.consume(this.unconsumed);
    this.unconsumed = 0;
  }

  onHeaders(fields: Readonly<FieldList>, endStream: boolean): void {
    this.fields = fields.slice();
    if (endStream) this.isEnded = true;
  }

  onInterim(fields: Readonly<FieldList>): void {
    this.interim.push(fields.slice());
  }

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    this.bodyBytes += end - start;
    if (this.bodyBytes < 1_000_000) this.body += Buffer.from(chunk.subarray(start, end)).toString('latin1');
    this.unconsumed += end - start;
    if (this.isConsuming) this.consume();
    if (endStream) this.isEnded = true;
  }

  onTrailers(fields: Readonly<FieldList>): void {
    this.trailers = fields.slice();
    this.isEnded = true;
  }

  onReset(code: number): void {
    this.resetCode = code;
  }

  onWritable(): void {
    this.isWritable = true;
  }
}

export class H2Peer implements ByteStreamSink, H2ConnectionSink {
  readonly stream: MemoryStream;
  readonly codec: H2Connection;
  /** Server: requests in the order of their coming. Client: requests made. */
  readonly streams: H2PeerStream[] = [];
  readonly goaways: { lastStreamId: number; code: number }[] = [];
  isReadEnded = false;
  isClosed = false;
  /** Server: called for each request. */
  onStream: ((stream: H2PeerStream) => void) | undefined = undefined;
  private readonly now: () => number;

  constructor(stream: MemoryStream, role: 'client' | 'server', now: () => number, options: Partial<H2Options> = {}) {
    this.stream = stream;
    this.now = now;
    this.codec = new H2Connection({ ...options, role }, this, stream.out);
    stream.onBeforeFlush = () => {
      this.codec.isBlocked = stream.isBlocked;
      if (this.codec.flush()) stream.schedule();
    };
    stream.setSink(this);
    stream.schedule();
  }

  /** Client: a whole request. */
  request(fields: FieldList, body = ''): H2PeerStream {
    const stream = this.openStream(fields, body === '');
    if (body !== '') stream.send(body, true);
    return stream;
  }

  /** Client: a POST whose body is still to come. */
  post(path: string, ...fields: string[]): H2PeerStream {
    return this.openStream([':method', 'POST', ':scheme', 'http', ':authority', 'svc.test', ':path', path, ...fields], false);
  }

  private openStream(fields: FieldList, end: boolean): H2PeerStream {
    const stream = new H2PeerStream();
    stream.handle = this.codec.request(fields, end, stream);
    this.streams.push(stream);
    this.stream.schedule();
    return stream;
  }

  get(path: string, ...fields: string[]): H2PeerStream {
    return this.request([':method', 'GET', ':scheme', 'http', ':authority', 'svc.test', ':path', path, ...fields]);
  }

  onRequest(handle: H2StreamHandle, fields: Readonly<FieldList>, endStream: boolean): H2StreamSink {
    const stream = new H2PeerStream();
    stream.handle = handle;
    stream.fields = fields.slice();
    stream.isEnded = endStream;
    this.streams.push(stream);
    this.onStream?.(stream);
    return stream;
  }

  onSettings(): void {}

  onGoaway(lastStreamId: number, code: number): void {
    this.goaways.push({ lastStreamId, code });
  }

  onPong(): void {}

  onOutput(): void {
    this.stream.schedule();
  }

  onRead(chunk: Buffer, start: number, end: number): void {
    if (!this.codec.recv(chunk, start, end, this.now())) this.stream.end();
    this.stream.schedule();
  }

  onReadEnd(): void {
    this.isReadEnded = true;
    this.codec.close();
    this.stream.end();
  }

  onDrain(): void {
    this.codec.isBlocked = false;
    this.stream.schedule();
  }

  onClose(_error: NetError | undefined): void {
    this.isClosed = true;
    this.codec.close();
  }
}
