// SPDX-License-Identifier: Apache-2.0
/*
 * Tap events as the reference's command writes them (features CLI-52, VIZ-09): one `req`, `rsp` or `end` line each, or indented JSON. Paths,
 * names and fields come from peers: whatever they hold, no control character reaches the terminal.
 */
import { Buffer } from 'node:buffer';
import type { TapEvent } from '@weft/proto/tap';
import { HttpMethod_Registered, Scheme_Registered } from '@weft/proto/http-types';
import type { TcpAddress } from '@weft/proto/net';
import { TapEvent_ProxyDirection } from '@weft/proto/tap';
import { escapeText } from '@weft/telemetry';
import { shortKind, type TrafficKind } from '../inspect/resource-argument.ts';

/** Labels of the pods at both ends, by address; empty where nobody knows. */
export type PodLabels = (ip: string) => Readonly<Record<string, string>>;

/** Both ends with everything that is known of them. */
interface Ends {
  readonly sourceIp: string;
  readonly destinationIp: string;
  readonly source: Readonly<Record<string, string>>;
  readonly destination: Readonly<Record<string, string>>;
}

const GRPC_CODES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];

/** The line of an event; `wideKind` adds both ends' resources of that kind. */
export function tapLine(event: TapEvent, podLabels: PodLabels, wideKind: TrafficKind | undefined): string {
  return escapeText(lineOf(event, podLabels, wideKind));
}

function lineOf(event: TapEvent, podLabels: PodLabels, wideKind: TrafficKind | undefined): string {
  const ends = endsOf(event, podLabels);
  const isInbound = event.proxyDirection === TapEvent_ProxyDirection.INBOUND;
  const isOutbound = event.proxyDirection === TapEvent_ProxyDirection.OUTBOUND;
  const proxy = isInbound ? 'in ' : isOutbound ? 'out' : '???';
  const tls = (isInbound ? ends.source['tls'] : isOutbound ? ends.destination['tls'] : '') ?? '';
  const flow = `proxy=${proxy} src=${addressText(event.source)} dst=${addressText(event.destination)} tls=${tls}`;
  const wide = wideKind === undefined ? '' : wideText(event, ends, wideKind);
  const http = event.event.value?.event;
  switch (http?.case) {
    case 'requestInit': {
      const { id, method, authority, path } = http.value;
      return `req ${idText(id)} ${flow} :method=${nameOf(method?.type, HttpMethod_Registered)} :authority=${authority} :path=${path}${wide}`;
    }
    case 'responseInit': {
      const { id, httpStatus, sinceRequestInit } = http.value;
      return `rsp ${idText(id)} ${flow} :status=${httpStatus} latency=${micros(sinceRequestInit)}µs${wide}`;
    }
    case 'responseEnd': {
      const { id, eos, sinceResponseInit, responseBytes } = http.value;
      const end =
        eos?.end.case === 'grpcStatusCode'
          ? ` grpc-status=${GRPC_CODES[eos.end.value] ?? `Code(${eos.end.value})`}`
          : eos?.end.case === 'resetErrorCode'
            ? ` reset-error=${eos.end.value}`
            : '';
      return `end ${idText(id)} ${flow}${end} duration=${micros(sinceResponseInit)}µs response-length=${responseBytes}B${wide}`;
    }
    case undefined:
      return `unknown ${flow}`;
    default:
      return http satisfies never;
  }
}

