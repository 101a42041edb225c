// SPDX-License-Identifier: Apache-2.0
/*
 * One HTTP/1 connection toward an endpoint: the ClientStream of the exchange in progress, and back to its pool afterwards. An
 * upgraded exchange or a CONNECT turns it into a tunnel, after which it is not pooled.
 */
import type { Buffer } from 'node:buffer';
import { type FieldList, fieldValue, hasField } from '@weft/bytes';
import {
  H1EncodeError,
  H1ResponseDecoder,
  type H1ResponseHead,
  type H1Sink,
  stripHopByHop,
  writeChunk,
  writeLastChunk,
  writeRequestHead,
} from '@weft/http1';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';
import { BODY_UNKNOWN, type ClientFailure, type ClientStream, HTTP_1_0, HTTP_1_1, type RequestHead, type ResponseSink } from './types.ts';

const MAX_UNCONSUMED_BYTES = 64 * 1024;
/** Interim answers (1xx) to one request; each is passed on at once, whatever the client can take. */
const MAX_INTERIM = 64;
/** RFC 9110 §9.2.2: may be sent again by a proxy that cannot know whether it was processed. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

/** Takes connections back. */
export interface H1Pool {
  /** The exchange is complete and the connection may carry another. */
  onReusable(connection: H1ClientConnection): void;
  /** The connection is gone. */
  onGone(connection: H1ClientConnection): void;
}

export class H1ClientConnection implements ByteStreamSink, H1Sink<H1ResponseHead>, ClientStream {
  /** When the connection became idle, for the pool's idle timeout. */
  idleSinceMs = 0;
  private readonly stream: ByteStream;
  private readonly pool: H1Pool;
  private readonly decoder: H1ResponseDecoder;
  private sink: ResponseSink | undefined = undefined;
  private isReused = false;
  private isRequestDone = true;
  private isResponseDone = true;
  private hasReceived = false;
  private isResponseStarted = false;
  private isTunnel = false;
  private isChunked = false;
  private isReadPaused = false;
  private canKeep = true;
  private unconsumed = 0;
  private method = '';
  private isUpgrade = false;
  private hasSentBody = false;
  private interimCount = 0;
  private isGone = false;

  constructor(stream: ByteStream, pool: H1Pool) {
    this.stream = stream;
    this.pool = pool;
    this.decoder = new H1ResponseDecoder(this);
    stream.setSink(this);
  }

  /** Sends a request head; body calls follow unless `end`. Only on a connection without exchange. */
  request(head: RequestHead, end: boolean, sink: ResponseSink): void {
    this.sink = sink;
    this.method = head.method;
    this.isUpgrade = head.upgrade !== undefined && head.upgrade !== 'connect';
    this.isRequestDone = end;
    this.isResponseDone = false;
    this.isResponseStarted = false;
    this.hasReceived = false;
    this.hasSentBody = false;
    this.isChunked = false;
    this.interimCount = 0;
    this.unconsumed = 0;
    this.canKeep = head.version !== HTTP_1_0;
    const fields: FieldList = [];
    // A request of HTTP/1.0 that came without Host goes on without.
    if (head.authority !== undefined && head.isAuthorityInTarget && !hasField(head.fields, 'host')) fields.push('host', head.authority);
    for (let i = 0; i < head.fields.length; i++) fields.push(head.fields[i] as string);
    if (head.upgrade !== undefined && head.upgrade !== 'connect') {
      fields.push('connection', 'upgrade', 'upgrade', head.upgrade);
    } else if (!end && head.bodyBytes === BODY_UNKNOWN) {
      this.isChunked = true;
      fields.push('transfer-encoding', 'chunked');
    }
    const target =
      head.upgrade === 'connect'
        ? (head.authority ?? '')
        : head.isAbsoluteForm && head.authority !== undefined
          ? `${head.scheme}://${head.authority}${head.path}`
          : head.path;
    try {
      writeRequestHead(this.stream.out, head.method, target, head.version === HTTP_1_0 ? 0 : 1, fields);
    } catch (error) {
      if (!(error instanceof H1EncodeError)) throw error;
      // A head that HTTP/1 cannot carry, where nothing may have let it in: this request alone suffers.
      this.broken(error.message);
      return;
    }
    this.decoder.expect(head.method);
    this.stream.schedule();
  }

  /** Marks the next exchange as one on a connection that has been idle. */
  markReused(): void {
    this.isReused = true;
  }

  /** Ends an idle connection. Nothing is on its way, so nobody's FIN is waited for. */
  close(): void {
    this.stream.destroy();
  }

  // ---- ClientStream

  sendBody(chunk: Uint8Array, start: number, end: number): boolean {
    this.hasSentBody = true;
    if (this.isChunked) writeChunk(this.stream.out, chunk, start, end);
    else this.stream.out.writeBytes(chunk, start, end);
    this.stream.schedule();
    return !this.stream.isBlocked;
  }

  sendEnd(trailers: Readonly<FieldList> | undefined): void {
    this.isRequestDone = true;
    if (this.isTunnel) {
      this.stream.end();
      return;
    }
    if (this.isChunked) {
      try {
        writeLastChunk(this.stream.out, trailers);
      } catch (error) {
        if (!(error instanceof H1EncodeError)) throw error;
        writeLastChunk(this.stream.out);
      }
      this.stream.schedule();
    }
    this.finishIfDone();
  }

  abort(_h2Code: number): void {
    this.sink = undefined;
    this.stream.destroy({ reset: this.isTunnel });
  }

  consumed(bytes: number): void {
    this.unconsumed -= bytes;
    if (this.isReadPaused && this.unconsumed * 2 < MAX_UNCONSUMED_BYTES) {
      this.isReadPaused = false;
      this.stream.resumeReading();
    }
  }

