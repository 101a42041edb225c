// SPDX-License-Identifier: Apache-2.0
/*
 * The inbound policy of one port of one workload, put together from everything that speaks of it (control-contract §3.2): the Server that
 * claims the port or the workload's default policy, authorizations, routes, probes and rate limit.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inbound } from '@weft/proto';
import type { Track } from '../index/dependency-graph.ts';
import { type PolicyIndex, namespaceKey, objectKey } from '../index/policy-index.ts';
import { routesKey } from '../index/route-index.ts';
import { durationOf } from '../parse/duration.ts';
import { attempt } from '../parse/parsed.ts';
import type { Workload } from '../parse/workload.ts';
import { withinPatternBudget } from '../route/pattern-budget.ts';
import { inboundAttachment } from '../route/route-acceptance.ts';
import { type RouteRecord, byRouteAge, parentKey, routeKey } from '../route/route-record.ts';
import { type AuthenticationLookup, type PolicyTarget, resolvePolicy } from './authorization-policy.ts';
import { POLICY_GROUP } from './authz-message.ts';
import { type AuthzInit, defaultAuthorizations, defaultLabels, requireIdentity } from './default-policy.ts';
import {
  DEFAULT_GRPC_ROUTE,
  DEFAULT_HTTP_ROUTE,
  type GrpcRouteInit,
  type HttpRouteInit,
  inboundGrpcRoute,
  inboundHttpRoute,
  probeRoute,
} from './inbound-routes.ts';
import { type ServerInfo, byAgeAndName, serversOfPort } from './server-info.ts';
import type { WorkloadInfo } from './workload-info.ts';

export type ServerInit = MessageInitShape<typeof inbound.ServerSchema>;
type ProtocolInit = NonNullable<MessageInitShape<typeof inbound.ProxyProtocolSchema>['kind']>;

/** How long a proxy waits for the first bytes of a connection, in milliseconds. */
export const DETECT_TIMEOUT_MS = 10_000;

/** Compiles the policy of a port; undefined when there is no such workload. */
export function inboundPolicy(index: PolicyIndex, workload: Workload, port: number, track: Track): ServerInit | undefined {
  const info = workloadInfo(index, workload, track);
  if (info === undefined) return undefined;
  track(namespaceKey('servers', info.namespace));
  const [server, ...ignored] = serversOfPort(index.servers.inNamespace(info.namespace), info, port);
  for (const { namespace, name } of ignored) {
    // By pod rather than by Server: a new pod in conflict is news.
    index.reportOnce(info, 'several Servers claim a port', { namespace, workload: info.name, port, inForce: server?.name, ignored: name });
  }
  return server === undefined ? defaultServer(index, info, port) : serverPolicy(index, info, port, server, track);
}

function workloadInfo(index: PolicyIndex, workload: Workload, track: Track): WorkloadInfo | undefined {
  track(objectKey(workload.kind, workload.namespace, workload.name));
  const cache = workload.kind === 'pod' ? index.pods : index.externalWorkloads;
  return cache.get(workload.namespace, workload.name);
}

function defaultServer(index: PolicyIndex, info: WorkloadInfo, port: number): ServerInit {
  const asked = info.defaultPolicy ?? index.config.defaultPolicy;
  const policy = info.requireIdentityPorts.has(port) ? requireIdentity(asked) : asked;
  const kind: ProtocolInit = info.opaquePorts.has(port)
    ? { case: 'opaque', value: {} }
    : detect(standInHttpRoutes(index, info, port), undefined);
  return {
    protocol: { kind },
    authorizations: defaultAuthorizations(policy, index.config.clusterNetworks),
    labels: defaultLabels(policy),
  };
}

function serverPolicy(index: PolicyIndex, info: WorkloadInfo, port: number, server: ServerInfo, track: Track): ServerInit {
  return {
    protocol: { kind: serverProtocol(index, info, port, server, track) },
    authorizations: serverAuthorizations(index, server, track),
    labels: { group: POLICY_GROUP, kind: 'server', name: server.name },
  };
}

function serverProtocol(index: PolicyIndex, info: WorkloadInfo, port: number, server: ServerInfo, track: Track): ProtocolInit {
  switch (server.protocol) {
    case 'opaque':
      return { case: 'opaque', value: {} };
    case 'TLS':
      return { case: 'tls', value: {} };
    case 'gRPC':
      return { case: 'grpc', value: { routes: grpcRoutes(index, server, track) } };
    case 'unknown':
      return detect(httpRoutes(index, info, port, server, track), rateLimit(index, server, track));
    case 'HTTP/1':
    case 'HTTP/2': {
      const localRateLimit = rateLimit(index, server, track);
      const routes = httpRoutes(index, info, port, server, track);
      const value = localRateLimit === undefined ? { routes } : { routes, localRateLimit };
      return server.protocol === 'HTTP/1' ? { case: 'http1', value } : { case: 'http2', value };
    }
  }
}

function detect(httpRoutes: HttpRouteInit[], limit: ReturnType<typeof rateLimit>): ProtocolInit {
  const timeout = durationOf(DETECT_TIMEOUT_MS);
  return { case: 'detect', value: limit === undefined ? { timeout, httpRoutes } : { timeout, httpRoutes, httpLocalRateLimit: limit } };
}

