// SPDX-License-Identifier: Apache-2.0
/* OutboundPolicy messages → snapshots, and the policies that are made up where the control plane has none (proxy-contract §5.3, §5.5). */
import type {
  Backend as ProtoBackend,
  GrpcRoute,
  GrpcRoute_Filter,
  HttpRoute,
  HttpRoute_Filter,
  OpaqueRoute,
  OutboundPolicy as ProtoPolicy,
  TlsRoute,
} from '@weft/proto/outbound';
import type { SocketAddress } from '@weft/net';
import type {
  Backend,
  Distribution,
  EndpointAddress,
  Filter,
  GrpcRouteMatch,
  HttpRouteMatch,
  Meta,
  OutboundPolicy,
  Profile,
  Route,
} from '@weft/routing';
import { endpointAddress } from './translate-endpoint.ts';
import {
  TranslationError,
  durationMs,
  grpcFailure,
  grpcMatch,
  headerModifier,
  hostMatch,
  httpFailure,
  httpMatch,
  metaOf,
  redirectFilter,
  required,
} from './translate-common.ts';

/** The policy that answers everything with an error (§5.3: unparsable). */
export const INVALID_POLICY: OutboundPolicy = {
  meta: { kind: 'default', name: 'invalid' },
  protocol: 'invalid',
  http1: [],
  http2: [],
  grpc: [],
  opaque: [],
};

/** Throws TranslationError where the message breaks the contract. */
export function outboundPolicy(message: ProtoPolicy): OutboundPolicy {
  const meta = metaOf(message.metadata);
  const empty = { meta, http1: [], http2: [], grpc: [], opaque: [] } as const;
  const kind = required(message.protocol, 'protocol').kind;
  switch (kind.case) {
    case 'detect': {
      const detect = kind.value;
      required(detect.timeout, 'detect timeout');
      return {
        ...empty,
        protocol: 'detect',
        http1: required(detect.http1, 'detect http1').routes.map(httpRoute),
        http2: required(detect.http2, 'detect http2').routes.map(httpRoute),
        opaque: required(detect.opaque, 'detect opaque').routes.map(opaqueRoute),
      };
    }
    case 'http1':
      return { ...empty, protocol: 'http1', http1: kind.value.routes.map(httpRoute) };
    case 'http2':
      return { ...empty, protocol: 'http2', http2: kind.value.routes.map(httpRoute) };
    case 'grpc':
      return { ...empty, protocol: 'grpc', grpc: kind.value.routes.map(grpcRoute) };
    case 'opaque':
      return { ...empty, protocol: 'opaque', opaque: kind.value.routes.map(opaqueRoute) };
    case 'tls':
      return { ...empty, protocol: 'tls', opaque: kind.value.routes.map(tlsRoute) };
    case undefined:
      throw new TranslationError('protocol has no kind');
    default:
      return kind satisfies never;
  }
}

/**
 * What stands in where the control plane knows no policy: the profile's endpoint (under the name `endpointName`), else the original destination in
 * plaintext.
 */
export function syntheticPolicy(origDst: SocketAddress, profile: Profile | undefined, endpointName = 'endpoint'): OutboundPolicy {
  const endpoint = profile?.endpoint;
  return endpoint === undefined
    ? forwardPolicy({ kind: 'default', name: 'fallback' }, { ...PLAIN, ip: origDst.ip, port: origDst.port })
    : forwardPolicy({ kind: 'default', name: endpointName }, endpoint);
}

const PLAIN: EndpointAddress = {
  ip: '',
  port: 0,
  labels: {},
  tls: undefined,
  protocolHint: 'none',
  opaqueTransportPort: undefined,
  authorityOverride: undefined,
  http2: { keepAliveIntervalMs: undefined, keepAliveTimeoutMs: undefined, keepAliveWhileIdle: false },
};

function forwardPolicy(meta: Meta, endpoint: EndpointAddress): OutboundPolicy {
  const backends: Distribution = {
    kind: 'firstAvailable',
    backends: [{ meta: { kind: 'default', name: 'unknown' }, filters: [], target: { kind: 'forward', endpoint } }],
  };
  const http: Route<HttpRouteMatch> = {
    meta,
    hosts: [],
    rules: [
      {
        matches: [{ path: { kind: 'prefix', value: '/' }, headers: [], queryParams: [], method: undefined }],
        filters: [],
        backends,
        requestTimeoutMs: undefined,
      },
    ],
  };
  return {
    meta,
    protocol: 'detect',
    http1: [http],
    http2: [http],
    grpc: [],
    opaque: [{ meta, hosts: [], rules: [{ matches: [], filters: [], backends, requestTimeoutMs: undefined }] }],
  };
}

function httpRoute(route: HttpRoute): Route<HttpRouteMatch> {
  return {
    meta: metaOf(route.metadata),
    hosts: route.hosts.map(hostMatch),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(httpMatch),
      filters: rule.filters.map(httpFilter),
      backends: distribution(rule.backends, (filters) => filters.map(httpFilter)),
      requestTimeoutMs: rule.timeouts?.request === undefined ? undefined : durationMs(rule.timeouts.request),
    })),
  };
}

function grpcRoute(route: GrpcRoute): Route<GrpcRouteMatch> {
  return {
    meta: metaOf(route.metadata),
    hosts: route.hosts.map(hostMatch),
    rules: route.rules.map((rule) => ({
      matches: rule.matches.map(grpcMatch),
      filters: rule.filters.map(grpcFilter),
      backends: distribution(rule.backends, (filters) => filters.map(grpcFilter)),
      requestTimeoutMs: rule.timeouts?.request === undefined ? undefined : durationMs(rule.timeouts.request),
    })),
  };
}

