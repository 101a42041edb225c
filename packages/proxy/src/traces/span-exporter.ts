// SPDX-License-Identifier: Apache-2.0
/*
 * Spans on their way to the collector (proxy-contract §8): each is encoded as it ends, gathered into a batch, and the batch sent by OTLP/gRPC when
 * it is full or old. One batch is on its way at a time. While the collector does not answer, one more is gathered, and what does not fit is
 * dropped and counted: requests never wait for it.
 *
 *   gathering ──full or MAX_BATCH_AGE_MS──► sending ──answer, or no answer in time──► gathering
 */
import { Buffer } from 'node:buffer';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type KeyValue, InstrumentationScopeSchema, KeyValueSchema } from '@weft/proto/otlp-common';
import { ResourceSchema } from '@weft/proto/otlp-resource';
import { SpanSchema, Span_SpanKind, Status_StatusCode } from '@weft/proto/otlp-trace';
import type { Counter } from '@weft/telemetry';
import type { GrpcCall, GrpcCaller } from '../control/grpc-client.ts';
import type { EndedSpan, SpanAttribute, SpanSink } from './tracer.ts';

const EXPORT = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
/** Spans of one message (the contract allows 1000; fewer keep messages small). */
export const MAX_BATCH_SPANS = 256;
/** Bytes of the spans of one message. */
export const MAX_BATCH_BYTES: number = 512 * 1024;
/** A batch goes out at the latest this long after its first span. */
export const MAX_BATCH_AGE_MS = 10_000;
/** A proxy that stops waits this long for its last spans to be taken. */
export const FLUSH_ON_STOP_MS = 1000;
/** An export without answer is given up. */
export const EXPORT_TIMEOUT_MS = 10_000;

export interface SpanExporterMetrics {
  readonly streams: Counter;
  readonly requests: Counter;
  readonly exported: Counter;
  readonly dropped: Counter;
}

export interface SpanExporterDeps {
  readonly channel: GrpcCaller;
  readonly resource: readonly SpanAttribute[];
  readonly version: string;
  /** Calls back once after `ms`; returns cancel. */
  readonly after: (ms: number, callback: () => void) => () => void;
  readonly metrics: SpanExporterMetrics;
  readonly log: { debug(message: string, fields?: Record<string, unknown>): void };
}

export class SpanExporter implements SpanSink {
  private readonly deps: SpanExporterDeps;
  private readonly resource: Uint8Array;
  private readonly scope: Uint8Array;
  private gathered: Uint8Array[] = [];
  private gatheredBytes = 0;
  private cancelAge: (() => void) | undefined = undefined;
  private sending: { readonly call: GrpcCall; readonly cancelDeadline: () => void; readonly spans: number } | undefined = undefined;
  private isClosed = false;
  /** Told once when nothing is on its way and nothing waits. */
  private onIdle: (() => void) | undefined = undefined;

  constructor(deps: SpanExporterDeps) {
    this.deps = deps;
    this.resource = toBinary(ResourceSchema, create(ResourceSchema, { attributes: deps.resource.map(keyValue) }));
    this.scope = toBinary(InstrumentationScopeSchema, create(InstrumentationScopeSchema, { name: 'weft-proxy', version: deps.version }));
  }

  add(span: EndedSpan): void {
    if (this.isClosed || this.isFull) {
      this.deps.metrics.dropped.value += 1;
      return;
    }
    const bytes = encodeSpan(span);
    this.gathered.push(bytes);
    this.gatheredBytes += bytes.length;
    if (this.isFull) this.flush();
    else this.cancelAge ??= this.deps.after(MAX_BATCH_AGE_MS, () => this.flush());
  }

