// SPDX-License-Identifier: Apache-2.0
/*
 * What the control plane of the captures told its proxies, in the JSON form of the protobuf messages: Servers and routes of `server`, routes of
 * `routes` and `slow`, the undefined port of `server`.
 */

import type { JsonValue as Json } from '@bufbuild/protobuf';

const ANY_NETWORK: Json = [{ net: { ip: { ipv4: 0 } } }, { net: { ip: { ipv6: {} } } }];

const ALL_UNAUTHENTICATED: Json = {
  networks: ANY_NETWORK,
  authentication: { unauthenticated: {} },
  labels: { group: '', kind: 'default', name: 'all-unauthenticated' },
  metadata: { default: 'all-unauthenticated' },
};

const DEFAULT_ROUTE: Json = { metadata: { default: 'default' }, rules: [{ matches: [{ path: { prefix: '/' } }] }] };

function server(name: string, protocol: Json, authorizations: Json[]): Json {
  return { protocol, authorizations, labels: { group: 'policy.linkerd.io', kind: 'server', name } };
}

/** Inbound policies of the pod `server` by port. */
export function inboundPolicies(clientIdentity: string): Readonly<Record<string, Json>> {
  const route = { group: 'policy.linkerd.io', kind: 'HTTPRoute', name: 'in-only' };
  const authorization = { group: 'policy.linkerd.io', kind: 'authorizationpolicy', name: 'auth' };
  return {
    8083: server('denied', { detect: { timeout: '10s', httpRoutes: [DEFAULT_ROUTE] } }, []),
    8086: server(
      'limited',
      {
        http1: {
          routes: [DEFAULT_ROUTE],
          localRateLimit: {
            metadata: { resource: { group: 'policy.linkerd.io', kind: 'HTTPLocalRateLimitPolicy', name: 'limited' } },
            total: { requestsPerSecond: 1 },
          },
        },
      },
      [ALL_UNAUTHENTICATED],
    ),
    8087: server(
      'routed',
      {
        http1: {
          routes: [
            {
              metadata: { resource: route },
              rules: [
                { matches: [{ path: { prefix: '/only' } }] },
                { matches: [{ path: { prefix: '/redir' } }], filters: [{ redirect: { host: 'in.example.com', status: 302 } }] },
              ],
            },
          ],
        },
      },
      [ALL_UNAUTHENTICATED],
    ),
    8088: server('auth', { http1: { routes: [DEFAULT_ROUTE] } }, [
      {
        networks: ANY_NETWORK,
        authentication: { meshTLS: { identities: { identities: [{ name: clientIdentity }] } } },
        labels: authorization,
        metadata: { resource: authorization },
      },
    ]),
  };
}

function serviceMeta(namespace: string, name: string, port: number): Json {
  return { resource: { group: 'core', kind: 'Service', name, namespace, port } };
}

function backend(namespace: string, name: string, port: number): { [key: string]: Json } {
  return {
    metadata: serviceMeta(namespace, name, port),
    balancer: {
      discovery: { dst: { path: `${name}.${namespace}.svc.cluster.local:${port}` } },
      peakEwma: { defaultRtt: '0.030s', decay: '10s' },
    },
    queue: { capacity: 100, failfastTimeout: '3s' },
  };
}

function first(namespace: string, name: string, port: number): Json {
  return { firstAvailable: { backends: [{ backend: backend(namespace, name, port) }] } };
}

function weighted(namespace: string, name: string, port: number): Json {
  return { randomAvailable: { backends: [{ backend: { backend: backend(namespace, name, port) }, weight: 1 }] } };
}

function detect(namespace: string, name: string, port: number, http: Json): Json {
  return {
    metadata: serviceMeta(namespace, name, port),
    protocol: {
      detect: {
        timeout: '10s',
        opaque: { routes: [{ metadata: { default: 'opaq' }, rules: [{ backends: first(namespace, name, port) }] }] },
        http1: http,
        http2: http,
      },
    },
  };
}

/** Base64 of a header value. */
function bytes(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** Outbound policies that are more than a plain Service, by `ip:port`. */
export function outboundPolicies(
  namespace: string,
  ips: { readonly server: string; readonly routes: string; readonly slow: string },
): Readonly<Record<string, Json>> {
  const retry = {
    maxRetries: 2,
    maxRequestBytes: 65_536,
    conditions: { statusRanges: [{ start: 500, end: 599 }] },
    backoff: { minBackoff: '0.025s', maxBackoff: '0.250s', jitterRatio: 1 },
  };
  const rule = (prefix: string, more: { [key: string]: Json }): Json => ({ matches: [{ path: { prefix } }], timeouts: {}, retry, ...more });
  const toServer = weighted(namespace, 'server', 8080);
  const routes: Json = {
    routes: [
      {
        metadata: { resource: { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: 'routes', namespace } },
        rules: [
          rule('/only', { backends: toServer }),
          rule('/redirect', {
            filters: [{ redirect: { host: 'other.example.com', status: 301 } }],
            backends: first(namespace, 'routes', 8080),
          }),
          rule('/missing', {
            backends: {
              randomAvailable: {
                backends: [
                  {
                    backend: {
                      backend: { metadata: serviceMeta(namespace, 'nope', 8080), queue: { capacity: 100, failfastTimeout: '3s' } },
                      filters: [{ failureInjector: { status: 500, message: 'Service not found nope' } }],
                    },
                    weight: 1,
                  },
                ],
              },
            },
          }),
          rule('/modify', {
            filters: [
              { requestHeaderModifier: { set: { headers: [{ name: 'x-set', value: bytes('two') }] } } },
              { responseHeaderModifier: { add: { headers: [{ name: 'y-add', value: bytes('one') }] } } },
            ],
            backends: toServer,
          }),
        ],
      },
    ],
  };
  const slow = (port: number): Json =>
    detect(namespace, 'slow', port, {
      routes: [
        {
          metadata: { default: 'http' },
          rules: [{ matches: [{ path: { prefix: '/' } }], backends: first(namespace, 'slow', port), timeouts: { request: '0.300s' } }],
        },
      ],
    });
  return {
    [`${ips.server}:7777`]: {
      metadata: serviceMeta(namespace, 'server', 7777),
      protocol: {
        opaque: {
          routes: [{ metadata: { default: 'undefined-port' }, rules: [{ backends: { empty: {} }, filters: [{ forbidden: {} }] }] }],
        },
      },
    },
    [`${ips.routes}:8080`]: detect(namespace, 'routes', 8080, routes),
    [`${ips.slow}:8080`]: slow(8080),
    [`${ips.slow}:8082`]: slow(8082),
  };
}
