// SPDX-License-Identifier: Apache-2.0
/*
 * Policy as the data path sees it: immutable, structured-cloneable snapshots translated once from the control plane's messages
 * (proxy-contract §5.5), so that a stack never touches protobuf and a worker thread could be handed the same values.
 */

/** Where a piece of configuration comes from; the labels of metrics are made of it (proxy-contract §7.2). */
export type Meta =
  | { readonly kind: 'default'; readonly name: string }
  | {
      readonly kind: 'resource';
      readonly resource: {
        readonly group: string;
        readonly kind: string;
        readonly name: string;
        readonly namespace: string;
        readonly section: string;
        readonly port: number;
      };
    };

export type HostMatch =
  | { readonly kind: 'exact'; readonly host: string }
  /** `reverseLabels` as on the wire: `*.x.y` is ["y", "x"]. */
  | { readonly kind: 'suffix'; readonly reverseLabels: readonly string[] };

export type StringMatch = { readonly kind: 'exact'; readonly value: string } | { readonly kind: 'regex'; readonly value: string };

export type PathMatch = StringMatch | { readonly kind: 'prefix'; readonly value: string };

export interface FieldMatch {
  /** Lower-case for fields, as given for query parameters. */
  readonly name: string;
  readonly match: StringMatch;
}

export interface HttpRouteMatch {
  readonly path: PathMatch | undefined;
  readonly headers: readonly FieldMatch[];
  readonly queryParams: readonly FieldMatch[];
  readonly method: string | undefined;
}

export interface GrpcRouteMatch {
  /** Empty matches any. */
  readonly service: string;
  readonly method: string;
  readonly headers: readonly FieldMatch[];
}

export interface HeaderModifier {
  /** Pairs name, value. */
  readonly add: readonly (readonly [string, string])[];
  readonly set: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
}

export type Filter =
  | { readonly kind: 'requestHeaders'; readonly modifier: HeaderModifier }
  | { readonly kind: 'responseHeaders'; readonly modifier: HeaderModifier }
  | {
      readonly kind: 'redirect';
      readonly scheme: string | undefined;
      readonly host: string | undefined;
      readonly path: { readonly kind: 'full' | 'prefix'; readonly value: string } | undefined;
      /** 0 = unchanged. */
      readonly port: number;
      /** 0 = 301. */
      readonly status: number;
    }
  | {
      readonly kind: 'failHttp';
      readonly status: number;
      readonly message: string;
      readonly numerator: number;
      readonly denominator: number;
    }
  | { readonly kind: 'failGrpc'; readonly code: number; readonly message: string; readonly numerator: number; readonly denominator: number }
  /** Opaque and TLS routes only. */
  | { readonly kind: 'forbidden' }
  | { readonly kind: 'invalid'; readonly message: string };

/** Endpoint given by the control plane (Destination WeightedAddr, GetProfile endpoint). */
export interface EndpointAddress {
  readonly ip: string;
  readonly port: number;
  /** Metric labels, verbatim, set-level labels merged in. */
  readonly labels: Readonly<Record<string, string>>;
  /** Present = mTLS is required to this endpoint. */
  readonly tls: { readonly identity: string; readonly serverName: string } | undefined;
  readonly protocolHint: 'none' | 'h2' | 'opaque';
  /** Port of the peer's inbound proxy that takes the transport header. */
  readonly opaqueTransportPort: number | undefined;
  readonly authorityOverride: string | undefined;
  readonly http2: {
    readonly keepAliveIntervalMs: number | undefined;
    readonly keepAliveTimeoutMs: number | undefined;
    readonly keepAliveWhileIdle: boolean;
  };
}

export interface Backend {
  readonly meta: Meta;
  readonly filters: readonly Filter[];
  readonly target:
    | { readonly kind: 'forward'; readonly endpoint: EndpointAddress }
    | { readonly kind: 'balance'; /** `name:port`. */ readonly path: string; readonly defaultRttMs: number; readonly decayMs: number }
    /** No dispatcher: 502. */
    | { readonly kind: 'none' };
}