  // ---- ByteStreamSink

  onRead(chunk: Buffer, start: number, end: number): void {
    if (this.isTunnel) {
      this.deliver(chunk, start, end);
      return;
    }
    if (this.sink === undefined) {
      // Bytes that nobody asked for: the peer is confused, and so would the next exchange be.
      this.stream.destroy();
      return;
    }
    this.hasReceived = true;
    const at = this.decoder.push(chunk, start, end);
    if (at < 0) {
      this.broken(this.decoder.error?.message ?? 'invalid HTTP/1 response');
      return;
    }
    if (this.isTunnel) {
      if (at < end) this.deliver(chunk, at, end);
      return;
    }
    if (at < end && this.isResponseDone) this.canKeep = false;
    if (this.isResponseDone) this.finishIfDone();
  }

  onReadEnd(): void {
    if (this.isTunnel) {
      const { sink } = this;
      this.isResponseDone = true;
      sink?.onResponseEnd(undefined);
      return;
    }
    this.canKeep = false;
    if (this.sink !== undefined && !this.isResponseDone) {
      if (this.isResponseStarted && this.decoder.pushEof()) {
        this.finishIfDone();
      } else {
        this.failClosed('connection closed before message completed');
      }
    }
    this.stream.end();
  }

  onDrain(): void {
    if (!this.isRequestDone) this.sink?.onRequestWritable();
  }

  onClose(error: NetError | undefined): void {
    if (this.isGone) return;
    this.isGone = true;
    // A tunnel whose other half was still open has broken, too.
    if (this.isTunnel && this.isResponseDone && this.isRequestDone) this.sink = undefined;
    if (this.sink !== undefined && (!this.isResponseDone || this.isTunnel))
      this.failClosed(error?.message ?? 'connection closed before message completed');
    this.pool.onGone(this);
  }

  // ---- H1Sink

  onHead(head: H1ResponseHead): void {
    const { sink } = this;
    if (sink === undefined) return;
    let fields = stripHopByHop(head.fields);
    if (head.status >= 100 && head.status < 200 && head.status !== 101) {
      this.interimCount += 1;
      if (this.interimCount > MAX_INTERIM) this.broken('too many interim responses');
      else sink.onInterim(head.status, fields);
      return;
    }
    if (head.status === 101) {
      if (!this.isUpgrade) {
        // A tunnel that nobody asked for would let the application speak past the proxy (RFC 9110 §7.8).
        this.broken('unsolicited 101 response');
        return;
      }
      // Of the protocols offered the server has chosen.
      const chosen = fieldValue(head.fields, 'upgrade');
      if (chosen !== undefined) fields = [...fields, 'connection', 'upgrade', 'upgrade', chosen];
    }
    this.isResponseStarted = true;
    if (!head.keepAlive) this.canKeep = false;
    const isTunnel = head.status === 101 || (this.method === 'CONNECT' && head.status >= 200 && head.status < 300);
    const end = !isTunnel && head.bodyBytes === 0;
    if (isTunnel) {
      this.isTunnel = true;
      this.canKeep = false;
      this.isRequestDone = false;
      // What follows is a tunnel: a length has no meaning (RFC 9110 §9.3.6) and would only mislead the next reader.
      if (hasField(fields, 'content-length')) fields = withoutLength(fields);
    }
    if (end) this.isResponseDone = true;
    sink.onResponse(
      {
        version: head.minorVersion === 0 ? HTTP_1_0 : HTTP_1_1,
        status: head.status,
        fields,
        bodyBytes: head.bodyBytes < 0 ? BODY_UNKNOWN : head.bodyBytes,
      },
      end,
    );
  }

  onBody(chunk: Uint8Array, start: number, end: number): void {
    this.deliver(chunk, start, end);
  }

  onEnd(trailers: Readonly<FieldList> | undefined): void {
    if (this.isResponseDone || this.isTunnel) return;
    this.isResponseDone = true;
    this.sink?.onResponseEnd(trailers === undefined ? undefined : stripHopByHop(trailers));
  }

  // ---- internals

  private deliver(chunk: Uint8Array, start: number, end: number): void {
    if (this.sink === undefined) return;
    this.unconsumed += end - start;
    this.sink.onResponseBody(chunk, start, end);
    if (this.unconsumed > MAX_UNCONSUMED_BYTES && !this.isReadPaused) {
      this.isReadPaused = true;
      this.stream.pauseReading();
    }
  }

  private finishIfDone(): void {
    if (!this.isResponseDone || this.sink === undefined) return;
    this.sink = undefined;
    if (!this.isRequestDone || !this.canKeep || this.stream.isClosed) {
      this.stream.destroy();
      return;
    }
    if (this.isReadPaused) {
      this.isReadPaused = false;
      this.stream.resumeReading();
    }
    this.decoder.next();
    this.pool.onReusable(this);
  }

  /** The response is not one. */
  private broken(message: string): void {
    this.fail({ kind: 'protocol', message, h2Code: 0, isUnprocessed: false });
    this.stream.destroy();
  }

  private failClosed(message: string): void {
    const isUnprocessed = this.isReused && !this.hasReceived && !this.hasSentBody && IDEMPOTENT.has(this.method);
    this.fail({ kind: 'closed', message, h2Code: 0, isUnprocessed });
  }

  private fail(failure: ClientFailure): void {
    const { sink } = this;
    this.sink = undefined;
    this.isResponseDone = true;
    sink?.onResponseFail(failure);
  }
}

function withoutLength(fields: Readonly<FieldList>): FieldList {
  const kept: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] !== 'content-length') kept.push(fields[i] as string, fields[i + 1] as string);
  return kept;
}
