// SPDX-License-Identifier: Apache-2.0
export type {
  Authorization,
  Backend,
  Distribution,
  EndpointAddress,
  FieldMatch,
  Filter,
  GrpcRouteMatch,
  HeaderModifier,
  HostMatch,
  HttpRouteMatch,
  InboundPolicy,
  InboundRateLimit,
  InboundRoute,
  InboundRule,
  Meta,
  OutboundPolicy,
  PathMatch,
  Profile,
  Route,
  RouteRule,
  StringMatch,
} from './policy.ts';
export type { RouteError, RouteErrorCode } from './errors.ts';
export { DEFAULT_REGEX_LIMITS, type RegexLimits } from './text-matcher.ts';
export { type HttpRouteFound, HttpRouteTable, type HttpRoutes, httpTable } from './http-route-table.ts';
export { type GrpcRouteFound, GrpcRouteTable, type GrpcRoutes, grpcTable } from './grpc-route-table.ts';
export { type SniRouteFound, SniRouteTable, type SniRoutes, sniTable } from './sni-route-table.ts';
export { applyHeaderModifier } from './header-modifier.ts';
export { type Redirect, type RedirectRequest, evaluateRedirect } from './redirect.ts';