export type Distribution =
  | { readonly kind: 'empty' }
  | { readonly kind: 'firstAvailable'; readonly backends: readonly Backend[] }
  | { readonly kind: 'randomAvailable'; readonly backends: readonly { readonly backend: Backend; readonly weight: number }[] };

export interface RouteRule<Match> {
  readonly matches: readonly Match[];
  readonly filters: readonly Filter[];
  readonly backends: Distribution;
  /** Milliseconds; undefined = none (used by a later issue, carried now so that nothing is lost). */
  readonly requestTimeoutMs: number | undefined;
}

export interface Route<Match> {
  readonly meta: Meta;
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly RouteRule<Match>[];
}

/** One outbound target's policy. `protocol` decides which of the route lists are used. */
export interface OutboundPolicy {
  readonly meta: Meta;
  readonly protocol: 'detect' | 'http1' | 'http2' | 'grpc' | 'opaque' | 'tls' | 'invalid';
  readonly http1: readonly Route<HttpRouteMatch>[];
  readonly http2: readonly Route<HttpRouteMatch>[];
  readonly grpc: readonly Route<GrpcRouteMatch>[];
  /** Opaque and TLS: SNI hosts for TLS, no hosts for opaque; rules have no matches. */
  readonly opaque: readonly Route<never>[];
}

/** What GetProfile said about a target. */
export interface Profile {
  readonly fullyQualifiedName: string;
  readonly isOpaque: boolean;
  readonly endpoint: EndpointAddress | undefined;
  /** Whether routes or dst_overrides are present: then the profile's routing wins over policy (proxy-contract §5.3; routes in a later issue). */
  readonly overrides: readonly { readonly authority: string; readonly weight: number }[];
}

export interface InboundRule<Match> {
  readonly matches: readonly Match[];
  readonly filters: readonly Filter[];
}

export interface InboundRoute<Match> {
  readonly meta: Meta;
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly InboundRule<Match>[];
  readonly authorizations: readonly Authorization[];
}

/** Who may connect (proxy-contract §5.5, §6.11). */
export interface Authorization {
  readonly meta: Meta;
  readonly networks: readonly { /** CIDR text, e.g. `10.0.0.0/8`. */ readonly net: string; readonly except: readonly string[] }[];
  readonly authentication:
    | { readonly kind: 'unauthenticated' }
    /** TLS required, identity optional. */
    | { readonly kind: 'tls' }
    | {
        readonly kind: 'identities';
        readonly identities: readonly string[];
        /** Joined suffix labels; '' = any identity. */
        readonly suffixes: readonly string[];
      };
}

/** One inbound port's policy. */
export interface InboundPolicy {
  /** From the labels group, kind, name: the `srv_*` labels of metrics. */
  readonly meta: { readonly group: string; readonly kind: string; readonly name: string };
  readonly protocol: 'detect' | 'http1' | 'http2' | 'grpc' | 'opaque' | 'tls';
  readonly detectTimeoutMs: number;
  readonly authorizations: readonly Authorization[];
  readonly httpRoutes: readonly InboundRoute<HttpRouteMatch>[];
  readonly grpcRoutes: readonly InboundRoute<GrpcRouteMatch>[];
  /** How often clients may ask; undefined = as often as they like. */
  readonly rateLimit: InboundRateLimit | undefined;
}

/** Requests per second that one proxy lets into a port (proxy-contract §6.10). An absent limit does not bind. */
export interface InboundRateLimit {
  readonly meta: Meta;
  readonly totalPerSecond: number | undefined;
  /** Of each identity by itself; all clients without one share a limit. */
  readonly identityPerSecond: number | undefined;
  /** In place of `identityPerSecond`, for the identities listed, which share the limit. */
  readonly overrides: readonly { readonly perSecond: number; readonly identities: readonly string[] }[];
}
