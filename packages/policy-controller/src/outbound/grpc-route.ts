// SPDX-License-Identifier: Apache-2.0
/*
 * GRPCRoutes of a Service or EgressNetwork as the proxy gets them (control-contract §3.3, features RT-02). The proxy's gRPC routes know neither
 * redirects nor response header modifiers; those are dropped.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { outbound } from '@weft/proto';
import { type Parsed, parseEach, valid } from '../parse/parsed.ts';
import { hostMatch } from '../route/field-match.ts';
import { type RouteFilterInit, routeFilters } from '../route/route-filter.ts';
import { grpcRouteMatch } from '../route/route-match.ts';
import type { GrpcRouteRecord } from '../route/route-record.ts';
import { byWeight, firstAvailable } from './distribution.ts';
import { DENIED_MESSAGE } from './http-route.ts';
import { type OutboundParent, ownBackend } from './outbound-parent.ts';
import { type GrpcCondition, type RetryPolicy, parseGrpcRetry } from './retry-annotations.ts';
import { type BackendLookup, type RouteBackend, resolveBackend } from './route-backend.ts';
import { retryFields, routeMetadata, timeoutFields } from './route-messages.ts';
import { parseTimeouts, ruleTimeouts } from './timeout-annotations.ts';

export type GrpcRouteInit = MessageInitShape<typeof outbound.GrpcRouteSchema>;
type RuleInit = MessageInitShape<typeof outbound.GrpcRoute_RuleSchema>;
type FilterInit = MessageInitShape<typeof outbound.GrpcRoute_FilterSchema>;
type RouteBackendInit = MessageInitShape<typeof outbound.GrpcRoute_RouteBackendSchema>;

/** PERMISSION_DENIED. */
const DENIED_CODE = 7;
/** Not a gRPC code; the reference sends it, and a proxy answers with it as UNKNOWN. */
const FAILED_CODE = 500;

/** A GRPCRoute on `parent`; invalid where any part of it cannot be honoured. */
export function outboundGrpcRoute(
  route: GrpcRouteRecord,
  parent: OutboundParent,
  lookup: BackendLookup,
  allowL5dRequestHeaders: boolean,
): Parsed<GrpcRouteInit> {
  const retry = parseGrpcRetry(route.annotations);
  if (!retry.ok) return retry;
  const routeTimeouts = parseTimeouts(route.annotations);
  if (!routeTimeouts.ok) return routeTimeouts;
  const rules = parseEach(route.spec?.rules, (rule): Parsed<RuleInit> => {
    const matches = parseEach(rule.matches, grpcRouteMatch);
    if (!matches.ok) return matches;
    const filters = routeFilters(rule.filters);
    if (!filters.ok) return filters;
    const refs = rule.backendRefs ?? [];
    return valid({
      matches: matches.value,
      filters: filters.value.flatMap(grpcFilter),
      backends:
        refs.length === 0
          ? firstAvailable(ownRouteBackend(parent, lookup))
          : byWeight(
              refs.map((ref) => resolveBackend(ref, parent, parent.settings.load, lookup)),
              grpcBackend,
            ),
      ...timeoutFields(ruleTimeouts(routeTimeouts.value, undefined, parent.settings.timeouts)),
      ...grpcRetryField(retry.value ?? parent.settings.grpcRetry),
      allowL5dRequestHeaders,
    });
  });
  if (!rules.ok) return rules;
  return valid({ metadata: routeMetadata(route), hosts: (route.spec?.hostnames ?? []).map(hostMatch), rules: rules.value });
}

/** The route that ends every list of an EgressNetwork. */
export function egressGrpcRoute(parent: OutboundParent, isAllowed: boolean, lookup: BackendLookup): GrpcRouteInit {
  return {
    metadata: { kind: { case: 'default', value: isAllowed ? 'grpc-egress-allow' : 'grpc-egress-deny' } },
    rules: [
      {
        filters: isAllowed ? [] : [failureFilter(DENIED_CODE, DENIED_MESSAGE)],
        backends: firstAvailable(ownRouteBackend(parent, lookup)),
        ...timeoutFields(parent.settings.timeouts),
        ...grpcRetryField(parent.settings.grpcRetry),
      },
    ],
  };
}

function ownRouteBackend(parent: OutboundParent, lookup: BackendLookup): RouteBackendInit {
  return { backend: ownBackend(parent, true, lookup.clusterDomain) };
}

function grpcBackend(backend: RouteBackend): RouteBackendInit {
  const filters = backend.failure === undefined ? backend.filters.flatMap(grpcFilter) : [failureFilter(FAILED_CODE, backend.failure)];
  return { backend: backend.backend, filters };
}

function grpcFilter(filter: RouteFilterInit): FilterInit[] {
  return filter.kind === 'requestHeaders' ? [{ kind: { case: 'requestHeaderModifier', value: filter.modifier } }] : [];
}

function failureFilter(code: number, message: string): FilterInit {
  return { kind: { case: 'failureInjector', value: { code, message } } };
}

function grpcRetryField(retry: RetryPolicy<GrpcCondition> | undefined): Pick<RuleInit, 'retry'> {
  if (retry === undefined) return {};
  const has = (condition: GrpcCondition): boolean => retry.conditions.includes(condition);
  return {
    retry: {
      ...retryFields(retry),
      conditions: {
        cancelled: has('cancelled'),
        deadineExceeded: has('deadline-exceeded'),
        internal: has('internal'),
        resourceExhausted: has('resource-exhausted'),
        unavailable: has('unavailable'),
      },
    },
  };
}
