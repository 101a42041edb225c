// SPDX-License-Identifier: Apache-2.0
/*
 * The route kinds: HTTPRoute of both groups, GRPCRoute, TLSRoute and TCPRoute. Shapes are those of the Gateway API (GEP-1426 for mesh
 * parents); which of them reach a proxy is control-contract §3.2 and §3.3, the status that Weft writes is §3.4.
 */
import type { Resource, ResourceKind } from '../types.ts';
import { namespacedKind } from './meta.ts';
import type { Condition } from './meta.ts';

/** What a route attaches to. The API server fills `group` and `kind` by the route's schema. */
export interface ParentRef {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
}

/** Where traffic goes; `weight` 1 unless set, 0 takes none. */
export interface BackendRef {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
  readonly weight?: number;
}

/** A header or query parameter match; `type` is Exact or RegularExpression. */
export interface ValueMatch {
  readonly type?: string;
  readonly name: string;
  readonly value: string;
}

export interface HeaderModifier {
  readonly set?: readonly { readonly name: string; readonly value: string }[];
  readonly add?: readonly { readonly name: string; readonly value: string }[];
  readonly remove?: readonly string[];
}

export interface PathModifier {
  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  readonly replaceFullPath?: string;
  readonly replacePrefixMatch?: string;
}

export interface RequestRedirect {
  readonly scheme?: string;
  readonly hostname?: string;
  readonly path?: PathModifier;
  readonly port?: number;
  readonly statusCode?: number;
}

/** One filter; the field that `type` names is set. Types that Weft does not act upon keep their fields untyped. */
export interface RouteFilter {
  readonly type: string;
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
  readonly requestRedirect?: RequestRedirect;
  readonly [field: string]: unknown;
}

export interface HTTPRouteMatch {
  readonly path?: { readonly type?: string; readonly value?: string };
  readonly headers?: readonly ValueMatch[];
  readonly queryParams?: readonly ValueMatch[];
  readonly method?: string;
}

export interface HTTPRouteRule {
  readonly name?: string;
  readonly matches?: readonly HTTPRouteMatch[];
  readonly filters?: readonly RouteFilter[];
  readonly backendRefs?: readonly (BackendRef & { readonly filters?: readonly RouteFilter[] })[];
  /** GEP-2257 durations. */
  readonly timeouts?: { readonly request?: string; readonly backendRequest?: string };
}

/** Fields that every route has. */
export interface RouteSpec {
  readonly parentRefs?: readonly ParentRef[];
  readonly hostnames?: readonly string[];
}

export interface HTTPRouteSpec extends RouteSpec {
  readonly rules?: readonly HTTPRouteRule[];
}

export interface GRPCRouteMatch {
  readonly method?: { readonly type?: string; readonly service?: string; readonly method?: string };
  readonly headers?: readonly ValueMatch[];
}

export interface GRPCRouteRule {
  readonly name?: string;
  readonly matches?: readonly GRPCRouteMatch[];
  readonly filters?: readonly RouteFilter[];
  readonly backendRefs?: readonly (BackendRef & { readonly filters?: readonly RouteFilter[] })[];
}

export interface GRPCRouteSpec extends RouteSpec {
  readonly rules?: readonly GRPCRouteRule[];
}

/** Rules of TLSRoute and TCPRoute: backends only. TCPRoute has no hostnames. */
export interface ConnectionRouteSpec extends RouteSpec {
  readonly rules: readonly { readonly name?: string; readonly backendRefs?: readonly BackendRef[] }[];
}

/** One parent's verdict on a route. */
export interface RouteParentStatus {
  readonly parentRef: ParentRef;
  readonly controllerName: string;
  readonly conditions?: readonly Condition[];
}

export interface RouteStatus {
  readonly parents: readonly RouteParentStatus[];
}

/** HTTPRoute of either group; the two differ in defaults only. */
export type HTTPRoute = Resource<HTTPRouteSpec, RouteStatus>;
export type GRPCRoute = Resource<GRPCRouteSpec, RouteStatus>;
export type TLSRoute = Resource<ConnectionRouteSpec, RouteStatus>;
export type TCPRoute = Resource<ConnectionRouteSpec, RouteStatus>;

const GATEWAY = 'gateway.networking.k8s.io';

/** policy.linkerd.io/v1beta3 HTTPRoute. */
export const PolicyHTTPRouteKind: ResourceKind<HTTPRoute> = namespacedKind('policy.linkerd.io', 'v1beta3', 'HTTPRoute', 'httproutes');
/** gateway.networking.k8s.io/v1 HTTPRoute. */
export const HTTPRouteKind: ResourceKind<HTTPRoute> = namespacedKind(GATEWAY, 'v1', 'HTTPRoute', 'httproutes');
/** gateway.networking.k8s.io/v1 GRPCRoute. */
export const GRPCRouteKind: ResourceKind<GRPCRoute> = namespacedKind(GATEWAY, 'v1', 'GRPCRoute', 'grpcroutes');
/** gateway.networking.k8s.io/v1alpha2 TLSRoute. */
export const TLSRouteKind: ResourceKind<TLSRoute> = namespacedKind(GATEWAY, 'v1alpha2', 'TLSRoute', 'tlsroutes');
/** gateway.networking.k8s.io/v1alpha2 TCPRoute. */
export const TCPRouteKind: ResourceKind<TCPRoute> = namespacedKind(GATEWAY, 'v1alpha2', 'TCPRoute', 'tcproutes');
