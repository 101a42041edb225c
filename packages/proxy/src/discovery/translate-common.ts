// SPDX-License-Identifier: Apache-2.0
/*
 * Shared parts of the translation from the control plane's messages to snapshots (proxy-contract §5.5). A message that lacks what the
 * contract requires throws TranslationError; callers turn that into the "invalid" policy, never into a crash.
 */
import type { Duration } from '@bufbuild/protobuf/wkt';
import type { GrpcRouteMatch as ProtoGrpcMatch } from '@weft/proto/grpc-route';
import type {
  HeaderMatch,
  HostMatch as ProtoHostMatch,
  HttpFailureInjector,
  HttpRouteMatch as ProtoHttpMatch,
  RequestHeaderModifier,
  RequestRedirect,
  ResponseHeaderModifier,
} from '@weft/proto/http-route';
import type { GrpcFailureInjector } from '@weft/proto/grpc-route';
import { type Headers, HttpMethod_Registered, type HttpMethod } from '@weft/proto/http-types';
import type { Metadata } from '@weft/proto/meta';
import type { IPAddress, TcpAddress } from '@weft/proto/net';
import type { FieldMatch, Filter, GrpcRouteMatch, HeaderModifier, HostMatch, HttpRouteMatch, Meta, StringMatch } from '@weft/routing';
import type { SocketAddress } from '@weft/net';

/** A message does not say what it must. */
export class TranslationError extends Error {
  readonly code = 'ERR_PROXY_POLICY';
}

export function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new TranslationError(`${what} is missing`);
  return value;
}

export function durationMs(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

export function metaOf(metadata: Metadata | undefined): Meta {
  const kind = required(metadata, 'metadata').kind;
  switch (kind.case) {
    case 'default':
      return { kind: 'default', name: kind.value };
    case 'resource': {
      const { group, kind: resourceKind, name, namespace, section, port } = kind.value;
      return { kind: 'resource', resource: { group, kind: resourceKind, name, namespace, section, port } };
    }
    case undefined:
      throw new TranslationError('metadata has no kind');
    default:
      return kind satisfies never;
  }
}

export function ipText(address: IPAddress | undefined): string {
  const ip = required(address, 'IP address').ip;
  switch (ip.case) {
    case 'ipv4': {
      const value = ip.value;
      return `${(value >>> 24) & 255}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
    }
    case 'ipv6': {
      const groups: string[] = [];
      for (const half of [ip.value.first, ip.value.last]) {
        for (let shift = 48n; shift >= 0n; shift -= 16n) groups.push(((half >> shift) & 0xffffn).toString(16));
      }
      return compress(groups);
    }
    case undefined:
      throw new TranslationError('IP address is empty');
    default:
      return ip satisfies never;
  }
}

/** RFC 5952 form of eight groups. */
function compress(groups: readonly string[]): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (start + length < groups.length && groups[start + length] === '0') length += 1;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  if (bestStart < 0) return groups.join(':');
  return `${groups.slice(0, bestStart).join(':')}::${groups.slice(bestStart + bestLength).join(':')}`;
}

/** Address with the port cut to 16 bits, as the reference does. */
export function socketAddress(address: TcpAddress | undefined): SocketAddress {
  const present = required(address, 'address');
  return { ip: ipText(present.ip), port: present.port & 0xffff };
}

export function hostMatch(match: ProtoHostMatch): HostMatch {
  switch (match.match.case) {
    case 'exact':
      return { kind: 'exact', host: match.match.value };
    case 'suffix':
      return { kind: 'suffix', reverseLabels: match.match.value.reverseLabels };
    case undefined:
      throw new TranslationError('host match is empty');
    default:
      return match.match satisfies never;
  }
}

function headerMatch(match: HeaderMatch): FieldMatch {
  const { value } = match;
  if (value.case === undefined) throw new TranslationError('header match has no value');
  const text: StringMatch =
    value.case === 'exact' ? { kind: 'exact', value: Buffer.from(value.value).toString('latin1') } : { kind: 'regex', value: value.value };
  return { name: match.name.toLowerCase(), match: text };
}

export function httpMatch(match: ProtoHttpMatch): HttpRouteMatch {
  const path = match.path?.kind;
  return {
    path: path === undefined || path.case === undefined ? undefined : { kind: path.case, value: path.value },
    headers: match.headers.map(headerMatch),
    queryParams: match.queryParams.map((query) => {
      if (query.value.case === undefined) throw new TranslationError('query match has no value');
      return { name: query.name, match: { kind: query.value.case, value: query.value.value } };
    }),
    method: match.method === undefined ? undefined : methodText(match.method),
  };
}

export function grpcMatch(match: ProtoGrpcMatch): GrpcRouteMatch {
  return { service: match.rpc?.service ?? '', method: match.rpc?.method ?? '', headers: match.headers.map(headerMatch) };
}

const METHODS: ReadonlyMap<number, string> = new Map(Object.entries(HttpMethod_Registered).map(([name, value]) => [value as number, name]));

function methodText(method: HttpMethod): string {
  switch (method.type.case) {
    case 'registered':
      return required(METHODS.get(method.type.value), 'known method');
    case 'unregistered':
      return method.type.value;
    case undefined:
      throw new TranslationError('method is empty');
    default:
      return method.type satisfies never;
  }
}

/** Names are tokens (RFC 9110 §5.1): anything else could not be sent, or would be a line of its own. */
function fieldName(name: string): string {
  const lower = name.toLowerCase();
  if (!/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(lower)) throw new TranslationError('a header modifier has a name that is no field name');
  return lower;
}

/** Values hold no control character but tab (RFC 9110 §5.5). */
function fieldText(value: Uint8Array): string {
  const text = Buffer.from(value).toString('latin1');
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(text)) throw new TranslationError('a header modifier has a value that cannot be sent');
  return text;
}

function pairs(headers: Headers | undefined): readonly (readonly [string, string])[] {
  return (headers?.headers ?? []).map((header) => [fieldName(header.name), fieldText(header.value)] as const);
}

export function headerModifier(modifier: RequestHeaderModifier | ResponseHeaderModifier): HeaderModifier {
  return { add: pairs(modifier.add), set: pairs(modifier.set), remove: modifier.remove.map((name) => name.toLowerCase()) };
}

export function redirectFilter(redirect: RequestRedirect): Filter {
  const scheme = redirect.scheme?.type;
  return {
    kind: 'redirect',
    scheme:
      scheme === undefined || scheme.case === undefined
        ? undefined
        : scheme.case === 'registered'
          ? scheme.value === 1
            ? 'https'
            : 'http'
          : scheme.value,
    host: redirect.host === '' ? undefined : redirect.host,
    path: redirect.path?.replace.case === undefined ? undefined : { kind: redirect.path.replace.case, value: redirect.path.replace.value },
    port: redirect.port,
    status: redirect.status,
  };
}

export function httpFailure(injector: HttpFailureInjector): Filter {
  return { kind: 'failHttp', status: injector.status, message: injector.message, ...ratio(injector.ratio) };
}

export function grpcFailure(injector: GrpcFailureInjector): Filter {
  return { kind: 'failGrpc', code: injector.code, message: injector.message, ...ratio(injector.ratio) };
}

/** No ratio = always. */
function ratio(value: { readonly numerator: number; readonly denominator: number } | undefined): {
  numerator: number;
  denominator: number;
} {
  if (value === undefined) return { numerator: 1, denominator: 1 };
  if (value.denominator === 0) throw new TranslationError('ratio has denominator 0');
  return { numerator: value.numerator, denominator: value.denominator };
}
