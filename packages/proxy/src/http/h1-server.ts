// SPDX-License-Identifier: Apache-2.0
/*
 * An accepted HTTP/1 connection. HTTP/1 has one exchange at a time, so the connection is itself the ServerStream of the exchange
 * in progress; pipelined bytes wait until it is complete (RFC 9112 §9.3.2). After a 101 or a successful CONNECT the same body calls
 * carry tunnel bytes.
 *
 *   idle ──head──► exchanging ──request end + response end──► idle | closing ──peer closes, or linger──► closed
 *                       └──101 / CONNECT 2xx──► tunnel ──both ends──► closed
 *
 * While closing, what still comes is read and thrown away, so that the last answer is not destroyed by a reset; never served, since its answer
 * could not be sent.
 */
import { Buffer } from 'node:buffer';
import { type FieldList, hasField } from '@weft/bytes';
import {
  H1EncodeError,
  H1RequestDecoder,
  type H1RequestHead,
  type H1Sink,
  stripHopByHop,
  writeChunk,
  writeLastChunk,
  writeResponseHead,
} from '@weft/http1';
import type { ByteStream, ByteStreamSink, NetError } from '@weft/net';
import type { Clock } from '../runtime.ts';
import { httpLimits } from './limits.ts';
import { endAndLinger } from './linger.ts';
import { fromH1, type ProxyRequestHead } from './request-head.ts';
import {
  BODY_UNKNOWN,
  type HttpHandler,
  type RequestSink,
  type ResponseHead,
  type ServerConnectionInfo,
  type ServerStream,
} from './types.ts';

/** Request body taken from the socket and not yet taken on by the exchange, before reading stops. */
const MAX_UNCONSUMED_BYTES = 64 * 1024;
/** Request body thrown away after an early response so that the connection can be kept; beyond it the connection closes. */
const MAX_DISCARDED_BYTES = 64 * 1024;
/** Bytes thrown away while closing; a peer that sends more is cut off. */
const MAX_LINGER_BYTES = 1024 * 1024;
const CANCEL = 8;

export class H1ServerConnection implements ByteStreamSink, H1Sink<H1RequestHead>, ServerStream {
  readonly connection: ServerConnectionInfo;
  private readonly stream: ByteStream;
  private readonly handler: HttpHandler;
  private readonly clock: Clock;
  private readonly decoder: H1RequestDecoder;
  private sink: RequestSink | undefined = undefined;
  private lastH1Head: H1RequestHead | undefined = undefined;
  private lastHead: ProxyRequestHead | undefined = undefined;
  private isExchanging = false;
  private isRequestDone = false;
  private isResponseStarted = false;
  private isResponseDone = false;
  private isTunnel = false;
  private isChunked = false;
  private isBodiless = false;
  /** The body ends with the connection: an abort must not look like its end. */
  private isUntilClose = false;
  private isReadPaused = false;
  private mustClose = false;
  /** Nothing more is written, and nothing more is served. */
  private isClosing = false;
  private cancelLinger: (() => void) | undefined = undefined;
  /** Runs while a request head is incomplete. */
  private cancelHeadTimeout: (() => void) | undefined = undefined;
  private isDraining = false;
  private isReadEnded = false;
  /** Inside `decoder.push`: what follows a complete exchange is then left to `feed`. */
  private isFeeding = false;
  private unconsumed = 0;
  private discarded = 0;
  private minorVersion: 0 | 1 = 1;
  private requestMethod = '';
  private pipelined: Buffer | undefined = undefined;

  constructor(stream: ByteStream, handler: HttpHandler, clock: Clock) {
    this.stream = stream;
    this.handler = handler;
    this.clock = clock;
    this.connection = { clientIp: stream.remote.ip, clientPort: stream.remote.port };
    this.decoder = new H1RequestDecoder(this);
  }

  start(): void {
    this.stream.setSink(this);
  }