/** The event as JSON, with the reference's keys. */
export function tapJson(event: TapEvent, podLabels: PodLabels): string {
  const ends = endsOf(event, podLabels);
  const shape = {
    source: { ip: ends.sourceIp, port: event.source?.port ?? 0, metadata: ends.source },
    destination: { ip: ends.destinationIp, port: event.destination?.port ?? 0, metadata: ends.destination },
    routeMeta: event.routeMeta === undefined ? null : event.routeMeta.labels,
    proxyDirection: nameOfDirection(event.proxyDirection),
    ...httpShape(event),
  };
  // JSON leaves these as they are, terminals do not.
  return JSON.stringify(shape, undefined, 2).replaceAll(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function httpShape(event: TapEvent): object {
  const http = event.event.value?.event;
  switch (http?.case) {
    case 'requestInit': {
      const { id, method, scheme, authority, path, headers } = http.value;
      return {
        requestInitEvent: {
          id: idShape(id),
          method: nameOf(method?.type, HttpMethod_Registered),
          scheme: nameOf(scheme?.type, Scheme_Registered),
          authority,
          path,
          headers: headerShapes(headers),
        },
      };
    }
    case 'responseInit': {
      const { id, sinceRequestInit, httpStatus, headers } = http.value;
      return {
        responseInitEvent: { id: idShape(id), sinceRequestInit: duration(sinceRequestInit), httpStatus, headers: headerShapes(headers) },
      };
    }
    case 'responseEnd': {
      const { id, sinceRequestInit, sinceResponseInit, responseBytes, trailers, eos } = http.value;
      return {
        responseEndEvent: {
          id: idShape(id),
          sinceRequestInit: duration(sinceRequestInit),
          sinceResponseInit: duration(sinceResponseInit),
          responseBytes: Number(responseBytes),
          trailers: headerShapes(trailers),
          grpcStatusCode: eos?.end.case === 'grpcStatusCode' ? eos.end.value : 0,
          ...(eos?.end.case === 'resetErrorCode' ? { resetErrorCode: eos.end.value } : {}),
        },
      };
    }
    case undefined:
      return {};
    default:
      return http satisfies never;
  }
}

/** The proxy's labels win over what the cluster says of an address. */
function endsOf(event: TapEvent, podLabels: PodLabels): Ends {
  const sourceIp = ipText(event.source);
  const destinationIp = ipText(event.destination);
  return {
    sourceIp,
    destinationIp,
    source: { ...podLabels(sourceIp), ...event.sourceMeta?.labels },
    destination: { ...podLabels(destinationIp), ...event.destinationMeta?.labels },
  };
}

function wideText(event: TapEvent, { source, destination }: Ends, kind: TrafficKind): string {
  const routes = Object.entries(event.routeMeta?.labels ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => ` rt_${key}=${value}`);
  return `${resourceText('src', source, kind)}${resourceText('dst', destination, kind)}${routes.join('')}`;
}

function resourceText(end: 'src' | 'dst', labels: Readonly<Record<string, string>>, kind: TrafficKind): string {
  const name = labels[kind];
  const namespace = labels['namespace'];
  return `${name === undefined ? '' : ` ${end}_res=${shortKind(kind)}/${name}`}${namespace === undefined ? '' : ` ${end}_ns=${namespace}`}`;
}

function idText(id: { readonly base: number; readonly stream: bigint } | undefined): string {
  return `id=${id?.base ?? 0}:${id?.stream ?? 0n}`;
}

function idShape(id: { readonly base: number; readonly stream: bigint } | undefined): object | null {
  return id === undefined ? null : { base: id.base, stream: Number(id.stream) };
}

interface Span {
  readonly seconds: bigint;
  readonly nanos: number;
}

function micros(time: Span | undefined): number {
  return time === undefined ? 0 : Number(time.seconds) * 1_000_000 + Math.floor(time.nanos / 1000);
}

function duration(time: Span | undefined): object | null {
  if (time === undefined) return null;
  return { ...(time.seconds === 0n ? {} : { seconds: Number(time.seconds) }), ...(time.nanos === 0 ? {} : { nanos: time.nanos }) };
}

type Named = { readonly case: 'registered'; readonly value: number } | { readonly case: 'unregistered'; readonly value: string };

function nameOf(type: Named | { readonly case: undefined; readonly value?: undefined } | undefined, names: object): string {
  if (type?.case === undefined) return '';
  if (type.case === 'unregistered') return type.value;
  return Object.entries(names).find(([, value]) => value === type.value)?.[0] ?? String(type.value);
}

function nameOfDirection(direction: number): string {
  return Object.entries(TapEvent_ProxyDirection).find(([, value]) => value === direction)?.[0] ?? String(direction);
}

function headerShapes(
  headers: { readonly headers: readonly { readonly name: string; readonly value: Uint8Array }[] } | undefined,
): object[] {
  return (headers?.headers ?? []).map(({ name, value }) => {
    const text = Buffer.from(value).toString('utf8');
    const isText = !name.endsWith('-bin') && Buffer.from(text, 'utf8').equals(value);
    return isText ? { name, valueStr: text } : { name, valueBin: Buffer.from(value).toString('base64') };
  });
}

/** Text of an address; IPv6 in its short form. */
export function ipText(address: TcpAddress | undefined): string {
  const ip = address?.ip?.ip;
  if (ip?.case === 'ipv4') return [24, 16, 8, 0].map((shift) => (ip.value >>> shift) & 255).join('.');
  if (ip?.case !== 'ipv6') return '';
  const value = (ip.value.first << 64n) | ip.value.last;
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - index * 16)) & 0xffffn).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function addressText(address: TcpAddress | undefined): string {
  const ip = ipText(address);
  return `${ip.includes(':') ? `[${ip}]` : ip}:${address?.port ?? 0}`;
}
