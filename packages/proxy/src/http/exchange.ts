// SPDX-License-Identifier: Apache-2.0
/*
 * One request and its response on the way through a proxy: joins a ServerStream and a ClientStream, keeps the flow control of both
 * sides, holds body bytes back until an endpoint has been chosen, and finishes exactly once. What is particular to a side (routing,
 * header rules, metrics) is in the subclasses' hooks.
 *
 *   new ──dispatch──► waiting ──bind──► open ──response end + request end──► finished
 *             └────────────rescue (a ProxyError)──────────────────────────► finished
 */
import { ByteQueue, ByteWriter, type FieldList } from '@weft/bytes';
import type { Admission } from '../admission.ts';
import type { ExchangeWatch } from '../observe/exchange-watch.ts';
import { type ProxyError, grpcTrailers, isGrpc, rescue } from './proxy-error.ts';
import type { ProxyRequestHead } from './request-head.ts';
import type { ClientFailure, ClientStream, RequestSink, ResponseHead, ResponseSink, ServerStream } from './types.ts';

const CANCEL = 8;
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;

/** How an exchange ended. */
export interface Outcome {
  /** Status sent to the client; 0 where none was. */
  readonly status: number;
  readonly error: ProxyError | undefined;
  /** The response began and did not end properly, or the client went away. */
  readonly isAborted: boolean;
  readonly failure: ClientFailure | undefined;
}

export abstract class Exchange implements RequestSink, ResponseSink {
  head: ProxyRequestHead;
  readonly server: ServerStream;
  /** Who looks on; nearly always nobody. Set before the request is sent. */
  watch: ExchangeWatch | undefined = undefined;
  protected status = 0;
  protected responseFields: Readonly<FieldList> | undefined = undefined;
  protected trailers: Readonly<FieldList> | undefined = undefined;
  /** Nothing of the request's body has gone out: it may be dispatched anew. */
  protected isReplayable = true;
  /** A connection that had been used before has failed this request. */
  wantsFresh = false;
  private client: ClientStream | undefined = undefined;
  private held: ByteQueue | undefined = undefined;
  private heldTrailers: Readonly<FieldList> | undefined = undefined;
  private isRequestEnded: boolean;
  private isResponseStarted = false;
  private isFinished = false;
  private isFirstByteSeen = false;
  /** After 101, or 2xx to CONNECT: bytes of no protocol of ours. */
  protected isTunnel = false;
  private isResponseEnded = false;
  private owedToServer = 0;
  private owedToClient = 0;
  private admission: Admission | undefined = undefined;

  constructor(head: ProxyRequestHead, server: ServerStream, end: boolean) {
    this.head = head;
    this.server = server;
    this.isRequestEnded = end;
  }

  get isDone(): boolean {
    return this.isFinished;
  }

  /** Whether the request has no body left to come; the client stream is opened with it. */
  get isEndAtDispatch(): boolean {
    return this.isRequestEnded && this.held === undefined && this.heldTrailers === undefined;
  }

  /** Takes a place among the requests in flight, until the head of the response. Without one the request is answered. */
  admit(admission: Admission): boolean {
    if (!admission.enter()) {
      this.rescue({ kind: 'load-shed', message: 'service overloaded' });
      return false;
    }
    this.admission = admission;
    return true;
  }

  /** The chosen endpoint has opened a stream for this request: what was held back goes out. */
  bind(client: ClientStream, wasSentEnded: boolean): void {
    if (this.isFinished) return;
    this.client = client;
    if (wasSentEnded) return;
    const { held } = this;
    if (held !== undefined) {
      this.held = undefined;
      this.isReplayable = false;
      const bytes = held.length;
      const writer = new ByteWriter();
      held.moveTo(writer, bytes);
      if (client.sendBody(writer.buffer, 0, bytes)) this.server.consumed(bytes);
      else this.owedToServer += bytes;
      writer.discard();
    }
    if (this.isRequestEnded) client.sendEnd(this.heldTrailers);
  }

