// SPDX-License-Identifier: Apache-2.0
/*
 * Who may talk to a server, said by manifests that are written while connections live: Servers of each protocol, authorizations by identity, suffix,
 * account and network, routes with rules of their own, audit, rate limits; what the refused are told; what becomes of open connections.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostMesh, type PodView, until } from './mesh.ts';
import type { Samples } from './samples.ts';

interface HttpResult {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly localPort?: number;
  readonly error?: string;
}

interface GrpcResult {
  readonly code: number;
  readonly details: string;
}

const identityOf = (account: string): string => `${account}.e2e.serviceaccount.identity.linkerd.cluster.local`;
const POLICY = 'policy.yaml';

let mesh: HostMesh;
let server: PodView;
let client: PodView;
let other: PodView;
let bare: PodView;

beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'authorization', name: 'authz' });
  [server, client, other, bare] = await Promise.all(['server', 'client', 'other', 'bare'].map((app) => mesh.pod('e2e', app)));
});
afterAll(() => mesh?.stop());

// --- manifests, on one line each ---

type Value = string | number | boolean | readonly Value[] | { readonly [name: string]: Value };

const resource = (kind: string, name: string, spec: Value, apiVersion = 'policy.linkerd.io/v1alpha1'): string =>
  JSON.stringify({ apiVersion, kind, metadata: { name, namespace: 'e2e' }, spec });
const serverOf = (port: number, proxyProtocol: string, changes: { readonly [name: string]: Value } = {}): string =>
  resource(
    'Server',
    `port-${port}`,
    { podSelector: { matchLabels: { app: 'server' } }, port, proxyProtocol, ...changes },
    'policy.linkerd.io/v1beta3',
  );
const ref = (kind: string, name: string): Value => ({ group: 'policy.linkerd.io', kind, name });
/** Lets in whoever passes all of `authentications`. */
const allow = (target: Value, ...authentications: readonly Value[]): string =>
  resource('AuthorizationPolicy', `allow-${(target as { name: string }).name}`, {
    targetRef: target,
    requiredAuthenticationRefs: authentications,
  });
const meshTls = (name: string, spec: Value): string => resource('MeshTLSAuthentication', name, spec);
const network = (name: string, ...networks: readonly Value[]): string => resource('NetworkAuthentication', name, { networks });

const write = (...manifests: readonly string[]): void => mesh.write(POLICY, manifests.join('\n---\n'));

// --- clients ---

const http1 = (from: PodView, options: Readonly<Record<string, unknown>> = {}): Promise<readonly HttpResult[]> =>
  mesh.client(from, 'http1', { host: 'server', ...options });
/** Statuses of one GET by each of the three clients. */
const statuses = (path = '/'): Promise<readonly (number | string | undefined)[]> =>
  Promise.all([client, other, bare].map(async (from) => (await http1(from, { path }))[0]).map(async (one) => (await one)?.status));