  /** Finishes the exchange in progress, then closes; an idle connection closes now (proxy-contract §9). */
  drain(): void {
    this.isDraining = true;
    if (this.isTunnel) return;
    this.mustClose = true;
    // A request on its way is still answered.
    if (!this.isExchanging && this.decoder.isIdle) this.close();
  }

  // ---- ByteStreamSink

  onRead(chunk: Buffer, start: number, end: number): void {
    if (this.isTunnel) this.deliverTunnel(chunk, start, end);
    else if (this.isClosing) this.discard(end - start);
    else this.feed(chunk, start, end);
  }

  onReadEnd(): void {
    this.isReadEnded = true;
    if (this.isTunnel) {
      if (!this.isRequestDone) {
        this.isRequestDone = true;
        this.sink?.onRequestEnd(undefined);
      }
      return;
    }
    // While closing, this was what was waited for.
    if (!this.isClosing) this.endOfInput();
  }

  onDrain(): void {
    this.sink?.onResponseWritable();
  }

  onClose(_error: NetError | undefined): void {
    this.cancelLinger?.();
    this.cancelHeadTimeout?.();
    const { sink } = this;
    this.sink = undefined;
    if (sink !== undefined && !(this.isRequestDone && this.isResponseDone)) sink.onRequestAbort(CANCEL);
    this.handler.onConnectionClose();
  }

  // ---- H1Sink

  onHead(h1Head: H1RequestHead): void {
    if (this.cancelHeadTimeout !== undefined) {
      this.cancelHeadTimeout();
      this.cancelHeadTimeout = undefined;
    }
    let head = this.lastHead;
    if (h1Head !== this.lastH1Head || head === undefined) {
      head = fromH1(h1Head);
      if (head === undefined) {
        this.refuse(400, 'ERR_H1_TARGET');
        return;
      }
      this.lastH1Head = h1Head;
      this.lastHead = head;
    }
    const isEnd = head.bodyBytes === 0 && head.upgrade === undefined;
    this.isExchanging = true;
    this.isRequestDone = isEnd;
    this.isResponseStarted = false;
    this.isResponseDone = false;
    this.minorVersion = h1Head.minorVersion;
    this.requestMethod = h1Head.method;
    this.discarded = 0;
    if (!h1Head.keepAlive || this.isDraining) this.mustClose = true;
    const sink = this.handler.onRequest(head, this, isEnd);
    if (!this.isResponseDone) this.sink = sink;
  }

  onBody(chunk: Uint8Array, start: number, end: number): void {
    const bytes = end - start;
    if (this.sink === undefined) {
      this.discard(bytes);
      return;
    }
    this.unconsumed += bytes;
    this.sink.onRequestBody(chunk, start, end);
    if (this.unconsumed > MAX_UNCONSUMED_BYTES) this.pause();
  }

  onEnd(trailers: Readonly<FieldList> | undefined): void {
    if (this.isRequestDone || this.lastHead?.upgrade !== undefined) return;
    this.isRequestDone = true;
    this.sink?.onRequestEnd(trailers === undefined ? undefined : stripHopByHop(trailers));
  }

  // ---- ServerStream

  sendInterim(status: number, fields: Readonly<FieldList>): void {
    if (this.isResponseStarted || this.minorVersion === 0) return;
    writeResponseHead(this.stream.out, status, undefined, 1, fields);
    this.stream.schedule();
  }

