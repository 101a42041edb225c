// SPDX-License-Identifier: Apache-2.0
/*
 * Routes that know connections only (control-contract §3.3, features RT-03): TLSRoutes by SNI, TCPRoutes, and the default routes of opaque and
 * TLS traffic. Such a route has exactly one rule.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { outbound, tlsRoute } from '@weft/proto';
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import type { TcpRouteRecord, TlsRouteRecord } from '../route/route-record.ts';
import { type Distribution, byWeight, firstAvailable } from './distribution.ts';
import { PLAIN_LOAD } from './load-biaser.ts';
import { type OutboundParent, ownBackend } from './outbound-parent.ts';
import { type BackendLookup, type RouteBackend, resolveBackend } from './route-backend.ts';
import { routeMetadata } from './route-messages.ts';

export type OpaqueRouteInit = MessageInitShape<typeof outbound.OpaqueRouteSchema>;
export type TlsRouteInit = MessageInitShape<typeof outbound.TlsRouteSchema>;

/** Fits the Filter messages of both protocols. */
interface FilterInit {
  kind: { case: 'forbidden'; value: Record<string, never> } | { case: 'invalid'; value: { message: string } };
}
interface RouteBackendInit {
  backend: RouteBackend['backend'];
  filters: FilterInit[];
}

/** Refuses a connection by policy. */
export const FORBIDDEN_FILTER: FilterInit = { kind: { case: 'forbidden', value: {} } };

/** A TCPRoute on `parent`. */
export function outboundTcpRoute(route: TcpRouteRecord, parent: OutboundParent, lookup: BackendLookup): Parsed<OpaqueRouteInit> {
  const backends = onlyRule(route, parent, lookup);
  return backends.ok ? valid({ metadata: routeMetadata(route), rules: [{ backends: backends.value }] }) : backends;
}

/** A TLSRoute on `parent`. */
export function outboundTlsRoute(route: TlsRouteRecord, parent: OutboundParent, lookup: BackendLookup): Parsed<TlsRouteInit> {
  const backends = onlyRule(route, parent, lookup);
  if (!backends.ok) return backends;
  return valid({
    metadata: routeMetadata(route),
    snis: (route.spec?.hostnames ?? []).map(sniMatch),
    rules: [{ backends: backends.value }],
  });
}

/** The opaque route of a parent without TCPRoute. `isHttp`: whether it is part of a policy that detects HTTP. */
export function defaultOpaqueRoute(parent: OutboundParent, isHttp: boolean, lookup: BackendLookup): OpaqueRouteInit {
  return {
    metadata: { kind: { case: 'default', value: parent.kind === 'Service' ? 'opaq' : egressName('tcp', parent) } },
    rules: [defaultRule(parent, isHttp, lookup)],
  };
}

/** The route that ends the TLS routes of an EgressNetwork. */
export function egressTlsRoute(parent: OutboundParent, lookup: BackendLookup): TlsRouteInit {
  return { metadata: { kind: { case: 'default', value: egressName('tls', parent) } }, rules: [defaultRule(parent, false, lookup)] };
}

function defaultRule(
  parent: OutboundParent,
  isHttp: boolean,
  lookup: BackendLookup,
): { backends: Distribution<RouteBackendInit>; filters: FilterInit[] } {
  const isDenied = parent.kind === 'EgressNetwork' && parent.trafficPolicy === 'Deny';
  return {
    backends: firstAvailable({ backend: ownBackend(parent, isHttp, lookup.clusterDomain), filters: [] }),
    filters: isDenied ? [FORBIDDEN_FILTER] : [],
  };
}

function egressName(protocol: string, parent: OutboundParent): string {
  const isAllowed = parent.kind === 'EgressNetwork' && parent.trafficPolicy === 'Allow';
  return `${protocol}-egress-${isAllowed ? 'allow' : 'deny'}`;
}

function onlyRule(
  route: TcpRouteRecord | TlsRouteRecord,
  parent: OutboundParent,
  lookup: BackendLookup,
): Parsed<Distribution<RouteBackendInit>> {
  const [rule, ...others] = route.spec?.rules ?? [];
  if (rule === undefined || others.length > 0) return invalid(`${route.kind} must have exactly one rule`);
  const refs = rule.backendRefs ?? [];
  if (refs.length === 0) return valid(firstAvailable({ backend: ownBackend(parent, false, lookup.clusterDomain), filters: [] }));
  return valid(
    byWeight(
      refs.map((ref) => resolveBackend(ref, parent, PLAIN_LOAD, lookup)),
      ({ backend, failure }): RouteBackendInit => ({
        backend,
        filters: failure === undefined ? [] : [{ kind: { case: 'invalid', value: { message: failure } } }],
      }),
    ),
  );
}

function sniMatch(hostname: string): MessageInitShape<typeof tlsRoute.SniMatchSchema> {
  if (!hostname.startsWith('*.')) return { match: { case: 'exact', value: hostname } };
  return { match: { case: 'suffix', value: { reverseLabels: hostname.slice(2).split('.').reverse() } } };
}
