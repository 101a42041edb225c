// SPDX-License-Identifier: Apache-2.0
/*
 * Trace contexts in request fields (proxy-contract §8; W3C Trace Context §3.2, gRPC's binary form, B3's many fields): found in this order, and
 * written back in the form in which they came. A context that cannot be read is as none, and stays as it is.
 */
import { Buffer } from 'node:buffer';
import type { FieldList } from '@weft/bytes';

export type TraceFormat = 'w3c' | 'grpc' | 'b3';

export interface TraceContext {
  readonly format: TraceFormat;
  /** 32 hex digits, lower case. */
  readonly traceId: string;
  /** Of the caller's span: 16 hex digits. */
  readonly parentId: string;
  readonly isSampled: boolean;
  /** As received: 8 bits. */
  readonly flags: number;
}

const TRACEPARENT = 'traceparent';
const GRPC_TRACE = 'grpc-trace-bin';
const B3_TRACE = 'x-b3-traceid';
const B3_SPAN = 'x-b3-spanid';
const B3_SAMPLED = 'x-b3-sampled';

const W3C = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;
/** version, field 0 and 16 bytes, field 1 and 8 bytes, field 2 and 1 byte. */
const GRPC_BYTES = 29;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);

/** The context of a request; undefined for none. One pass over the fields. */
export function readContext(fields: Readonly<FieldList>): TraceContext | undefined {
  let w3c: string | undefined;
  let grpc: string | undefined;
  let b3Trace: string | undefined;
  let b3Span: string | undefined;
  let b3Sampled: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    // First letters of the names: nearly no other field gets as far as being compared.
    const first = name.charCodeAt(0);
    if (first !== 0x74 && first !== 0x67 && first !== 0x78) continue;
    const value = fields[i + 1] as string;
    if (name === TRACEPARENT) w3c ??= value;
    else if (name === GRPC_TRACE) grpc ??= value;
    else if (name === B3_TRACE) b3Trace ??= value;
    else if (name === B3_SPAN) b3Span ??= value;
    else if (name === B3_SAMPLED) b3Sampled ??= value;
  }
  return (
    (w3c === undefined ? undefined : readW3c(w3c)) ??
    (grpc === undefined ? undefined : readGrpc(grpc)) ??
    (b3Trace === undefined || b3Span === undefined ? undefined : readB3(b3Trace, b3Span, b3Sampled))
  );
}

/** The fields with `spanId` as the caller's span. */
export function withSpan(fields: Readonly<FieldList>, context: TraceContext, spanId: string): FieldList {
  const name = context.format === 'w3c' ? TRACEPARENT : context.format === 'grpc' ? GRPC_TRACE : B3_SPAN;
  const written: FieldList = [];
  let isDone = false;
  for (let i = 0; i < fields.length; i += 2) {
    const field = fields[i] as string;
    if (field !== name) {
      written.push(field, fields[i + 1] as string);
    } else if (!isDone) {
      isDone = true;
      written.push(field, valueOf(context, spanId));
    }
  }
  return written;
}

function valueOf({ format, traceId, flags }: TraceContext, spanId: string): string {
  switch (format) {
    case 'w3c':
      return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`;
    case 'grpc':
      return Buffer.from(`0000${traceId}01${spanId}02${flags.toString(16).padStart(2, '0')}`, 'hex').toString('base64');
    case 'b3':
      return spanId;
    default:
      return format satisfies never;
  }
}

function readW3c(value: string): TraceContext | undefined {
  const [, traceId = NO_TRACE, parentId = NO_SPAN, flagsText = ''] = W3C.exec(value.trim()) ?? [];
  if (traceId === NO_TRACE || parentId === NO_SPAN) return undefined;
  const flags = Number.parseInt(flagsText, 16);
  return { format: 'w3c', traceId, parentId, isSampled: (flags & 1) === 1, flags };
}

function readGrpc(value: string): TraceContext | undefined {
  if (value.length > GRPC_BYTES * 2) return undefined;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== GRPC_BYTES || bytes[0] !== 0 || bytes[1] !== 0 || bytes[18] !== 1 || bytes[27] !== 2) return undefined;
  const traceId = bytes.toString('hex', 2, 18);
  const parentId = bytes.toString('hex', 19, 27);
  if (traceId === NO_TRACE || parentId === NO_SPAN) return undefined;
  const flags = bytes[28] as number;
  return { format: 'grpc', traceId, parentId, isSampled: (flags & 1) === 1, flags };
}

function readB3(trace: string, span: string, sampled: string | undefined): TraceContext | undefined {
  if (!/^([0-9a-fA-F]{16}|[0-9a-fA-F]{32})$/.test(trace) || !/^[0-9a-fA-F]{16}$/.test(span)) return undefined;
  const traceId = trace.toLowerCase().padStart(32, '0');
  const parentId = span.toLowerCase();
  if (traceId === NO_TRACE || parentId === NO_SPAN) return undefined;
  const isSampled = sampled === '1';
  return { format: 'b3', traceId, parentId, isSampled, flags: isSampled ? 1 : 0 };
}
