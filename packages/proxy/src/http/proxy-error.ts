// SPDX-License-Identifier: Apache-2.0
/*
 * The causes for which the proxy answers by itself, and the one place (the rescue layer, proxy-contract §4.5) that turns a
 * cause into a status, a gRPC status and the `l5d-*` headers. Nothing below it knows about status codes.
 */
import { type FieldList, fieldValue } from '@weft/bytes';
import { HTTP_1_1, HTTP_2, type RequestHead, type ResponseHead } from './types.ts';

/** Closed set of causes; the label values of `*_http_errors_total` follow from it. */
export type ProxyErrorKind =
  | 'unexpected'
  | 'connect'
  | 'bad-gateway'
  | 'identity-required'
  | 'no-dispatcher'
  | 'failfast'
  | 'connect-timeout'
  | 'load-shed'
  | 'unauthorized'
  | 'rate-limited'
  | 'loop'
  | 'route-not-found'
  | 'gateway-domain-invalid'
  | 'redirect'
  | 'injected';

export interface ProxyError {
  readonly kind: ProxyErrorKind;
  /** Text of `l5d-proxy-error`: the chain of contexts, outermost first. */
  readonly message: string;
  /** For redirects and injected failures. */
  readonly status?: number;
  readonly grpcStatus?: number;
  readonly location?: string;
}

interface Rendering {
  readonly status: number;
  readonly grpcStatus: number;
  readonly mustClose: boolean;
}

const RENDERINGS: Readonly<Record<ProxyErrorKind, Rendering>> = {
  unexpected: { status: 500, grpcStatus: 13, mustClose: true },
  connect: { status: 502, grpcStatus: 14, mustClose: true },
  'bad-gateway': { status: 502, grpcStatus: 14, mustClose: true },
  'identity-required': { status: 502, grpcStatus: 14, mustClose: true },
  'no-dispatcher': { status: 502, grpcStatus: 14, mustClose: true },
  failfast: { status: 504, grpcStatus: 4, mustClose: true },
  'connect-timeout': { status: 504, grpcStatus: 4, mustClose: true },
  'load-shed': { status: 503, grpcStatus: 14, mustClose: true },
  unauthorized: { status: 403, grpcStatus: 7, mustClose: false },
  'rate-limited': { status: 429, grpcStatus: 8, mustClose: false },
  loop: { status: 508, grpcStatus: 10, mustClose: false },
  'route-not-found': { status: 404, grpcStatus: 5, mustClose: false },
  'gateway-domain-invalid': { status: 404, grpcStatus: 5, mustClose: false },
  redirect: { status: 301, grpcStatus: 5, mustClose: false },
  injected: { status: 500, grpcStatus: 9, mustClose: false },
};

/** Label of `{inbound,outbound}_http_errors_total`; undefined where the cause is not counted there (§7.1). */
export function errorLabel(kind: ProxyErrorKind): string | undefined {
  switch (kind) {
    case 'load-shed':
      return 'loadshed';
    case 'failfast':
      return 'failfast';
    case 'identity-required':
      return 'identity required';
    case 'connect':
    case 'connect-timeout':
    case 'bad-gateway':
      return 'i/o';
    case 'loop':
      return 'gateway loop';
    case 'gateway-domain-invalid':
      return 'gateway domain invalid';
    case 'unexpected':
    case 'no-dispatcher':
      return 'unexpected';
    case 'unauthorized':
    case 'rate-limited':
    case 'route-not-found':
    case 'redirect':
    case 'injected':
      return undefined;
    default:
      return kind satisfies never;
  }
}

/** Whether answers to this request take the gRPC form. */
export function isGrpc(head: RequestHead): boolean {
  return head.version === HTTP_2 && (fieldValue(head.fields, 'content-type')?.startsWith('application/grpc') ?? false);
}

export interface RescuedResponse {
  readonly head: ResponseHead;
  readonly mustClose: boolean;
  readonly grpcStatus: number | undefined;
}

/**
 * The answer for `error`. `withDetails` = `l5d-proxy-error`, `l5d-proxy-connection` and `grpc-message` may be shown to this client.
 */
export function rescue(error: ProxyError, request: RequestHead, withDetails: boolean): RescuedResponse {
  const rendering = RENDERINGS[error.kind];
  const grpc = isGrpc(request);
  const fields: FieldList = ['content-length', '0'];
  let status = error.status ?? rendering.status;
  let grpcStatus: number | undefined;
  if (grpc) {
    status = 200;
    grpcStatus = error.grpcStatus ?? rendering.grpcStatus;
    fields.push('content-type', 'application/grpc', ...grpcTrailers(error, withDetails));
  }
  if (withDetails) {
    fields.push('l5d-proxy-error', fieldSafe(error.message));
    if (rendering.mustClose) fields.push('l5d-proxy-connection', 'close');
  }
  if (error.location !== undefined && !grpc) fields.push('location', fieldSafe(error.location));
  return {
    head: { version: request.version === HTTP_2 || request.isOrigProto ? HTTP_2 : HTTP_1_1, status, fields, bodyBytes: 0 },
    mustClose: rendering.mustClose,
    grpcStatus,
  };
}

/** What ends a gRPC response that `error` cut short (§4.5). */
export function grpcTrailers(error: ProxyError, withDetails: boolean): FieldList {
  const fields: FieldList = ['grpc-status', String(error.grpcStatus ?? RENDERINGS[error.kind].grpcStatus)];
  if (withDetails) fields.push('grpc-message', percentEncode(error.message));
  return fields;
}

/** Text that may stand in a field value: anything that could end the line or is not visible ASCII becomes `?`. */
function fieldSafe(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

/** gRPC's percent-encoding of `grpc-message` (gRPC over HTTP/2, "Percent-Encoded"). */
function percentEncode(text: string): string {
  let encoded = '';
  for (const byte of new TextEncoder().encode(text)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