  /** Answers for a cause of our own, if nothing has been answered yet; otherwise breaks the response off. */
  rescue(error: ProxyError): void {
    if (this.isFinished) return;
    const { client } = this;
    this.client = undefined;
    client?.abort(CANCEL);
    if (this.isResponseStarted) {
      this.breakOff(error, error.kind === 'unexpected' ? INTERNAL_ERROR : CANCEL, undefined);
      return;
    }
    const answer = rescue(error, this.head, this.showsDetails());
    this.status = answer.head.status;
    this.isResponseStarted = true;
    this.responseFields = answer.head.fields;
    if (answer.mustClose) this.server.closeAfterResponse();
    this.onRescued(error);
    this.settleServer();
    this.server.sendResponse(answer.head, true);
    this.finish({ status: this.status, error, isAborted: false, failure: undefined });
  }

  // ---- RequestSink

  onRequestBody(chunk: Uint8Array, start: number, end: number): void {
    if (this.isFinished) {
      this.server.consumed(end - start);
      return;
    }
    const { client } = this;
    this.onRequestBytes(end - start);
    if (client === undefined) {
      // Held within the receive window of the server side: credit is returned only once the bytes have gone on.
      (this.held ??= new ByteQueue()).push(chunk, start, end);
      return;
    }
    this.isReplayable = false;
    if (client.sendBody(chunk, start, end)) this.server.consumed(end - start);
    else this.owedToServer += end - start;
  }

  onRequestEnd(trailers: Readonly<FieldList> | undefined): void {
    this.isRequestEnded = true;
    this.heldTrailers = trailers;
    this.client?.sendEnd(trailers);
    if (this.isTunnel && this.isResponseEnded) this.completed();
  }

  onRequestAbort(h2Code: number): void {
    if (this.isFinished) return;
    const { client } = this;
    this.client = undefined;
    client?.abort(h2Code === NO_ERROR ? CANCEL : h2Code);
    this.finish({ status: this.status, error: undefined, isAborted: true, failure: undefined });
  }

  onResponseWritable(): void {
    if (this.owedToClient > 0) {
      const bytes = this.owedToClient;
      this.owedToClient = 0;
      this.client?.consumed(bytes);
    }
  }

  // ---- ResponseSink

  onInterim(status: number, fields: Readonly<FieldList>): void {
    if (!this.isFinished) this.server.sendInterim(status, fields);
  }

  onResponse(head: ResponseHead, end: boolean): void {
    if (this.isFinished) return;
    if (this.isReplayable && this.goesElsewhere(head)) {
      const { client } = this;
      this.client = undefined;
      if (!end) client?.abort(CANCEL);
      this.dispatchElsewhere(head);
      return;
    }
    this.isResponseStarted = true;
    this.status = head.status;
    if (this.watch !== undefined) this.watch.response(head);
    this.isTunnel = head.status === 101 || (this.head.upgrade === 'connect' && head.status >= 200 && head.status < 300);
    const shown = this.mapResponse(head);
    this.responseFields = shown.fields;
    this.leaveAdmission();
    if (end) {
      this.firstByte();
      this.settleServer();
    }
    this.server.sendResponse(shown, end);
    if (end) this.completed();
  }

  onResponseBody(chunk: Uint8Array, start: number, end: number): void {
    if (this.isFinished) return;
    if (!this.isFirstByteSeen) this.firstByte();
    this.onResponseBytes(end - start);
    if (this.watch !== undefined) this.watch.bytes(end - start);
    if (this.server.sendBody(chunk, start, end)) this.client?.consumed(end - start);
    else this.owedToClient += end - start;
  }

  onResponseEnd(trailers: Readonly<FieldList> | undefined): void {
    if (this.isFinished) return;
    if (!this.isFirstByteSeen) this.firstByte();
    this.trailers = trailers;
    if (!this.isTunnel) this.settleServer();
    this.server.sendEnd(trailers);
    this.isResponseEnded = true;
    // Each half of a tunnel closes on its own.
    if (!this.isTunnel || this.isRequestEnded) this.completed();
  }

