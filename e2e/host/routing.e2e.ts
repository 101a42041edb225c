// SPDX-License-Identifier: Apache-2.0
/*
 * Where requests go and who may send them, decided by manifests that are edited while the mesh runs: weights, matches, filters, redirects, gRPC methods,
 * ports and services that lead nowhere, default policies. Every edit takes effect through the control plane alone.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostMesh, type PodView, until } from './mesh.ts';

interface HttpResult {
  readonly status?: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly error?: string;
}

interface GrpcResult {
  readonly code: number;
  readonly messages: readonly Readonly<Record<string, string>>[];
}

interface Seen {
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
}

let mesh: HostMesh;
let client: PodView;
let bare: PodView;

beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'routing', name: 'routing' });
  client = await mesh.pod('e2e', 'client');
  bare = await mesh.pod('e2e', 'bare');
});
afterAll(() => mesh?.stop());

const http1 = (options: Readonly<Record<string, unknown>>, from: PodView = client): Promise<readonly HttpResult[]> =>
  mesh.client(from, 'http1', { host: 'web', ...options });
const seenBy = (result: HttpResult | undefined): Seen => JSON.parse(result?.body ?? 'null') as Seen;

/** Which server has answered how often. */
async function shares(count: number, options: Readonly<Record<string, unknown>> = {}): Promise<Record<string, number>> {
  const found: Record<string, number> = { v1: 0, v2: 0 };
  for (const result of await http1({ count, parallel: 4, ...options })) {
    const name = result.status === 200 ? seenBy(result).server : `status ${result.status} ${result.error ?? ''}`;
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

/** A route to `web`; `rules` is the YAML of `spec.rules`, indented by two. */
const route = (name: string, rules: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: e2e }
spec:
  parentRefs: [{ group: '', kind: Service, name: web, port: 80 }]
  rules:
${rules}`;

describe('weights', () => {
  const weigh = (v1: number, v2: number): void =>
    mesh.edit('canary.yaml', (text) => text.replace(/(web-v1.*weight: )\d+/, `$1${v1}`).replace(/(web-v2.*weight: )\d+/, `$1${v2}`));
  const untilShares = (isReached: (found: Record<string, number>) => boolean): Promise<unknown> =>
    until('the new weights are in force', async () => isReached(await shares(20)));

  it('[RT-01] [RT-07] shifts a canary as its weights are edited, and fails no request meanwhile', async () => {
    expect(await shares(100)).toEqual({ v1: 100, v2: 0 });
    // Six standard deviations to either side: one run in a thousand million falls outside.
    weigh(90, 10);
    await until('the canary begins', async () => ((await shares(50))['v2'] ?? 0) > 0);
    const tenth = await shares(600);
    expect((tenth['v1'] ?? 0) + (tenth['v2'] ?? 0)).toBe(600);
    expect(tenth['v2']).toBeGreaterThan(15);
    expect(tenth['v2']).toBeLessThan(105);
    weigh(50, 50);
    await untilShares((found) => (found['v2'] ?? 0) >= 8);
    const half = await shares(600);
    expect((half['v1'] ?? 0) + (half['v2'] ?? 0)).toBe(600);
    expect(half['v2']).toBeGreaterThan(225);
    expect(half['v2']).toBeLessThan(375);
    weigh(0, 100);
    await untilShares((found) => found['v1'] === 0);
    expect(await shares(200)).toEqual({ v1: 0, v2: 200 });
    weigh(100, 0);
    await untilShares((found) => found['v2'] === 0);
    expect(await shares(200)).toEqual({ v1: 200, v2: 0 });
  });

  it('[RT-07] counts requests per route and backend', async () => {
    const page = await mesh.metrics(client);
    const of = (backend: string): number =>
      page.sum('outbound_http_route_backend_requests_total', { parent_name: 'web', route_name: 'canary', backend_name: backend });
    expect(of('web-v1')).toBeGreaterThan(500);
    expect(of('web-v2')).toBeGreaterThan(300);
    expect(page.sum('outbound_http_route_request_statuses_total', { parent_name: 'web', route_name: 'canary', http_status: '200' })).toBe(
      of('web-v1') + of('web-v2'),
    );
  });
});

describe('matches and filters', () => {
  beforeAll(async () => {
    mesh.write(
      'canary.yaml',
      route(
        'matches',
        `    - matches: [{ headers: [{ name: x-canary, value: 'true' }] }]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ headers: [{ name: x-user, type: RegularExpression, value: 'beta-[0-9]+' }] }]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ path: { type: Exact, value: /exact } }]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ path: { type: PathPrefix, value: /beta } }]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ path: { type: RegularExpression, value: '/v[0-9]+/items' } }]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ method: DELETE }]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ queryParams: [{ name: version, value: two }] }]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ path: { type: PathPrefix, value: /filtered } }]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier:
            set: [{ name: x-set, value: by-route }]
            add: [{ name: x-added, value: by-route }]
            remove: [x-removed]
        - type: ResponseHeaderModifier
          responseHeaderModifier:
            set: [{ name: x-server, value: hidden }]
            add: [{ name: x-route, value: filtered }]
            remove: [x-pod]
      backendRefs: [{ name: web-v2, port: 80 }]
    - matches: [{ path: { type: PathPrefix, value: /old } }]
      filters:
        - type: RequestRedirect
          requestRedirect:
            scheme: https
            hostname: elsewhere.example
            port: 8443
            statusCode: 302
            path: { type: ReplacePrefixMatch, replacePrefixMatch: /new }
    - matches: [{ path: { type: Exact, value: /moved } }]
      filters:
        - type: RequestRedirect
          requestRedirect: { statusCode: 301, path: { type: ReplaceFullPath, replaceFullPath: /here } }
    - matches: [{ path: { type: PathPrefix, value: / } }]
      backendRefs: [{ name: web-v1, port: 80 }]
