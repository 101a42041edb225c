// SPDX-License-Identifier: Apache-2.0
/*
 * HTTPRoutes of a Service or EgressNetwork as the proxy gets them (control-contract §3.3, features RT-06 to RT-10, REL-01 to REL-05), and the
 * default routes that stand in for them or, for an EgressNetwork, follow them.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { outbound } from '@weft/proto';
import { type Parsed, parseEach, valid } from '../parse/parsed.ts';
import { hostMatch } from '../route/field-match.ts';
import { type RouteFilterInit, routeFilters } from '../route/route-filter.ts';
import { type HttpRouteMatchInit, httpRouteMatch } from '../route/route-match.ts';
import type { HttpRouteRecord } from '../route/route-record.ts';
import { byWeight, firstAvailable } from './distribution.ts';
import { type OutboundParent, ownBackend } from './outbound-parent.ts';
import { type RetryPolicy, type StatusRange, parseHttpRetry } from './retry-annotations.ts';
import { type BackendLookup, type RouteBackend, resolveBackend } from './route-backend.ts';
import { routeMetadata, retryFields, timeoutFields } from './route-messages.ts';
import { parseRuleTimeout, parseTimeouts, ruleTimeouts } from './timeout-annotations.ts';

export type HttpRouteInit = MessageInitShape<typeof outbound.HttpRouteSchema>;
type RuleInit = MessageInitShape<typeof outbound.HttpRoute_RuleSchema>;
type FilterInit = MessageInitShape<typeof outbound.HttpRoute_FilterSchema>;
type RouteBackendInit = MessageInitShape<typeof outbound.HttpRoute_RouteBackendSchema>;

/** What requests get where the policy of an EgressNetwork denies them. */
export const DENIED_MESSAGE = 'traffic not allowed';
const DENIED_STATUS = 403;
const FAILED_STATUS = 500;

const ANY_PATH: HttpRouteMatchInit = { path: { kind: { case: 'prefix', value: '/' } } };

/** An HTTPRoute on `parent`; invalid where any part of it cannot be honoured. */
export function outboundHttpRoute(
  route: HttpRouteRecord,
  parent: OutboundParent,
  lookup: BackendLookup,
  allowL5dRequestHeaders: boolean,
): Parsed<HttpRouteInit> {
  const retry = parseHttpRetry(route.annotations);
  if (!retry.ok) return retry;
  const routeTimeouts = parseTimeouts(route.annotations);
  if (!routeTimeouts.ok) return routeTimeouts;
  const rules = parseEach(route.spec?.rules, (rule): Parsed<RuleInit> => {
    const matches = parseEach(rule.matches, httpRouteMatch);
    if (!matches.ok) return matches;
    const filters = routeFilters(rule.filters);
    if (!filters.ok) return filters;
    const requestMs = parseRuleTimeout(rule.timeouts);
    if (!requestMs.ok) return requestMs;
    const refs = rule.backendRefs ?? [];
    return valid({
      matches: matches.value,
      filters: filters.value.map(httpFilter),
      backends:
        refs.length === 0
          ? firstAvailable(ownRouteBackend(parent, lookup))
          : byWeight(
              refs.map((ref) => resolveBackend(ref, parent, parent.settings.load, lookup)),
              httpBackend,
            ),
      ...timeoutFields(ruleTimeouts(routeTimeouts.value, requestMs.value, parent.settings.timeouts)),
      ...httpRetryField(retry.value ?? parent.settings.httpRetry),
      allowL5dRequestHeaders,
    });
  });
  if (!rules.ok) return rules;
  return valid({ metadata: routeMetadata(route), hosts: (route.spec?.hostnames ?? []).map(hostMatch), rules: rules.value });
}

/** The route of a Service that has none. */
export function defaultHttpRoute(parent: OutboundParent, lookup: BackendLookup): HttpRouteInit {
  return standInRoute('http', [], parent, lookup);
}

/** The route that ends every list of an EgressNetwork. */
export function egressHttpRoute(parent: OutboundParent, isAllowed: boolean, lookup: BackendLookup): HttpRouteInit {
  if (isAllowed) return standInRoute('http-egress-allow', [], parent, lookup);
  return standInRoute('http-egress-deny', [failureFilter(DENIED_STATUS, DENIED_MESSAGE)], parent, lookup);
}

function standInRoute(name: string, filters: FilterInit[], parent: OutboundParent, lookup: BackendLookup): HttpRouteInit {
  return {
    metadata: { kind: { case: 'default', value: name } },
    rules: [
      {
        matches: [ANY_PATH],
        filters,
        backends: firstAvailable(ownRouteBackend(parent, lookup)),
        ...timeoutFields(parent.settings.timeouts),
        ...httpRetryField(parent.settings.httpRetry),
      },
    ],
  };
}

function ownRouteBackend(parent: OutboundParent, lookup: BackendLookup): RouteBackendInit {
  return { backend: ownBackend(parent, true, lookup.clusterDomain) };
}

function httpBackend(backend: RouteBackend): RouteBackendInit {
  const filters = backend.failure === undefined ? backend.filters.map(httpFilter) : [failureFilter(FAILED_STATUS, backend.failure)];
  return { backend: backend.backend, filters };
}

function httpFilter(filter: RouteFilterInit): FilterInit {
  switch (filter.kind) {
    case 'requestHeaders':
      return { kind: { case: 'requestHeaderModifier', value: filter.modifier } };
    case 'responseHeaders': {
      const { add, set, remove } = filter.modifier;
      return {
        kind: {
          case: 'responseHeaderModifier',
          value: {
            ...(add === undefined ? {} : { add }),
            ...(set === undefined ? {} : { set }),
            ...(remove === undefined ? {} : { remove }),
          },
        },
      };
    }
    case 'redirect':
      return { kind: { case: 'redirect', value: filter.redirect } };
  }
}

function failureFilter(status: number, message: string): FilterInit {
  return { kind: { case: 'failureInjector', value: { status, message } } };
}

function httpRetryField(retry: RetryPolicy<StatusRange> | undefined): Pick<RuleInit, 'retry'> {
  if (retry === undefined) return {};
  return { retry: { ...retryFields(retry), conditions: { statusRanges: retry.conditions.map(({ start, end }) => ({ start, end })) } } };
}
