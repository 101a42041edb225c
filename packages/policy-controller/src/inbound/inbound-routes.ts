// SPDX-License-Identifier: Apache-2.0
/*
 * Routes of a Server as the proxy gets them (control-contract §3.2, features AZ-06, AZ-12, RT-26), and the ones that stand in where there are
 * none: the default route, and the probe route that lets kubelets in whatever the policy.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inbound } from '@weft/proto';
import { type IpNetwork, networkMessage } from '../parse/ip-network.ts';
import { type Parsed, parseEach, valid } from '../parse/parsed.ts';
import { hostMatch } from '../route/field-match.ts';
import { type RouteFilterInit, routeFilters } from '../route/route-filter.ts';
import { grpcRouteMatch, httpRouteMatch, methodMessage } from '../route/route-match.ts';
import type { GrpcRouteRecord, HttpRouteRecord, RouteRecord } from '../route/route-record.ts';
import { type AuthzInit, defaultLabels, unauthenticated } from './default-policy.ts';

export type HttpRouteInit = MessageInitShape<typeof inbound.HttpRouteSchema>;
export type GrpcRouteInit = MessageInitShape<typeof inbound.GrpcRouteSchema>;

type HttpRuleInit = MessageInitShape<typeof inbound.HttpRoute_RuleSchema>;
type GrpcRuleInit = MessageInitShape<typeof inbound.GrpcRoute_RuleSchema>;

/** The route of every request where no route is attached; the server's own authorizations rule. */
export const DEFAULT_HTTP_ROUTE: HttpRouteInit = {
  metadata: { kind: { case: 'default', value: 'default' } },
  rules: [{ matches: [{ path: { kind: { case: 'prefix', value: '/' } } }] }],
};

/** The same for gRPC. */
export const DEFAULT_GRPC_ROUTE: GrpcRouteInit = {
  metadata: { kind: { case: 'default', value: 'default' } },
  rules: [{ matches: [{ rpc: {} }] }],
};

/** Lets GET requests of these exact paths in from the probe networks. */
export function probeRoute(paths: readonly string[], probeNetworks: readonly IpNetwork[]): HttpRouteInit {
  return {
    metadata: { kind: { case: 'default', value: 'probe' } },
    authorizations: [
      {
        networks: probeNetworks.map((network) => ({ net: networkMessage(network) })),
        authentication: unauthenticated(),
        labels: defaultLabels('probe'),
        metadata: { kind: { case: 'default', value: 'probe' } },
      },
    ],
    rules: [{ matches: paths.map((path) => ({ path: { kind: { case: 'exact', value: path } }, method: methodMessage('GET') })) }],
  };
}

/** An HTTPRoute on a Server. */
export function inboundHttpRoute(route: HttpRouteRecord, authorizations: AuthzInit[]): Parsed<HttpRouteInit> {
  const rules = parseEach(route.spec?.rules, (rule): Parsed<HttpRuleInit> => {
    const matches = parseEach(rule.matches, httpRouteMatch);
    if (!matches.ok) return matches;
    const filters = routeFilters(rule.filters);
    if (!filters.ok) return filters;
    return valid({ matches: matches.value, filters: filters.value.flatMap(httpFilter) });
  });
  if (!rules.ok) return rules;
  return valid({ ...routeHead(route), authorizations, rules: rules.value });
}

/** A GRPCRoute on a Server; of the filters only request header modifiers mean something to the proxy. */
export function inboundGrpcRoute(route: GrpcRouteRecord, authorizations: AuthzInit[]): Parsed<GrpcRouteInit> {
  const rules = parseEach(route.spec?.rules, (rule): Parsed<GrpcRuleInit> => {
    const matches = parseEach(rule.matches, grpcRouteMatch);
    if (!matches.ok) return matches;
    const filters = routeFilters(rule.filters);
    if (!filters.ok) return filters;
    return valid({ matches: matches.value, filters: filters.value.flatMap(grpcFilter) });
  });
  if (!rules.ok) return rules;
  return valid({ ...routeHead(route), authorizations, rules: rules.value });
}

function routeHead(route: RouteRecord): Pick<HttpRouteInit, 'metadata' | 'hosts'> {
  return {
    // Without namespace, unlike everywhere else: it is the server's.
    metadata: { kind: { case: 'resource', value: { group: route.group, kind: route.kind, name: route.name } } },
    hosts: (route.spec?.hostnames ?? []).map(hostMatch),
  };
}

/** The inbound API has no response header modifier; it is dropped. */
function httpFilter(filter: RouteFilterInit): NonNullable<HttpRuleInit['filters']> {
  switch (filter.kind) {
    case 'requestHeaders':
      return [{ kind: { case: 'requestHeaderModifier', value: filter.modifier } }];
    case 'redirect':
      return [{ kind: { case: 'redirect', value: filter.redirect } }];
    case 'responseHeaders':
      return [];
  }
}

function grpcFilter(filter: RouteFilterInit): NonNullable<GrpcRuleInit['filters']> {
  return filter.kind === 'requestHeaders' ? [{ kind: { case: 'requestHeaderModifier', value: filter.modifier } }] : [];
}