  sendResponse(head: ResponseHead, end: boolean): void {
    this.isResponseStarted = true;
    const { status } = head;
    const fields = head.fields.slice();
    if (!hasField(fields, 'date')) fields.push('date', this.clock.date());
    if (status === 101 || (this.requestMethod === 'CONNECT' && status >= 200 && status < 300)) {
      if (status === 101 && !hasField(fields, 'upgrade')) fields.push('connection', 'upgrade', 'upgrade', this.lastHead?.upgrade ?? '');
      this.writeHead(status, fields);
      this.openTunnel();
      return;
    }
    this.isUntilClose = false;
    this.isBodiless = this.requestMethod === 'HEAD' || status === 204 || status === 304;
    this.isChunked = false;
    if (!this.isBodiless) {
      if (end) {
        if (!hasField(fields, 'content-length')) fields.push('content-length', '0');
      } else if (head.bodyBytes === BODY_UNKNOWN) {
        if (this.minorVersion === 1) {
          this.isChunked = true;
          fields.push('transfer-encoding', 'chunked');
        } else {
          this.isUntilClose = true;
          this.mustClose = true;
        }
      }
    }
    if (this.lastHead?.upgrade !== undefined) this.isRequestDone = true;
    if (this.mustClose) {
      if (this.minorVersion === 1) fields.push('connection', 'close');
    } else if (this.minorVersion === 0) {
      fields.push('connection', 'keep-alive');
    }
    this.writeHead(status, fields);
    if (end) this.finishResponse();
  }

  sendBody(chunk: Uint8Array, start: number, end: number): boolean {
    if (this.isBodiless) return true;
    const { out } = this.stream;
    if (this.isChunked) writeChunk(out, chunk, start, end);
    else out.writeBytes(chunk, start, end);
    this.stream.schedule();
    return !this.stream.isBlocked;
  }