const untilStatuses = (expected: readonly number[], path = '/'): Promise<unknown> => {
  let last: unknown;
  return until(`${path} answers ${expected.join(', ')}`, async () => {
    last = await statuses(path);
    return JSON.stringify(last) === JSON.stringify(expected);
  }).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}; last ${JSON.stringify(last)}`, { cause: error });
  });
};
const page = (): Promise<Samples> => mesh.metricsInside(server);
const proxyLog = (): string => mesh.log(server, 'linkerd-proxy');

describe('authorizations of a Server', () => {
  it('[AZ-01] [AZ-10] deny everybody where there is none, in the log and the metrics', async () => {
    write(serverOf(8080, 'HTTP/1'));
    await untilStatuses([403, 403, 403]);
    const [meshed] = await http1(client);
    const [plain] = await http1(bare);
    for (const refused of [meshed, plain]) {
      expect(refused?.headers).toMatchObject({ 'content-length': '0' });
      // Said to the client's proxy only, which does not pass it on.
      expect(refused?.headers).not.toHaveProperty('l5d-proxy-error');
    }
    const counted = await page();
    const found = { srv_group: 'policy.linkerd.io', srv_kind: 'server', srv_name: 'port-8080', srv_port: '8080', route_name: 'default' };
    expect(counted.sum('inbound_http_authz_deny_total', { ...found, tls: 'true', client_id: identityOf('client') })).toBeGreaterThan(0);
    expect(counted.sum('inbound_http_authz_deny_total', { ...found, no_tls_reason: 'no_tls_from_remote' })).toBeGreaterThan(0);
    expect(proxyLog()).toMatch(/INFO .*Request denied .*server\.name=port-8080.*client\.ip=/);
    expect(proxyLog()).toContain(`403`);
  });

  it.each([
    ['[AZ-04] an identity', { identities: [identityOf('client')] }, [200, 403, 403]],
    ['[AZ-04] the account of an identity', { identityRefs: [{ kind: 'ServiceAccount', name: 'other' }] }, [403, 200, 403]],
    ['[AZ-04] a suffix', { identities: ['*.e2e.serviceaccount.identity.linkerd.cluster.local'] }, [200, 200, 403]],
    ['[AZ-04] a suffix of another namespace', { identities: ['*.shop.serviceaccount.identity.linkerd.cluster.local'] }, [403, 403, 403]],
    ['[AZ-04] any identity', { identities: ['*'] }, [200, 200, 403]],
  ] as const)('by %s', async (_name, spec, expected) => {
    const target = ref('Server', 'port-8080');
    write(serverOf(8080, 'HTTP/1'), meshTls('who', spec as Value), allow(target, ref('MeshTLSAuthentication', 'who')));
    await untilStatuses(expected);
    // Nobody gets in but by that authorization, or as a probe.
    const counted = (await page()).find('inbound_http_authz_allow_total', { srv_name: 'port-8080' });
    const names = counted.map(({ labels }) => `${labels['authz_kind']} ${labels['authz_name']}`);
    expect(names.filter((name) => name !== 'authorizationpolicy allow-port-8080' && name !== 'default probe')).toEqual([]);
  });

  it('[AZ-05] by networks with exceptions, alone and together with an identity', async () => {
    const target = ref('Server', 'port-8080');
    const all = { cidr: '0.0.0.0/0' };
    write(serverOf(8080, 'HTTP/1'), network('from', all), allow(target, ref('NetworkAuthentication', 'from')));
    await untilStatuses([200, 200, 200]);
    write(
      serverOf(8080, 'HTTP/1'),
      network('from', { cidr: '0.0.0.0/0', except: [`${bare.ip}/32`, `${other.ip}/32`] }),
      allow(target, ref('NetworkAuthentication', 'from')),
    );
    await untilStatuses([200, 403, 403]);
    write(
      serverOf(8080, 'HTTP/1'),
      network('from', { cidr: '0.0.0.0/0', except: [`${other.ip}/32`] }),
      meshTls('who', { identities: ['*'] }),
      allow(target, ref('NetworkAuthentication', 'from'), ref('MeshTLSAuthentication', 'who')),
    );
    expect(await untilStatuses([200, 403, 403])).toBe(true);
  });

  it.each([
    ['all-unauthenticated', [200, 200, 200]],
    ['all-authenticated', [200, 200, 403]],
    ['deny', [403, 403, 403]],
    ['audit', [200, 200, 200]],
  ] as const)('[AZ-08] [AZ-09] by its access policy %s', async (accessPolicy, expected) => {
    write(serverOf(8080, 'HTTP/1', { accessPolicy }));
    await untilStatuses(expected);
    if (accessPolicy !== 'audit') return;
    await until('the audited requests are in the log', () => /INFO .*Request allowed .*authz\.name=audit/.test(proxyLog()));
    expect((await page()).sum('inbound_http_authz_allow_total', { authz_name: 'audit', srv_name: 'port-8080' })).toBeGreaterThan(0);
  });

  it('[AZ-02] by a ServerAuthorization for unauthenticated TLS', async () => {
    write(
      serverOf(8080, 'HTTP/1'),
      resource(
        'ServerAuthorization',
        'tls',
        { server: { name: 'port-8080' }, client: { meshTLS: { unauthenticatedTLS: true } } },
        'policy.linkerd.io/v1beta1',
      ),
    );
    expect(await untilStatuses([200, 200, 403])).toBe(true);
  });
});

describe('protocols of a Server', () => {
  it('[AZ-01] [AZ-10] HTTP/2: a refusal is a status, and gRPC’s a PERMISSION_DENIED without messages', async () => {
    write(serverOf(8081, 'HTTP/2'), serverOf(50_051, 'gRPC'));
    const two = (from: PodView): Promise<readonly HttpResult[]> =>
      mesh.client(from, 'http2', { host: 'server', port: 8081, requests: [{ path: '/' }] });
    const call = (from: PodView): Promise<GrpcResult> => mesh.client(from, 'grpc', { host: 'server', port: 50_051 });
    await until('both ports deny', async () => (await two(client))[0]?.status === 403 && (await call(client)).code === 7);
    expect((await two(bare))[0]).toMatchObject({ status: 403 });
    expect(await call(client)).toMatchObject({ code: 7, details: expect.stringContaining('unauthorized request on route') as string });
    write(
      serverOf(8081, 'HTTP/2'),
      serverOf(50_051, 'gRPC'),
      meshTls('who', { identities: ['*'] }),
      allow(ref('Server', 'port-50051'), ref('MeshTLSAuthentication', 'who')),
    );
    await until('gRPC is allowed', async () => (await call(client)).code === 0);
    expect(await call(bare)).toMatchObject({ code: 7 });
    expect((await page()).sum('inbound_grpc_requests_total', { parent_name: 'port-50051', parent_port: '50051' })).toBeGreaterThan(0);
  });

  it.each(['opaque', 'TLS', 'unknown'])('[AZ-01] [AZ-10] %s: bytes are authorized by connection', async (proxyProtocol) => {
    const talk = (from: PodView): Promise<{ text: string }> =>
      mesh.client(from, 'raw', { host: server.ip, port: 9001, text: 'hello\n', timeoutMs: 1500 });
    write(
      serverOf(9001, proxyProtocol),
      meshTls('who', { identities: [identityOf('client')] }),
      allow(ref('Server', 'port-9001'), ref('MeshTLSAuthentication', 'who')),
    );
    const before = await page();
    const family = { target_port: '9001', srv_name: 'port-9001' };
    await until('the client without proxy is refused', async () => (await talk(bare)).text === '');
    await until('the other account is refused', async () => (await talk(other)).text === '');
    expect((await page()).sum('inbound_tcp_authz_deny_total', family)).toBeGreaterThan(before.sum('inbound_tcp_authz_deny_total', family));
    // A server that speaks first on a port that is to be looked at waits for detection; otherwise the greeting comes.
    if (proxyProtocol !== 'opaque') return;
    await until('the client is served', async () => (await talk(client)).text.startsWith('HELLO server'));
    expect((await page()).sum('inbound_tcp_authz_allow_total', { ...family, client_id: identityOf('client') })).toBeGreaterThan(0);
  });
});

describe('routes on a Server', () => {
  it('[AZ-06] are authorized one by one; what matches none is not found', async () => {
    const route = (name: string, value: string): string =>
      resource(
        'HTTPRoute',
        name,
        { parentRefs: [ref('Server', 'port-8080')], rules: [{ matches: [{ path: { type: 'PathPrefix', value } }] }] },
        'policy.linkerd.io/v1beta3',
      );
    write(
      serverOf(8080, 'HTTP/1'),
      route('public', '/public'),
      route('private', '/private'),
      network('anywhere', { cidr: '0.0.0.0/0' }),
      meshTls('who', { identities: [identityOf('client')] }),
      allow(ref('HTTPRoute', 'public'), ref('NetworkAuthentication', 'anywhere')),
      allow(ref('HTTPRoute', 'private'), ref('MeshTLSAuthentication', 'who')),
    );
    await untilStatuses([200, 200, 200], '/public/a');
    await untilStatuses([200, 403, 403], '/private/a');
    await untilStatuses([404, 404, 404], '/elsewhere');
    const counted = await page();
    expect(counted.sum('inbound_http_route_not_found_total', { srv_name: 'port-8080' })).toBeGreaterThanOrEqual(3);
    expect(
      counted.sum('inbound_http_authz_deny_total', { route_kind: 'HTTPRoute', route_name: 'private', client_id: identityOf('other') }),
    ).toBeGreaterThan(0);
  });
});

describe('connections that are open when the policy changes', () => {
  it('[AZ-11] bytes: are closed when forbidden, and only those', async () => {
    const target = ref('Server', 'port-9001');
    const everybody = [network('anywhere', { cidr: '0.0.0.0/0' }), allow(target, ref('NetworkAuthentication', 'anywhere'))];
    write(serverOf(9001, 'opaque'), ...everybody);
    const hold = (from: PodView): Promise<{ text: string; error?: string }> =>
      mesh.client(from, 'raw', { host: server.ip, port: 9001, text: 'hold\n', timeoutMs: 12_000 });
    await until('everybody is let in', async () => {
      const { text } = await mesh.client<{ text: string }>(bare, 'raw', { host: server.ip, port: 9001, text: 'x\n', timeoutMs: 500 });
      return text.startsWith('HELLO');
    });
    const before = (await page()).sum('inbound_tcp_authz_terminate_total', { srv_name: 'port-9001' });
    const held = [hold(bare), hold(client)];
    await until('both connections are open', async () => {
      const open = (await page()).find('tcp_open_connections', { direction: 'inbound', peer: 'src', target_port: '9001' });
      return open.reduce((sum, { value }) => sum + value, 0) >= 2;
    });
    write(serverOf(9001, 'opaque'), meshTls('who', { identities: ['*'] }), allow(target, ref('MeshTLSAuthentication', 'who')));
    const [forbidden, allowed] = await Promise.all(held);
    expect(forbidden?.text).toMatch(/^HELLO server/);
    // Ended by the proxy, not by the client's patience, which ends the other one.
    expect(forbidden?.error).not.toBe('timeout');
    expect(allowed).toMatchObject({ text: expect.stringMatching(/^HELLO server .*\nhold\n$/) as string, error: 'timeout' });
    expect((await page()).sum('inbound_tcp_authz_terminate_total', { srv_name: 'port-9001' })).toBe(before + 1);
    expect(proxyLog()).toContain('Connection terminated due to policy change');
  });

  it('[AZ-11] an upgraded connection is closed too', async () => {
    const target = ref('Server', 'port-8082');
    write(serverOf(8082, 'HTTP/1'), network('anywhere', { cidr: '0.0.0.0/0' }), allow(target, ref('NetworkAuthentication', 'anywhere')));
    const text = [
      'GET /ws HTTP/1.1',
      'host: server',
      'connection: upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      '',
      '',
    ].join('\r\n');
    const hold = (timeoutMs: number): Promise<{ text: string; error?: string }> =>
      mesh.client(bare, 'raw', { host: server.ip, port: 8082, text, timeoutMs });
    await until('upgrades are allowed', async () => (await hold(500)).text.startsWith('HTTP/1.1 101'));
    const before = (await page()).sum('inbound_tcp_authz_terminate_total', { srv_name: 'port-8082' });
    const held = hold(15_000);
    await until('it is open', async () => {
      const open = (await page()).find('tcp_open_connections', { direction: 'inbound', peer: 'src', target_port: '8082' });
      return open.some(({ value }) => value >= 1);
    });
    write(serverOf(8082, 'HTTP/1'));
    const { text: seen, error } = await held;
    expect(seen).toMatch(/^HTTP\/1\.1 101 /);
    expect(error).not.toBe('timeout');
    expect((await page()).sum('inbound_tcp_authz_terminate_total', { srv_name: 'port-8082' })).toBe(before + 1);
  });

  it('[AZ-11] HTTP: the next request is refused, and answered again when allowed, on one connection', async () => {
    const target = ref('Server', 'port-8080');
    const open = [
      serverOf(8080, 'HTTP/1'),
      network('anywhere', { cidr: '0.0.0.0/0' }),
      allow(target, ref('NetworkAuthentication', 'anywhere')),
    ];
    write(...open);
    await untilStatuses([200, 200, 200]);
    const paced = http1(bare, { count: 150, everyMs: 100 });
    await until(
      'the connection is in use',
      async () => (await page()).sum('tcp_open_connections', { peer: 'src', target_port: '8080', tls: 'no_identity' }) > 0,
    );
    write(serverOf(8080, 'HTTP/1'));
    await untilStatuses([403, 403, 403]);
    write(...open);
    const results = await paced;
    const runs = results.map(({ status }) => status).filter((status, index, all) => index === 0 || status !== all[index - 1]);
    expect(runs).toEqual([200, 403, 200]);
    expect(new Set(results.map(({ localPort }) => localPort)).size).toBe(1);
  });
});

describe('a rate limit', () => {
  it('[REL-15] [REL-16] [REL-18] bounds what each identity may ask, some more than others, and answers 429 beyond', async () => {
    write(
      serverOf(8080, 'HTTP/1', { accessPolicy: 'all-unauthenticated' }),
      resource('HTTPLocalRateLimitPolicy', 'limit', {
        targetRef: ref('Server', 'port-8080'),
        total: { requestsPerSecond: 100 },
        identity: { requestsPerSecond: 5 },
        overrides: [{ requestsPerSecond: 20, clientRefs: [{ kind: 'ServiceAccount', name: 'other' }] }],
      }),
    );
    const burst = async (from: PodView): Promise<{ ok: number; limited: readonly HttpResult[] }> => {
      const results = await http1(from, { count: 60 });
      return { ok: results.filter(({ status }) => status === 200).length, limited: results.filter(({ status }) => status === 429) };
    };
    await until('the limit is in force', async () => (await burst(client)).limited.length > 0);
    const [own, more, plain] = [await burst(client), await burst(other), await burst(bare)];
    for (const one of [own, more, plain]) expect(one.ok + one.limited.length).toBe(60);
    // A burst takes a moment, in which the limit gives some more.
    expect(more.ok).toBeGreaterThanOrEqual(20);
    expect(own.ok).toBeLessThan(more.ok);
    expect(own.limited[0]?.headers).toMatchObject({ 'content-length': '0' });
    const labels = { ratelimit_group: 'policy.linkerd.io', ratelimit_kind: 'HTTPLocalRateLimitPolicy', ratelimit_name: 'limit' };
    const counted = await page();
    expect(
      counted.sum('inbound_http_local_ratelimit_total', { ...labels, ratelimit_scope: 'identity', client_id: identityOf('client') }),
    ).toBeGreaterThan(0);
  });
});

describe('without the control plane', () => {
  it('[AZ-14] the policy that was learnt stays in force, and open connections are served', async () => {
    write(
      serverOf(8080, 'HTTP/1'),
      meshTls('who', { identities: [identityOf('client')] }),
      allow(ref('Server', 'port-8080'), ref('MeshTLSAuthentication', 'who')),
    );
    await untilStatuses([200, 403, 403]);
    const processes = mesh.processes('linkerd/linkerd-destination');
    expect(processes.length).toBeGreaterThan(0);
    for (const { pid } of processes) process.kill(pid, 'SIGSTOP');
    try {
      for (let i = 0; i < 3; i++) expect(await statuses()).toEqual([200, 403, 403]);
    } finally {
      for (const { pid } of processes) process.kill(pid, 'SIGCONT');
    }
  });
});