`,
      ),
    );
    await until('the matches are in force', async () => (await shares(5, { headers: { 'x-canary': 'true' } }))['v2'] === 5);
  });

  it.each([
    ['a header', { headers: { 'x-canary': 'true' } }, 'v2'],
    ['another value of the header', { headers: { 'x-canary': 'truely' } }, 'v1'],
    ['a header by expression', { headers: { 'x-user': 'beta-12' } }, 'v2'],
    ['a header that the expression does not span', { headers: { 'x-user': 'no-beta-12' } }, 'v1'],
    ['an exact path', { path: '/exact' }, 'v2'],
    ['a longer path than the exact one', { path: '/exact/not' }, 'v1'],
    ['a prefix', { path: '/beta/items' }, 'v2'],
    ['the prefix alone', { path: '/beta' }, 'v2'],
    ['a path that only begins like the prefix', { path: '/betamax' }, 'v1'],
    ['a path by expression', { path: '/v12/items' }, 'v2'],
    ['a path that the expression does not span', { path: '/v12/items/1' }, 'v1'],
    ['a method', { method: 'DELETE' }, 'v2'],
    ['a query parameter', { path: '/?a=b&version=two' }, 'v2'],
    ['another query parameter', { path: '/?version=three' }, 'v1'],
    ['nothing special', {}, 'v1'],
  ])('[RT-06] [RT-23] routes %s', async (_, options, server) => {
    expect(await shares(3, options)).toMatchObject({ [server]: 3 });
  });

  it('[RT-09] sets, adds and removes fields of requests and responses', async () => {
    const [result] = await http1({
      path: '/filtered/it',
      headers: { 'x-set': 'by-client', 'x-added': 'by-client', 'x-removed': 'by-client' },
    });
    expect(result?.status).toBe(200);
    const { server, headers } = seenBy(result);
    expect(server).toBe('v2');
    expect(headers).toMatchObject({ 'x-set': 'by-route', 'x-added': 'by-client, by-route' });
    expect(headers).not.toHaveProperty('x-removed');
    expect(result?.headers).toMatchObject({ 'x-server': 'hidden', 'x-route': 'filtered' });
    expect(result?.headers).not.toHaveProperty('x-pod');
  });

  it('[RT-10] redirects, with another host, port and prefix or a whole path', async () => {
    const [prefix, full] = await http1({ requests: [{ path: '/old/page?q=1' }, { path: '/moved' }] });
    expect(prefix).toMatchObject({ status: 302, body: '' });
    expect(prefix?.headers['location']).toBe('https://elsewhere.example:8443/new/page?q=1');
    expect(full).toMatchObject({ status: 301, body: '' });
    expect(full?.headers['location']).toBe('http://web/here');
  });

  it('[RT-02] routes gRPC by method', async () => {
    mesh.write(
      'grpc.yaml',
      `
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: methods, namespace: e2e }
spec:
  parentRefs: [{ group: '', kind: Service, name: web, port: 50051 }]
  rules:
    - matches: [{ method: { service: e2e.Echo, method: Unary } }]
      backendRefs: [{ name: web-v1, port: 50051 }]
    - matches: [{ method: { service: e2e.Echo, method: Other } }]
      backendRefs: [{ name: web-v2, port: 50051 }]