  sendEnd(trailers: Readonly<FieldList> | undefined): void {
    if (this.isTunnel) {
      this.isResponseDone = true;
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
    this.finishResponse();
  }

  abort(_h2Code: number): void {
    this.sink = undefined;
    this.isResponseDone = true;
    this.stream.destroy({ reset: this.isTunnel || this.isUntilClose });
  }

  consumed(bytes: number): void {
    this.unconsumed -= bytes;
    if (this.isReadPaused && this.unconsumed * 2 < MAX_UNCONSUMED_BYTES && this.pipelined === undefined) this.resume();
  }

  closeAfterResponse(): void {
    this.mustClose = true;
  }

  // ---- internals

  private feed(chunk: Buffer, start: number, end: number): void {
    let at = start;
    for (;;) {
      if (this.isExchanging && this.isRequestDone) {
        this.holdBack(chunk, at, end);
        return;
      }
      this.isFeeding = true;
      at = this.decoder.push(chunk, at, end);
      this.isFeeding = false;
      if (at < 0) {
        this.refuse(this.decoder.error?.status ?? 400, this.decoder.error?.code ?? '');
        return;
      }
      if (this.isClosing) return;
      if (this.isExchanging && this.isRequestDone && this.isResponseDone && !this.recycle()) return;
      if (at >= end) {
        // An incomplete head is one that the decoder has begun and not told of.
        if (!this.isExchanging && this.cancelHeadTimeout === undefined && !this.decoder.isIdle) this.armHeadTimeout();
        return;
      }
      if (this.isTunnel) {
        this.deliverTunnel(chunk, at, end);
        return;
      }
      if (this.lastHead?.upgrade !== undefined && this.isExchanging) {
        this.holdBack(chunk, at, end);
        return;
      }
    }
  }

  private armHeadTimeout(): void {
    this.cancelHeadTimeout = this.clock.after(httpLimits.http1HeadTimeoutMs, () => {
      this.cancelHeadTimeout = undefined;
      this.refuse(408, 'head timeout');
      this.stream.schedule();
    });
  }

  /** Keeps bytes that belong to what comes after the exchange in progress; at most one read's worth, as reading stops. */
  private holdBack(chunk: Buffer, start: number, end: number): void {
    const more = chunk.subarray(start, end);
    this.pipelined = this.pipelined === undefined ? Buffer.from(more) : Buffer.concat([this.pipelined, more]);
    this.pause();
  }

  private deliverTunnel(chunk: Buffer, start: number, end: number): void {
    this.unconsumed += end - start;
    this.sink?.onRequestBody(chunk, start, end);
    if (this.unconsumed > MAX_UNCONSUMED_BYTES) this.pause();
  }

  private openTunnel(): void {
    this.isTunnel = true;
    this.isChunked = false;
    this.isBodiless = false;
    const held = this.pipelined;
    this.pipelined = undefined;
    if (held !== undefined) this.deliverTunnel(held, 0, held.length);
    if (this.isReadPaused && this.unconsumed <= MAX_UNCONSUMED_BYTES) this.resume();
    if (this.isReadEnded) this.onReadEnd();
  }

  private writeHead(status: number, fields: FieldList): void {
    try {
      writeResponseHead(this.stream.out, status, undefined, this.minorVersion, fields);
    } catch (error) {
      if (!(error instanceof H1EncodeError)) throw error;
      // Fields that HTTP/1 cannot carry, where nothing may have let them in: this connection alone suffers.
      this.stream.destroy({ reset: true });
    }
    this.stream.schedule();
  }

  private finishResponse(): void {
    this.isResponseDone = true;
    this.sink = undefined;
    this.unconsumed = 0;
    if (!this.isRequestDone) {
      // The rest of the body is thrown away as it comes, so that the connection can be kept, or the answer not be lost to a reset.
      if (this.mustClose) this.close();
      if (this.isReadPaused) this.resume();
      return;
    }
    if (this.isFeeding || !this.recycle()) return;
    const held = this.pipelined;
    if (held !== undefined) {
      this.pipelined = undefined;
      this.feed(held, 0, held.length);
      if (this.isReadEnded && this.pipelined === undefined && !this.isClosing) this.endOfInput();
    }
    if (this.pipelined === undefined && this.isReadPaused) this.resume();
  }

  /** Makes ready for the next request. False where the connection closes instead. */
  private recycle(): boolean {
    this.isExchanging = false;
    if (this.mustClose || (this.isReadEnded && this.pipelined === undefined)) {
      this.close();
      return false;
    }
    this.decoder.next();
    return true;
  }

  /** No more bytes will come, and none are held back. */
  private endOfInput(): void {
    if (!this.isExchanging) {
      this.close();
    } else if (!this.isRequestDone && this.lastHead?.upgrade === undefined && !this.isResponseDone) {
      // The body is cut short. A client that has sent all of its request still gets the answer.
      this.stream.destroy();
    } else if (this.isResponseDone) {
      this.close();
    }
  }

  /** Answers bytes that are no proper request, and closes: nothing after them can be trusted (request smuggling). */
  private refuse(status: number, kind: string): void {
    this.handler.onPeerErrors(kind, 1);
    this.mustClose = true;
    if (this.isResponseStarted && this.isExchanging) {
      this.stream.destroy();
      return;
    }
    const { sink } = this;
    this.sink = undefined;
    this.isRequestDone = true;
    this.isResponseDone = true;
    if (this.isExchanging) sink?.onRequestAbort(CANCEL);
    this.minorVersion = 1;
    this.writeHead(status, ['connection', 'close', 'content-length', '0', 'date', this.clock.date()]);
    this.close();
  }

  /** Ends our half and waits for the peer's. */
  private close(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.cancelHeadTimeout?.();
    this.pipelined = undefined;
    if (this.isReadPaused) this.resume();
    this.cancelLinger = endAndLinger(this.stream, this.clock);
  }

  /** Counts bytes that nobody wants. */
  private discard(bytes: number): void {
    this.discarded += bytes;
    if (this.discarded > MAX_LINGER_BYTES) this.stream.destroy();
    else if (this.discarded > MAX_DISCARDED_BYTES) this.close();
  }

  private pause(): void {
    if (this.isReadPaused) return;
    this.isReadPaused = true;
    this.stream.pauseReading();
  }

  private resume(): void {
    this.isReadPaused = false;
    this.stream.resumeReading();
  }
}
