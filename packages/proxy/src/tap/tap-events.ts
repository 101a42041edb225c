// SPDX-License-Identifier: Apache-2.0
/* Tap events as messages (proxy-contract §5.7, §8): addresses, methods, fields and times in the contract's types. */
import { Buffer } from 'node:buffer';
import { type MessageInitShape, create, toBinary } from '@bufbuild/protobuf';
import type { FieldList } from '@weft/bytes';
import { HttpMethod_Registered, type HttpMethodSchema, Scheme_Registered, type SchemeSchema } from '@weft/proto/http-types';
import type { TcpAddressSchema } from '@weft/proto/net';
import { type EosSchema, TapEventSchema, TapEvent_ProxyDirection } from '@weft/proto/tap';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { ResponseHead } from '../http/types.ts';

/** An address as numbers. */
export interface NumericAddress {
  /** 0 = none. */
  readonly family: 0 | 4 | 6;
  /** IPv4: the address. IPv6: the first 64 bits. */
  readonly first: bigint;
  readonly last: bigint;
  readonly port: number;
}

/** What all events of one stream say. Made once for a stream, since a tap shows few. */
export interface StreamFrame {
  readonly base: number;
  readonly stream: bigint;
  readonly direction: 'inbound' | 'outbound';
  readonly source: NumericAddress;
  readonly destination: NumericAddress;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly destinationLabels: Readonly<Record<string, string>>;
  readonly routeLabels: Readonly<Record<string, string>>;
}

/** How a stream ended. */
export type StreamEnd = { readonly grpcStatus: number } | { readonly resetCode: number } | undefined;

type HttpEvent = Exclude<Extract<NonNullable<MessageInitShape<typeof TapEventSchema>['event']>, { case: 'http' }>['value'], undefined>;

/** `hasFields`: the request's fields go along, pseudo-fields first. */
export function requestInit(frame: StreamFrame, head: ProxyRequestHead, hasFields: boolean): Uint8Array {
  const authority = head.authority ?? '';
  const pseudo: FieldList = [':method', head.method, ':scheme', head.scheme, ':authority', authority, ':path', head.path];
  return event(frame, {
    event: {
      case: 'requestInit',
      value: {
        id: idOf(frame),
        method: methodOf(head.method),
        scheme: schemeOf(head.scheme),
        authority,
        path: head.path,
        ...(hasFields ? { headers: headersOf(pseudo, head.fields) } : {}),
      },
    },
  });
}

export function responseInit(frame: StreamFrame, sinceRequestMs: number, head: ResponseHead, hasFields: boolean): Uint8Array {
  return event(frame, {
    event: {
      case: 'responseInit',
      value: {
        id: idOf(frame),
        sinceRequestInit: duration(sinceRequestMs),
        httpStatus: head.status,
        ...(hasFields ? { headers: headersOf([':status', String(head.status)], head.fields) } : {}),
      },
    },
  });
}

/** `sinceResponseMs` is undefined where no response began. */
export function responseEnd(
  frame: StreamFrame,
  sinceRequestMs: number,
  sinceResponseMs: number | undefined,
  bytes: number,
  end: StreamEnd,
  trailers: Readonly<FieldList> | undefined,
): Uint8Array {
  const eos: MessageInitShape<typeof EosSchema> =
    end === undefined
      ? {}
      : 'grpcStatus' in end
        ? { end: { case: 'grpcStatusCode', value: end.grpcStatus } }
        : { end: { case: 'resetErrorCode', value: end.resetCode } };
  return event(frame, {
    event: {
      case: 'responseEnd',
      value: {
        id: idOf(frame),
        sinceRequestInit: duration(sinceRequestMs),
        ...(sinceResponseMs === undefined ? {} : { sinceResponseInit: duration(sinceResponseMs) }),
        responseBytes: BigInt(bytes),
        eos,
        ...(trailers === undefined ? {} : { trailers: headersOf([], trailers) }),
      },
    },
  });
}

function event(frame: StreamFrame, http: HttpEvent): Uint8Array {
  const message = create(TapEventSchema, {
    source: addressOf(frame.source),
    destination: addressOf(frame.destination),
    event: { case: 'http', value: http },
    destinationMeta: { labels: { ...frame.destinationLabels } },
    sourceMeta: { labels: { ...frame.sourceLabels } },
    proxyDirection: frame.direction === 'inbound' ? TapEvent_ProxyDirection.INBOUND : TapEvent_ProxyDirection.OUTBOUND,
    routeMeta: { labels: { ...frame.routeLabels } },
  });
  return toBinary(TapEventSchema, message);
}

function idOf({ base, stream }: StreamFrame): { base: number; stream: bigint } {
  return { base, stream };
}

/** Field values are bytes; text of ours holds one byte a character. */
function headersOf(pseudo: Readonly<FieldList>, fields: Readonly<FieldList>): { headers: { name: string; value: Buffer }[] } {
  const headers: { name: string; value: Buffer }[] = [];
  for (const list of [pseudo, fields]) {
    for (let i = 0; i + 1 < list.length; i += 2)
      headers.push({ name: list[i] as string, value: Buffer.from(list[i + 1] as string, 'latin1') });
  }
  return { headers };
}

function methodOf(method: string): MessageInitShape<typeof HttpMethodSchema> {
  const known = (HttpMethod_Registered as Readonly<Record<string, HttpMethod_Registered>>)[method];
  return { type: known === undefined ? { case: 'unregistered', value: method } : { case: 'registered', value: known } };
}

function schemeOf(scheme: string): MessageInitShape<typeof SchemeSchema> {
  if (scheme === 'http') return { type: { case: 'registered', value: Scheme_Registered.HTTP } };
  if (scheme === 'https') return { type: { case: 'registered', value: Scheme_Registered.HTTPS } };
  return { type: { case: 'unregistered', value: scheme } };
}

function addressOf({ family, first, last, port }: NumericAddress): MessageInitShape<typeof TcpAddressSchema> {
  if (family === 0) return { port };
  return { ip: { ip: family === 4 ? { case: 'ipv4', value: Number(first) } : { case: 'ipv6', value: { first, last } } }, port };
}

function duration(ms: number): { seconds: bigint; nanos: number } {
  const nanos = Math.max(0, Math.round(ms * 1e6));
  return { seconds: BigInt(Math.floor(nanos / 1e9)), nanos: nanos % 1e9 };
}
