// SPDX-License-Identifier: Apache-2.0
/*
 * A request whose target is still being looked up: its body is held within the receive window of the server side until it is known where it goes.
 *
 *   waiting ──open──► handed over
 *      └──aborted by the client──► gone
 */
import { ByteQueue, ByteWriter, type FieldList } from '@weft/bytes';
import { Exchange } from '../http/exchange.ts';
import type { RequestSink } from '../http/types.ts';

export class DeferredRequest implements RequestSink {
  /** The client has given up. */
  isGone = false;
  private inner: RequestSink | undefined = undefined;
  private held: ByteQueue | undefined = undefined;
  private isEnded: boolean;
  private trailers: Readonly<FieldList> | undefined = undefined;

  /** `end` = the request has no body. */
  constructor(end: boolean) {
    this.isEnded = end;
  }

  /** Hands the request over to what `start` makes; `end` = nothing of its body is to come. Once. */
  open(start: (end: boolean) => RequestSink): void {
    if (this.isGone || this.inner !== undefined) return;
    const { held } = this;
    const isComplete = this.isEnded && held === undefined && this.trailers === undefined;
    const inner = start(isComplete);
    this.inner = inner;
    this.held = undefined;
    // An exchange that has been answered already keeps no account of the bytes.
    if (isComplete || (inner instanceof Exchange && inner.isDone)) return;
    if (held !== undefined) {
      const writer = new ByteWriter();
      const bytes = held.length;
      held.moveTo(writer, bytes);
      inner.onRequestBody(writer.buffer, 0, bytes);
      writer.discard();
    }
    if (this.isEnded) inner.onRequestEnd(this.trailers);
  }

  onRequestBody(chunk: Uint8Array, start: number, end: number): void {
    if (this.inner === undefined) (this.held ??= new ByteQueue()).push(chunk, start, end);
    else this.inner.onRequestBody(chunk, start, end);
  }

  onRequestEnd(trailers: Readonly<FieldList> | undefined): void {
    this.isEnded = true;
    this.trailers = trailers;
    this.inner?.onRequestEnd(trailers);
  }

  onRequestAbort(h2Code: number): void {
    this.isGone = true;
    this.held = undefined;
    this.inner?.onRequestAbort(h2Code);
  }

  onResponseWritable(): void {
    this.inner?.onResponseWritable();
  }
}