/** Explicit routes, else the stand-ins: a probe route beside them would let anyone past them. */
function httpRoutes(index: PolicyIndex, info: WorkloadInfo, port: number, server: ServerInfo, track: Track): HttpRouteInit[] {
  const routes: HttpRouteInit[] = [];
  for (const route of attachedRoutes(index, server, track)) {
    if (route.kind !== 'HTTPRoute') continue;
    const compiled = attempt(() => inboundHttpRoute(route, routeAuthorizations(index, route, track)));
    if (compiled.ok) routes.push(compiled.value);
    else index.reportOnce(route, 'ignoring a route', { route: routeKey(route), reason: compiled.reason });
  }
  return routes.length > 0 ? routes : standInHttpRoutes(index, info, port);
}

function standInHttpRoutes(index: PolicyIndex, info: WorkloadInfo, port: number): HttpRouteInit[] {
  const paths = info.probePaths.get(port);
  const { probeNetworks } = index.config;
  if (paths === undefined || probeNetworks.length === 0) return [DEFAULT_HTTP_ROUTE];
  return [DEFAULT_HTTP_ROUTE, probeRoute(paths, probeNetworks)];
}

function grpcRoutes(index: PolicyIndex, server: ServerInfo, track: Track): GrpcRouteInit[] {
  const routes: GrpcRouteInit[] = [];
  for (const route of attachedRoutes(index, server, track)) {
    if (route.kind !== 'GRPCRoute') continue;
    const compiled = attempt(() => inboundGrpcRoute(route, routeAuthorizations(index, route, track)));
    if (compiled.ok) routes.push(compiled.value);
    else index.reportOnce(route, 'ignoring a route', { route: routeKey(route), reason: compiled.reason });
  }
  return routes.length > 0 ? routes : [DEFAULT_GRPC_ROUTE];
}

function attachedRoutes(index: PolicyIndex, server: ServerInfo, track: Track): RouteRecord[] {
  const key = parentKey({ kind: 'Server', namespace: server.namespace, name: server.name });
  track(routesKey(key, server.namespace));
  const attached = [...index.routes.ofParent(key, server.namespace)].filter(
    (route) => inboundAttachment(route, server.name) === 'attached',
  );
  return withinPatternBudget(attached.sort(byRouteAge), (route, reason) =>
    index.reportOnce(route, 'ignoring a route', { route: routeKey(route), reason }),
  );
}

function serverAuthorizations(index: PolicyIndex, server: ServerInfo, track: Track): AuthzInit[] {
  track(namespaceKey('server-authorizations', server.namespace));
  const granted: AuthzInit[] = [];
  const direct = [...index.serverAuthorizations.inNamespace(server.namespace)].filter((candidate) => candidate.appliesTo(server));
  for (const { authz } of direct) granted.push(authz);
  granted.push(
    ...policies(index, server.namespace, track, (target) =>
      target.kind === 'server' ? target.name === server.name : target.kind === 'namespace',
    ),
  );
  granted.push(...defaultAuthorizations(server.accessPolicy, index.config.clusterNetworks));
  return granted.sort(byAuthzName);
}

function routeAuthorizations(index: PolicyIndex, route: RouteRecord, track: Track): AuthzInit[] {
  return policies(
    index,
    route.namespace,
    track,
    (target) =>
      target.kind === 'route' &&
      target.group === route.group &&
      target.routeKind === route.kind &&
      target.name.toLowerCase() === route.name.toLowerCase(),
  ).sort(byAuthzName);
}

function policies(index: PolicyIndex, namespace: string, track: Track, isTarget: (target: PolicyTarget) => boolean): AuthzInit[] {
  track(namespaceKey('authorization-policies', namespace));
  const lookup: AuthenticationLookup = {
    meshTls(refNamespace, name) {
      track(objectKey('mesh-tls', refNamespace, name));
      return index.meshTlsAuthentications.get(refNamespace, name);
    },
    networks(refNamespace, name) {
      track(objectKey('network-auth', refNamespace, name));
      return index.networkAuthentications.get(refNamespace, name);
    },
  };
  const granted: AuthzInit[] = [];
  for (const policy of index.authorizationPolicies.inNamespace(namespace)) {
    const authz = isTarget(policy.target) ? resolvePolicy(policy, lookup) : undefined;
    if (authz !== undefined) granted.push(authz);
  }
  return granted;
}

function rateLimit(
  index: PolicyIndex,
  server: ServerInfo,
  track: Track,
): MessageInitShape<typeof inbound.HttpLocalRateLimitSchema> | undefined {
  track(namespaceKey('rate-limits', server.namespace));
  return [...index.rateLimits.inNamespace(server.namespace)]
    .filter((limit) => limit.serverName === server.name && limit.isAccepted)
    .sort(byAgeAndName)[0]?.message;
}

/** The order has no meaning to a proxy, but an order that depends on arrival would look like a change. */
function byAuthzName(a: AuthzInit, b: AuthzInit): number {
  const [left, right] = [a, b].map(({ labels }) => `${labels?.['kind']}/${labels?.['name']}`) as [string, string];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