  onResponseFail(failure: ClientFailure): void {
    if (this.isFinished) return;
    this.client = undefined;
    if (!this.isResponseStarted && failure.isUnprocessed && this.isReplayable) {
      this.wantsFresh ||= failure.kind === 'closed';
      if (this.redispatch(failure)) return;
    }
    if (this.isResponseStarted) {
      if (failure.kind === 'reset') this.breakOff(undefined, failure.h2Code, failure);
      else this.breakOff(this.mapFailure(failure), CANCEL, failure);
      return;
    }
    if (failure.kind === 'reset' && this.head.version === 20) {
      // A native HTTP/2 reset keeps its reason (proxy-contract §4.5).
      this.server.abort(failure.h2Code);
      this.finish({ status: 0, error: undefined, isAborted: true, failure });
      return;
    }
    this.onFailed(failure);
    this.rescue(this.mapFailure(failure));
  }

  onRequestWritable(): void {
    if (this.owedToServer > 0) {
      const bytes = this.owedToServer;
      this.owedToServer = 0;
      this.server.consumed(bytes);
    }
  }

  // ---- hooks

  /** Whether informational headers may be shown to this client. */
  protected abstract showsDetails(): boolean;
  /** Header rules on a response from upstream. */
  protected abstract mapResponse(head: ResponseHead): ResponseHead;
  protected abstract mapFailure(failure: ClientFailure): ProxyError;
  /** Sends the request somewhere else after a failure that left it untouched. False where that is not possible. */
  protected abstract redispatch(failure: ClientFailure): boolean;
  /** Whether a response says that the application was never reached, and another endpoint may reach it. */
  protected goesElsewhere(_head: ResponseHead): boolean {
    return false;
  }
  /** Sends the request to another endpoint; called only after `goesElsewhere`. */
  protected dispatchElsewhere(_head: ResponseHead): void {}
  /** First byte of the response's body, or its end: what latency is measured to. */
  protected abstract onFirstByte(): void;
  protected abstract onFinish(outcome: Outcome): void;
  protected onRescued(_error: ProxyError): void {}
  protected onFailed(_failure: ClientFailure): void {}
  protected onRequestBytes(_bytes: number): void {}
  protected onResponseBytes(_bytes: number): void {}

  // ---- internals

  private firstByte(): void {
    this.isFirstByteSeen = true;
    this.onFirstByte();
  }

  /** Ends a response that has begun: with trailers where gRPC has a place for the cause (§4.5), else by breaking the stream. */
  private breakOff(error: ProxyError | undefined, h2Code: number, failure: ClientFailure | undefined): void {
    if (error !== undefined && isGrpc(this.head)) {
      this.trailers = grpcTrailers(error, this.showsDetails());
      this.settleServer();
      this.server.sendEnd(this.trailers);
    } else {
      this.server.abort(h2Code);
    }
    this.finish({ status: this.status, error: failure === undefined ? error : undefined, isAborted: true, failure });
  }

  /** The response is complete. A request body that is still coming has no reader any more. */
  private completed(): void {
    const { client } = this;
    this.client = undefined;
    if (!this.isRequestEnded && client !== undefined) client.abort(NO_ERROR);
    this.finish({ status: this.status, error: undefined, isAborted: false, failure: undefined });
  }

  private finish(outcome: Outcome): void {
    this.isFinished = true;
    this.leaveAdmission();
    this.settleServer();
    if (this.watch !== undefined) this.watch.end(outcome, this.trailers);
    this.onFinish(outcome);
  }

  /**
   * Credits the request bytes that have no reader any more. Before the end of the response: a connection may turn to its next request
   * within that call, whose account is not to be touched.
   */
  private settleServer(): void {
    const bytes = this.owedToServer + (this.held?.length ?? 0);
    this.owedToServer = 0;
    this.held = undefined;
    if (bytes > 0) this.server.consumed(bytes);
  }

  private leaveAdmission(): void {
    const { admission } = this;
    this.admission = undefined;
    admission?.leave();
  }
}