  /** Sends what there is, if nothing is on its way. */
  flush(): void {
    this.cancelAge?.();
    this.cancelAge = undefined;
    if (this.sending !== undefined || this.gathered.length === 0) return;
    const { deps } = this;
    const spans = this.gathered;
    this.gathered = [];
    this.gatheredBytes = 0;
    let isOver = false;
    const over = (status: number, message: string): void => {
      if (isOver) return;
      isOver = true;
      this.sending?.cancelDeadline();
      this.sending = undefined;
      const counter = status === 0 ? deps.metrics.exported : deps.metrics.dropped;
      counter.value += spans.length;
      if (status !== 0) deps.log.debug('spans were not exported', { spans: spans.length, status, error: message });
      // What was gathered meanwhile is old enough if its timer has run out.
      if (this.isFull || (this.gathered.length > 0 && (this.cancelAge === undefined || this.isClosed))) this.flush();
      if (this.sending !== undefined) return;
      const { onIdle } = this;
      this.onIdle = undefined;
      onIdle?.();
    };
    deps.metrics.streams.value += 1;
    deps.metrics.requests.value += 1;
    const call = deps.channel.call(EXPORT, this.request(spans), { onMessage: () => {}, onEnd: over });
    const cancelDeadline = deps.after(EXPORT_TIMEOUT_MS, () => {
      call.cancel();
      over(4, 'no answer in time');
    });
    if (isOver) cancelDeadline();
    else this.sending = { call, cancelDeadline, spans: spans.length };
  }

  /** Sends what there is; calls back when that is over, at the latest after FLUSH_ON_STOP_MS. */
  close(onClosed: () => void): void {
    this.flush();
    this.isClosed = true;
    if (this.sending === undefined) {
      onClosed();
      return;
    }
    const cancel = this.deps.after(FLUSH_ON_STOP_MS, () => {
      this.onIdle = undefined;
      onClosed();
    });
    this.onIdle = () => {
      cancel();
      onClosed();
    };
  }

  private get isFull(): boolean {
    return this.gathered.length >= MAX_BATCH_SPANS || this.gatheredBytes >= MAX_BATCH_BYTES;
  }

  /** An ExportTraceServiceRequest around spans that are encoded already. */
  private request(spans: readonly Uint8Array[]): Uint8Array {
    const scopeSpans = new BinaryWriter();
    scopeSpans.tag(1, WireType.LengthDelimited).bytes(this.scope);
    for (const span of spans) scopeSpans.tag(2, WireType.LengthDelimited).bytes(span);
    const resourceSpans = new BinaryWriter();
    resourceSpans.tag(1, WireType.LengthDelimited).bytes(this.resource);
    resourceSpans.tag(2, WireType.LengthDelimited).bytes(scopeSpans.finish());
    const request = new BinaryWriter();
    request.tag(1, WireType.LengthDelimited).bytes(resourceSpans.finish());
    return request.finish();
  }
}

function encodeSpan(span: EndedSpan): Uint8Array {
  const startNanos = BigInt(Math.round(span.startMs * 1000)) * 1000n;
  return toBinary(
    SpanSchema,
    create(SpanSchema, {
      traceId: Buffer.from(span.traceId, 'hex'),
      spanId: Buffer.from(span.spanId, 'hex'),
      parentSpanId: Buffer.from(span.parentId, 'hex'),
      flags: span.flags,
      name: span.name,
      kind: span.kind === 'server' ? Span_SpanKind.SERVER : Span_SpanKind.CLIENT,
      startTimeUnixNano: startNanos,
      endTimeUnixNano: startNanos + BigInt(Math.max(0, Math.round(span.durationMs * 1e6))),
      attributes: span.attributes.map(keyValue),
      ...(span.isError ? { status: { code: Status_StatusCode.ERROR } } : {}),
    }),
  );
}

function keyValue([key, value]: SpanAttribute): KeyValue {
  return create(KeyValueSchema, {
    key,
    value: {
      value: typeof value === 'string' ? { case: 'stringValue', value } : { case: 'intValue', value: BigInt(Math.floor(value)) },
    },
  });
}
