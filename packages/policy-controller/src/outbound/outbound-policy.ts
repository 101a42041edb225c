// SPDX-License-Identifier: Apache-2.0
/*
 * The outbound policy of one port of a Service or EgressNetwork for the clients of one namespace (control-contract §3.3): the protocol, by the
 * port's appProtocol or else by the kinds of routes attached, and the routes of that protocol.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { outbound } from '@weft/proto';
import { durationOf } from '../parse/duration.ts';
import { type Parsed, attempt } from '../parse/parsed.ts';
import type { RouteRecord } from '../route/route-record.ts';
import {
  type OpaqueRouteInit,
  type TlsRouteInit,
  defaultOpaqueRoute,
  egressTlsRoute,
  outboundTcpRoute,
  outboundTlsRoute,
} from './connection-route.ts';
import { type GrpcRouteInit, egressGrpcRoute, outboundGrpcRoute } from './grpc-route.ts';
import { type HttpRouteInit, defaultHttpRoute, egressHttpRoute, outboundHttpRoute } from './http-route.ts';
import { type OutboundParent, portMetadata } from './outbound-parent.ts';
import type { BackendLookup } from './route-backend.ts';

export type OutboundPolicyInit = MessageInitShape<typeof outbound.OutboundPolicySchema>;
type ProtocolInit = NonNullable<MessageInitShape<typeof outbound.ProxyProtocolSchema>['kind']>;

/** How long a proxy waits for the first bytes of a connection, in milliseconds. */
export const DETECT_TIMEOUT_MS = 10_000;

/** What a policy is made of, besides its parent. */
export interface OutboundInputs extends BackendLookup {
  /** Routes attached to the parent and visible to the clients, in order. */
  readonly routes: readonly RouteRecord[];
  readonly allowL5dRequestHeaders: boolean;
  /** Hears of each route that cannot be honoured. */
  onInvalidRoute(route: RouteRecord, reason: string): void;
}

type Protocol = 'detect' | 'http1' | 'http2' | 'grpc' | 'tls' | 'opaque';

/** The valid routes of a parent, by kind. */
interface CompiledRoutes {
  readonly http: HttpRouteInit[];
  readonly grpc: GrpcRouteInit[];
  readonly tls: TlsRouteInit[];
  readonly tcp: OpaqueRouteInit[];
}

/** The policy of `parent`. */
export function outboundPolicy(parent: OutboundParent, inputs: OutboundInputs): OutboundPolicyInit {
  return { protocol: { kind: protocolMessage(parent, compileRoutes(parent, inputs), inputs) }, metadata: portMetadata(parent) };
}

function protocolMessage(parent: OutboundParent, routes: CompiledRoutes, inputs: OutboundInputs): ProtocolInit {
  const accrual = parent.settings.failureAccrual;
  const failureAccrual = accrual === undefined ? {} : { failureAccrual: accrual };
  switch (selectProtocol(parent, routes)) {
    case 'opaque':
      // Only the first TCPRoute counts: nothing tells connections apart.
      return { case: 'opaque', value: { routes: [routes.tcp[0] ?? defaultOpaqueRoute(parent, false, inputs)] } };
    case 'tls':
      return { case: 'tls', value: { routes: [...routes.tls, ...egress(parent, () => egressTlsRoute(parent, inputs))] } };
    case 'grpc': {
      const isAllowed = parent.kind === 'EgressNetwork' && parent.trafficPolicy === 'Allow';
      const grpc = [...routes.grpc, ...egress(parent, () => egressGrpcRoute(parent, isAllowed, inputs))];
      return { case: 'grpc', value: { routes: grpc, ...failureAccrual } };
    }
    case 'http1':
      return { case: 'http1', value: { routes: httpRoutes(parent, routes, inputs), ...failureAccrual } };
    case 'http2':
      return { case: 'http2', value: { routes: httpRoutes(parent, routes, inputs), ...failureAccrual } };
    case 'detect': {
      const http = { routes: httpRoutes(parent, routes, inputs), ...failureAccrual };
      const opaque = { routes: [defaultOpaqueRoute(parent, true, inputs)] };
      return { case: 'detect', value: { timeout: durationOf(DETECT_TIMEOUT_MS), opaque, http1: http, http2: http } };
    }
  }
}

/** An explicit appProtocol rules, then the opaque lists, then the most specific kind of route. */
function selectProtocol(parent: OutboundParent, routes: CompiledRoutes): Protocol {
  const appProtocol = parent.kind === 'Service' ? parent.appProtocol : '';
  switch (appProtocol) {
    case '':
      break;
    case 'http':
      return 'http1';
    // The reference takes `grpc` for unknown, hence opaque, although it names HTTP/2 as surely as h2c does.
    case 'grpc':
    case 'kubernetes.io/h2c':
      return routes.grpc.length > 0 ? 'grpc' : 'http2';
    default:
      return 'opaque';
  }
  if (parent.isOpaque) return 'opaque';
  if (routes.grpc.length > 0) return 'grpc';
  if (routes.http.length > 0) return 'detect';
  if (routes.tls.length > 0) return 'tls';
  return routes.tcp.length > 0 ? 'opaque' : 'detect';
}

function httpRoutes(parent: OutboundParent, routes: CompiledRoutes, inputs: OutboundInputs): HttpRouteInit[] {
  if (parent.kind === 'EgressNetwork') return [...routes.http, egressHttpRoute(parent, parent.trafficPolicy === 'Allow', inputs)];
  return routes.http.length === 0 ? [defaultHttpRoute(parent, inputs)] : routes.http;
}

function egress<M>(parent: OutboundParent, last: () => M): M[] {
  return parent.kind === 'EgressNetwork' ? [last()] : [];
}

function compileRoutes(parent: OutboundParent, inputs: OutboundInputs): CompiledRoutes {
  const compiled: CompiledRoutes = { http: [], grpc: [], tls: [], tcp: [] };
  for (const route of inputs.routes) {
    const reason = compileInto(compiled, route, parent, inputs);
    if (reason !== undefined) inputs.onInvalidRoute(route, reason);
  }
  return compiled;
}

/** Adds one route to its list, or says why not. */
function compileInto(compiled: CompiledRoutes, route: RouteRecord, parent: OutboundParent, inputs: OutboundInputs): string | undefined {
  switch (route.kind) {
    case 'HTTPRoute':
      return addIfValid(compiled.http, () => outboundHttpRoute(route, parent, inputs, inputs.allowL5dRequestHeaders));
    case 'GRPCRoute':
      return addIfValid(compiled.grpc, () => outboundGrpcRoute(route, parent, inputs, inputs.allowL5dRequestHeaders));
    case 'TLSRoute':
      return addIfValid(compiled.tls, () => outboundTlsRoute(route, parent, inputs));
    case 'TCPRoute':
      return addIfValid(compiled.tcp, () => outboundTcpRoute(route, parent, inputs));
  }
}

function addIfValid<M>(list: M[], compile: () => Parsed<M>): string | undefined {
  const message = attempt(compile);
  if (!message.ok) return message.reason;
  list.push(message.value);
  return undefined;
}
