// SPDX-License-Identifier: Apache-2.0
/*
 * The grammar of what users write into policy resources, without the controller that acts on it: admission refuses with the same parsers
 * that later read the object, so that what was admitted is also understood (control-contract §3.2, §3.3, §3.5).
 */
export { DEFAULT_POLICY_NAMES, type DefaultPolicy, parseDefaultPolicy } from './inbound/default-policy.ts';
export { SERVER_PROTOCOLS, type ServerProtocol } from './inbound/server-info.ts';
export { parseGrpcRetry, parseHttpRetry } from './outbound/retry-annotations.ts';
export { parseTimeouts } from './outbound/timeout-annotations.ts';
export { parseGoDuration } from './parse/duration.ts';
export { contains, type IpNetwork, parseNetwork } from './parse/ip-network.ts';
export type { Parsed } from './parse/parsed.ts';
export { isPort } from './parse/port-set.ts';
export { parsePattern } from './route/field-match.ts';
export { routeFilters } from './route/route-filter.ts';
export { MAX_PATTERN_SIZE, patternSize } from './route/pattern-size.ts';
export { grpcRouteMatch, httpRouteMatch } from './route/route-match.ts';
export { type RouteParent, routeParent } from './route/route-record.ts';