function opaqueRoute(route: OpaqueRoute): Route<never> {
  return tcpLikeRoute(route, []);
}

function tlsRoute(route: TlsRoute): Route<never> {
  return tcpLikeRoute(
    route,
    route.snis.map((sni) => {
      switch (sni.match.case) {
        case 'exact':
          return { kind: 'exact' as const, host: sni.match.value };
        case 'suffix':
          return { kind: 'suffix' as const, reverseLabels: sni.match.value.reverseLabels };
        case undefined:
          throw new TranslationError('SNI match is empty');
        default:
          return sni.match satisfies never;
      }
    }),
  );
}

function tcpLikeRoute(route: OpaqueRoute | TlsRoute, hosts: Route<never>['hosts']): Route<never> {
  if (route.rules.length !== 1) throw new TranslationError('an opaque or TLS route must have exactly one rule');
  return {
    meta: metaOf(route.metadata),
    hosts,
    rules: route.rules.map((rule) => ({
      matches: [],
      filters: rule.filters.map(tcpFilter),
      backends: distribution<TcpFilter>(rule.backends, (filters) => filters.map(tcpFilter)),
      requestTimeoutMs: undefined,
    })),
  };
}

interface TcpFilter {
  readonly kind:
    | { readonly case: 'invalid'; readonly value: { readonly message: string } }
    | { readonly case: 'forbidden' }
    | { readonly case: undefined };
}

function tcpFilter(filter: TcpFilter): Filter {
  switch (filter.kind.case) {
    case 'forbidden':
      return { kind: 'forbidden' };
    case 'invalid':
      return { kind: 'invalid', message: filter.kind.value.message };
    case undefined:
      throw new TranslationError('filter is empty');
    default:
      return filter.kind satisfies never;
  }
}

function httpFilter(filter: HttpRoute_Filter): Filter {
  switch (filter.kind.case) {
    case 'failureInjector':
      return httpFailure(filter.kind.value);
    case 'requestHeaderModifier':
      return { kind: 'requestHeaders', modifier: headerModifier(filter.kind.value) };
    case 'responseHeaderModifier':
      return { kind: 'responseHeaders', modifier: headerModifier(filter.kind.value) };
    case 'redirect':
      return redirectFilter(filter.kind.value);
    case undefined:
      throw new TranslationError('filter is empty');
    default:
      return filter.kind satisfies never;
  }
}

function grpcFilter(filter: GrpcRoute_Filter): Filter {
  switch (filter.kind.case) {
    case 'failureInjector':
      return grpcFailure(filter.kind.value);
    case 'requestHeaderModifier':
      return { kind: 'requestHeaders', modifier: headerModifier(filter.kind.value) };
    case undefined:
      throw new TranslationError('filter is empty');
    default:
      return filter.kind satisfies never;
  }
}

interface ProtoRouteBackend<F> {
  readonly backend?: ProtoBackend | undefined;
  readonly filters: readonly F[];
}

interface ProtoDistribution<F> {
  readonly kind:
    | { readonly case: 'empty' }
    | { readonly case: 'firstAvailable'; readonly value: { readonly backends: readonly ProtoRouteBackend<F>[] } }
    | {
        readonly case: 'randomAvailable';
        readonly value: { readonly backends: readonly { readonly backend?: ProtoRouteBackend<F> | undefined; readonly weight: number }[] };
      }
    | { readonly case: undefined };
}

function distribution<F>(message: ProtoDistribution<F> | undefined, filters: (list: readonly F[]) => Filter[]): Distribution {
  const { kind } = required(message, 'distribution');
  const one = (entry: ProtoRouteBackend<F> | undefined): Backend => {
    const present = required(entry, 'route backend');
    return backendOf(required(present.backend, 'backend'), filters(present.filters));
  };
  switch (kind.case) {
    case 'empty':
      return { kind: 'empty' };
    case 'firstAvailable':
      return { kind: 'firstAvailable', backends: kind.value.backends.map(one) };
    case 'randomAvailable': {
      const backends = kind.value.backends.map((entry) => ({ backend: one(entry.backend), weight: entry.weight }));
      // All weights zero crashes the reference; here it is a route that nobody serves.
      return backends.some((entry) => entry.weight > 0) ? { kind: 'randomAvailable', backends } : { kind: 'empty' };
    }
    case undefined:
      throw new TranslationError('distribution has no kind');
    default:
      return kind satisfies never;
  }
}

function backendOf(message: ProtoBackend, filters: readonly Filter[]): Backend {
  const meta = metaOf(message.metadata);
  required(required(message.queue, 'queue').failfastTimeout, 'queue fail-fast timeout');
  const { kind } = message;
  switch (kind.case) {
    case 'forward': {
      const endpoint = endpointAddress(kind.value, {});
      if (endpoint.port === 0) throw new TranslationError('forward endpoint has port 0');
      return { meta, filters, target: { kind: 'forward', endpoint } };
    }
    case 'balancer': {
      const path = required(kind.value.discovery?.kind.value, 'balancer discovery').path;
      if (!/^[A-Za-z0-9_.-]*[A-Za-z_-][A-Za-z0-9_.-]*:\d{1,5}$/.test(path)) throw new TranslationError('balancer path is not name:port');
      const { load } = kind.value;
      if (load.case === undefined) throw new TranslationError('balancer load is missing');
      return {
        meta,
        filters,
        target: {
          kind: 'balance',
          path,
          defaultRttMs: load.value.defaultRtt === undefined ? 30 : Math.max(1, durationMs(load.value.defaultRtt)),
          decayMs: load.value.decay === undefined ? 10_000 : durationMs(load.value.decay),
        },
      };
    }
    case undefined:
      return { meta, filters, target: { kind: 'none' } };
    default:
      return kind satisfies never;
  }
}