`,
    );
    const answered = async (method: string): Promise<(string | undefined)[]> => {
      const { code, messages } = await mesh.client<GrpcResult>(client, 'grpc', { host: 'web', port: 50_051, method, count: 12 });
      return code === 0 ? messages.map(({ server }) => server) : [`status ${code}`];
    };
    await until('gRPC methods are routed', async () => (await answered('unary')).every((server) => server === 'v1'));
    expect(await answered('other')).toEqual(Array.from({ length: 12 }, () => 'v2'));
    expect(await answered('unary')).toEqual(Array.from({ length: 12 }, () => 'v1'));
    // No rule matches: no route, which gRPC calls unimplemented or not found.
    const { code } = await mesh.client<GrpcResult>(client, 'grpc', { host: 'web', port: 50_051, method: 'chat' });
    expect(code).toBe(5);
  });
});

describe('what leads nowhere', () => {
  it('[PROTO-18] refuses a port that the Service lacks', async () => {
    const seen = await mesh.client<{ text: string; error?: string }>(client, 'raw', {
      host: 'web',
      port: 9999,
      text: 'GET / HTTP/1.1\r\nhost: web\r\n\r\n',
    });
    expect(seen.text).toBe('');
    const page = await mesh.metrics(client);
    expect(page.sum('outbound_tcp_route_close_total', { parent_name: 'web', parent_port: '9999', error: 'forbidden' })).toBe(1);
  });

  it('[PROTO-13] answers 504 after its patience and then 503 at once for a Service without endpoints', async () => {
    const [first, ...rest] = await http1({ host: 'empty', count: 3 });
    expect(first?.status).toBe(504);
    expect(first?.headers['l5d-proxy-error']).toContain('service in fail-fast');
    for (const one of rest) {
      expect([503, 504]).toContain(one.status);
      expect(one.headers['l5d-proxy-error']).toBeTruthy();
    }
    expect(rest.at(-1)?.status).toBe(503);
    const { code } = await mesh.client<GrpcResult>(client, 'grpc', { host: 'empty', port: 50_051 });
    expect([4, 14]).toContain(code);
  });
});

describe('who may call', () => {
  it('[ID-12] [AZ-07] lets a client without proxy in where nothing forbids it', async () => {
    const [result] = await http1({ host: 'web' }, bare);
    expect(result?.status).toBe(200);
    expect(seenBy(result).headers).not.toHaveProperty('l5d-client-id');
    expect(await mesh.client(bare, 'grpc', { host: 'web', port: 50_051 })).toMatchObject({ code: 0 });
  });

  it.each([
    ['all-authenticated', 'a client without proxy', () => bare, false],
    ['all-authenticated', 'a meshed client', () => client, true],
    ['deny', 'a client without proxy', () => bare, false],
    ['deny', 'a meshed client', () => client, false],
  ] as const)('[AZ-07] [AZ-10] by %s, answers %s with what its identity allows', async (host, _, from, isAllowed) => {
    const pod = await mesh.pod('e2e', host);
    const [result] = await http1({ host }, from());
    const grpc = await mesh.client<GrpcResult>(from(), 'grpc', { host, port: 50_051 });
    const talk = await mesh.client<{ text: string }>(from(), 'raw', { host, port: 9001, text: 'hello\n', timeoutMs: 2000 });
    expect([result?.status, grpc.code, talk.text]).toEqual(isAllowed ? [200, 0, `HELLO ${host} ${pod.name}\nhello\n`] : [403, 7, '']);
    const page = await mesh.metricsInside(pod);
    const family = `inbound_http_authz_${isAllowed ? 'allow' : 'deny'}_total`;
    expect(page.sum(family, { target_port: '8080', srv_name: host })).toBeGreaterThan(0);
  });

  it('[AZ-12] still answers the probes of a pod that denies everybody, and nothing else on their path', async () => {
    const [pod] = await mesh.untilPods('e2e', 'deny', 1);
    const results = await http1(
      { host: pod?.ip, port: 8080, requests: [{ path: '/healthz' }, { path: '/healthz', method: 'POST' }, { path: '/healthz/more' }] },
      bare,
    );
    expect(results.map(({ status }) => status)).toEqual([200, 403, 403]);
    const page = await mesh.metricsInside(pod as PodView);
    expect(page.sum('inbound_http_authz_allow_total', { target_port: '8080', authz_name: 'probe', route_name: 'probe' })).toBeGreaterThan(
      0,
    );
  });

  it('[AZ-13] keeps scrapes of the metrics from outside a pod that denies everybody', async () => {
    await expect(mesh.metrics(await mesh.pod('e2e', 'deny'))).rejects.toThrow('403');
    expect((await mesh.metrics(client)).all.length).toBeGreaterThan(0);
  });
});
