// SPDX-License-Identifier: Apache-2.0
/* Policies, targets and endpoints for tests, as discovery would give them. */
import type {
  Authorization,
  Backend,
  EndpointAddress,
  Filter,
  HttpRouteMatch,
  InboundPolicy,
  Meta,
  OutboundPolicy,
  Route,
} from '@weft/routing';
import type { OutboundTarget } from '../discovery/types.ts';

export const SERVICE_META: Meta = {
  kind: 'resource',
  resource: { group: 'core', kind: 'Service', name: 'svc', namespace: 'ns', section: '', port: 80 },
};

export function endpointOf(port: number, changes: Partial<EndpointAddress> = {}): EndpointAddress {
  return {
    ip: '10.9.9.9',
    port,
    labels: {},
    tls: undefined,
    protocolHint: 'none',
    opaqueTransportPort: undefined,
    authorityOverride: undefined,
    http2: { keepAliveIntervalMs: undefined, keepAliveTimeoutMs: undefined, keepAliveWhileIdle: false },
    ...changes,
  };
}

export function balanceBackend(path: string, filters: readonly Filter[] = []): Backend {
  const name = path.split('.')[0] ?? path;
  return {
    meta: { kind: 'resource', resource: { group: 'core', kind: 'Service', name, namespace: 'ns', section: '', port: 80 } },
    filters,
    target: { kind: 'balance', path, defaultRttMs: 30, decayMs: 10_000 },
  };
}

export function forwardBackend(endpoint: EndpointAddress): Backend {
  return { meta: { kind: 'default', name: 'unknown' }, filters: [], target: { kind: 'forward', endpoint } };
}

export const ANY_PATH: HttpRouteMatch = { path: { kind: 'prefix', value: '/' }, headers: [], queryParams: [], method: undefined };

export interface RuleShape {
  readonly prefix?: string;
  readonly filters?: readonly Filter[];
  readonly backends: readonly Backend[];
  readonly weights?: readonly number[];
}

/** A policy whose HTTP route has these rules, for HTTP/1 and HTTP/2 alike, and whose opaque route has the first. */
export function outboundPolicyOf(protocol: OutboundPolicy['protocol'], rules: readonly RuleShape[]): OutboundPolicy {
  const distribution = (rule: RuleShape) =>
    rule.weights === undefined
      ? ({ kind: 'firstAvailable', backends: rule.backends } as const)
      : ({
          kind: 'randomAvailable',
          backends: rule.backends.map((backend, at) => ({ backend, weight: rule.weights?.[at] ?? 0 })),
        } as const);
  const http: Route<HttpRouteMatch> = {
    meta: { kind: 'default', name: 'http' },
    hosts: [],
    rules: rules.map((rule) => ({
      matches: [{ ...ANY_PATH, path: { kind: 'prefix', value: rule.prefix ?? '/' } }],
      filters: rule.filters ?? [],
      backends: distribution(rule),
      requestTimeoutMs: undefined,
    })),
  };
  const [first] = rules;
  const opaque: Route<never> = {
    meta: { kind: 'default', name: 'opaque' },
    hosts: [],
    rules: first === undefined ? [] : [{ matches: [], filters: [], backends: distribution(first), requestTimeoutMs: undefined }],
  };
  return { meta: SERVICE_META, protocol, http1: [http], http2: [http], grpc: [], opaque: [opaque] };
}

export function targetOf(policy: OutboundPolicy): OutboundTarget {
  return { origDst: { ip: '10.96.0.1', port: 80 }, policy, profile: undefined, canonical: undefined };
}

export const ANYBODY: Authorization = {
  meta: { kind: 'default', name: 'all-unauthenticated' },
  networks: [
    { net: '0.0.0.0/0', except: [] },
    { net: '::/0', except: [] },
  ],
  authentication: { kind: 'unauthenticated' },
};

/** Only these identities, from anywhere. */
export function onlyIdentities(...identities: string[]): Authorization {
  return {
    meta: {
      kind: 'resource',
      resource: { group: 'policy.linkerd.io', kind: 'authorizationpolicy', name: 'known', namespace: '', section: '', port: 0 },
    },
    networks: ANYBODY.networks,
    authentication: { kind: 'identities', identities, suffixes: [] },
  };
}

export function inboundPolicyOf(protocol: InboundPolicy['protocol'], changes: Partial<InboundPolicy> = {}): InboundPolicy {
  return {
    meta: { group: 'policy.linkerd.io', kind: 'server', name: 'srv' },
    protocol,
    detectTimeoutMs: 10_000,
    authorizations: [ANYBODY],
    httpRoutes: [],
    grpcRoutes: [],
    rateLimit: undefined,
    ...changes,
  };
}
