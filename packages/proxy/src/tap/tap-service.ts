// SPDX-License-Identifier: Apache-2.0
/*
 * `Tap.Observe` on an accepted HTTP/2 connection (proxy-contract §8), a gRPC server of one method on the proxy's own codec: reads one request
 * message, sends events until the tap is done or the reader is gone. Up to MAX_QUEUED_EVENTS wait for a reader that is slow.
 */
import { Buffer } from 'node:buffer';
import type { FieldList } from '@weft/bytes';
import { HTTP_2, type HttpHandler, type RequestHead, type RequestSink, type ServerStream } from '../http/types.ts';
import type { TapCodec } from './tap-codec.ts';
import type { NetworkParser } from './tap-match.ts';
import type { TapOutput, TapRegistry } from './tap-registry.ts';

const OBSERVE = '/io.linkerd.proxy.tap.Tap/Observe';
/** Events that wait for the reader of one tap; beyond it they are dropped. */
export const MAX_QUEUED_EVENTS = 400;
/** A request message beyond this is refused. */
export const MAX_REQUEST_BYTES: number = 64 * 1024;

const PREFIX_BYTES = 5;
const OK = 0;
const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

export interface TapServiceDeps {
  readonly registry: TapRegistry;
  readonly codec: TapCodec;
  readonly parseNetwork: NetworkParser;
}

/** One connection's calls. `refusal` = why this client may not observe. */
export class TapService implements HttpHandler {
  private readonly deps: TapServiceDeps;
  private readonly refusal: string | undefined;
  private readonly onClose: () => void;

  constructor(deps: TapServiceDeps, refusal: string | undefined, onClose: () => void) {
    this.deps = deps;
    this.refusal = refusal;
    this.onClose = onClose;
  }

  onRequest(head: RequestHead, stream: ServerStream): RequestSink {
    if (head.version !== HTTP_2) return refuse(stream, UNIMPLEMENTED, 'gRPC needs HTTP/2');
    if (this.refusal !== undefined) return refuse(stream, UNAUTHENTICATED, this.refusal);
    if (head.path !== OBSERVE) return refuse(stream, UNIMPLEMENTED, 'unknown method');
    return new ObserveCall(this.deps, stream);
  }

  onPeerErrors(): void {}

  onConnectionClose(): void {
    this.onClose();
  }
}

class ObserveCall implements RequestSink, TapOutput {
  private readonly deps: TapServiceDeps;
  private readonly stream: ServerStream;
  private gathered: Buffer = Buffer.alloc(0);
  private tap: { close(): void } | undefined = undefined;
  private queue: Uint8Array[] = [];
  private isBlocked = false;
  private isAnswered = false;
  private isDone = false;

  constructor(deps: TapServiceDeps, stream: ServerStream) {
    this.deps = deps;
    this.stream = stream;
  }

  // ---- RequestSink

  onRequestBody(chunk: Uint8Array, start: number, end: number): void {
    this.stream.consumed(end - start);
    if (this.isAnswered) return;
    this.gathered = Buffer.concat([this.gathered, chunk.subarray(start, end)]);
    if (this.gathered.length > MAX_REQUEST_BYTES) {
      this.refuse(RESOURCE_EXHAUSTED, 'request message is too large');
      return;
    }
    if (this.gathered.length < PREFIX_BYTES) return;
    const length = this.gathered.readUInt32BE(1);
    if (this.gathered[0] !== 0) this.refuse(UNIMPLEMENTED, 'request message is compressed');
    else if (length > MAX_REQUEST_BYTES) this.refuse(RESOURCE_EXHAUSTED, 'request message is too large');
    else if (this.gathered.length >= PREFIX_BYTES + length) this.observe(this.gathered.subarray(PREFIX_BYTES, PREFIX_BYTES + length));
  }

  onRequestEnd(): void {
    if (!this.isAnswered) this.refuse(INVALID_ARGUMENT, 'request message is missing');
  }

  onRequestAbort(): void {
    this.isDone = true;
    this.queue = [];
    this.tap?.close();
  }

  onResponseWritable(): void {
    this.isBlocked = false;
    this.flush();
  }

  // ---- TapOutput

  get hasRoom(): boolean {
    return !this.isBlocked || this.queue.length < MAX_QUEUED_EVENTS;
  }

  event(message: Uint8Array): void {
    if (this.isDone) return;
    this.queue.push(message);
    this.flush();
  }

  done(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.flush();
  }

  private observe(message: Uint8Array): void {
    const request = this.deps.codec.decodeRequest(message, this.deps.parseNetwork);
    if ('error' in request) {
      this.refuse(INVALID_ARGUMENT, request.error);
      return;
    }
    const tap = this.deps.registry.add(request, this);
    if (tap === undefined) {
      this.refuse(RESOURCE_EXHAUSTED, 'too many taps');
      return;
    }
    this.tap = tap;
    this.isAnswered = true;
    this.gathered = Buffer.alloc(0);
    this.stream.sendResponse({ version: HTTP_2, status: 200, fields: [...GRPC_FIELDS], bodyBytes: -1 }, false);
  }

  private refuse(status: number, message: string): void {
    this.isAnswered = true;
    this.isDone = true;
    answer(this.stream, status, message);
  }

  private flush(): void {
    while (!this.isBlocked && this.queue.length > 0) {
      const message = this.queue.shift() as Uint8Array;
      const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
      framed[0] = 0;
      framed.writeUInt32BE(message.length, 1);
      framed.set(message, PREFIX_BYTES);
      this.isBlocked = !this.stream.sendBody(framed, 0, framed.length);
    }
    if (this.isDone && this.queue.length === 0 && !this.isBlocked) this.stream.sendEnd(['grpc-status', String(OK)]);
  }
}

const GRPC_FIELDS: Readonly<FieldList> = ['content-type', 'application/grpc'];

/** Answers at once; the rest of the request has no reader. */
function refuse(stream: ServerStream, status: number, message: string): RequestSink {
  answer(stream, status, message);
  return {
    onRequestBody: (_chunk, start, end) => stream.consumed(end - start),
    onRequestEnd: () => {},
    onRequestAbort: () => {},
    onResponseWritable: () => {},
  };
}

function answer(stream: ServerStream, status: number, message: string): void {
  const fields: FieldList = [...GRPC_FIELDS, 'grpc-status', String(status), 'grpc-message', message];
  stream.sendResponse({ version: HTTP_2, status: 200, fields, bodyBytes: 0 }, true);
}
