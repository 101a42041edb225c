// SPDX-License-Identifier: Apache-2.0
/* The two faces of an exchange as recorders: a handler that keeps what servers are asked, and a sink that keeps what clients are answered. */
import { Buffer } from 'node:buffer';
import type { FieldList } from '@weft/bytes';
import type { ClientFailure, HttpHandler, RequestHead, RequestSink, ResponseHead, ResponseSink, ServerStream } from '../http/types.ts';
import { HTTP_1_1 } from '../http/types.ts';

/** A request as a handler sees it, and how to answer it. */
export class RecordedRequest implements RequestSink {
  readonly head: RequestHead;
  readonly stream: ServerStream;
  body = '';
  bodyBytes = 0;
  trailers: Readonly<FieldList> | undefined = undefined;
  isEnded: boolean;
  abortCode: number | undefined = undefined;
  writableCalls = 0;
  isConsuming: boolean;
  unconsumed = 0;
  /** Called when the request is complete. */
  onEnded: (() => void) | undefined = undefined;

  constructor(head: RequestHead, stream: ServerStream, end: boolean, isConsuming: boolean) {
    this.head = head;
    this.stream = stream;
    this.isEnded = end;
    this.isConsuming = isConsuming;
  }

  respond(status: number, fields: FieldList = [], body = ''): void {
    const bytes = Buffer.from(body, 'latin1');
    this.stream.sendResponse(
      {
        version: HTTP_1_1,
        status,
        fields: body === '' ? fields : [...fields, 'content-length', String(bytes.length)],
        bodyBytes: bytes.length,
      },
      body === '',
    );
    if (body === '') return;
    this.stream.sendBody(bytes, 0, bytes.length);
    this.stream.sendEnd(undefined);
  }

  /** Begins a response of unknown length. */
  begin(status: number, fields: FieldList = []): void {
    this.stream.sendResponse({ version: HTTP_1_1, status, fields, bodyBytes: -1 }, false);
  }

  send(body: string): boolean {
    const bytes = Buffer.from(body, 'latin1');
    return this.stream.sendBody(bytes, 0, bytes.length);
  }

  consume(): void {
    const bytes = this.unconsumed;
    this.unconsumed = 0;
    this.stream.consumed(bytes);
  }

  onRequestBody(chunk: Uint8Array, start: number, end: number): void {
    this.bodyBytes += end - start;
    if (this.bodyBytes < 1_000_000) this.body += Buffer.from(chunk.subarray(start, end)).toString('latin1');
    this.unconsumed += end - start;
    if (this.isConsuming) this.consume();
  }

  onRequestEnd(trailers: Readonly<FieldList> | undefined): void {
    this.isEnded = true;
    this.trailers = trailers;
    this.onEnded?.();
  }

  onRequestAbort(h2Code: number): void {
    this.abortCode = h2Code;
  }

  onResponseWritable(): void {
    this.writableCalls += 1;
  }
}

export class RecordingHandler implements HttpHandler {
  readonly requests: RecordedRequest[] = [];
  readonly peerErrors: string[] = [];
  isClosed = false;
  isConsuming = true;
  /** Called for each request, inside `onRequest`. */
  onEach: ((request: RecordedRequest) => void) | undefined = undefined;

  onRequest(head: RequestHead, stream: ServerStream, end: boolean): RequestSink {
    const request = new RecordedRequest(head, stream, end, this.isConsuming);
    this.requests.push(request);
    this.onEach?.(request);
    return request;
  }

  onPeerErrors(kind: string, count: number): void {
    this.peerErrors.push(`${kind} ${count}`);
  }

  onConnectionClose(): void {
    this.isClosed = true;
  }

  get last(): RecordedRequest {
    const last = this.requests.at(-1);
    if (last === undefined) throw new Error('no request has come');
    return last;
  }
}

/** What a client stream tells its exchange. */
export class RecordedResponse implements ResponseSink {
  readonly interim: { status: number; fields: Readonly<FieldList> }[] = [];
  head: ResponseHead | undefined = undefined;
  body = '';
  bodyBytes = 0;
  trailers: Readonly<FieldList> | undefined = undefined;
  isEnded = false;
  failure: ClientFailure | undefined = undefined;
  writableCalls = 0;
  unconsumed = 0;

  onInterim(status: number, fields: Readonly<FieldList>): void {
    this.interim.push({ status, fields });
  }

  onResponse(head: ResponseHead, end: boolean): void {
    this.head = head;
    this.isEnded = end;
  }

  onResponseBody(chunk: Uint8Array, start: number, end: number): void {
    this.bodyBytes += end - start;
    if (this.bodyBytes < 1_000_000) this.body += Buffer.from(chunk.subarray(start, end)).toString('latin1');
    this.unconsumed += end - start;
  }

  onResponseEnd(trailers: Readonly<FieldList> | undefined): void {
    this.isEnded = true;
    this.trailers = trailers;
  }

  onResponseFail(failure: ClientFailure): void {
    this.failure = failure;
  }

  onRequestWritable(): void {
    this.writableCalls += 1;
  }
}
