// SPDX-License-Identifier: Apache-2.0
/* Who gets in, what the others are told, and what becomes of those who were in when the policy changes (proxy-contract §5.4, §6.10, §6.11). */
import { type FieldList } from '@weft/bytes';
import type { Authorization, InboundPolicy, InboundRoute, HttpRouteMatch } from '@weft/routing';
import { MetricRegistry } from '@weft/telemetry';
import { describe, expect, it } from 'vitest';
import { Admission } from '../admission.ts';
import { DrainSet } from '../drain.ts';
import { builtInPolicy } from '../discovery/translate-inbound.ts';
import type { WatchedValue } from '../discovery/watched-value.ts';
import { MemoryBudget } from '../memory-budget.ts';
import { EndpointMetrics } from '../metrics/endpoint-metrics.ts';
import { InboundMetrics } from '../metrics/inbound-metrics.ts';
import { TransportMetrics } from '../metrics/transport-metrics.ts';
import { FakeDiscovery } from '../testing/fake-discovery.ts';
import { FakeNetwork } from '../testing/fake-transport.ts';
import { H2Peer } from '../testing/h2-peer.ts';
import { createStreamPair } from '../testing/memory-stream.ts';
import { ANYBODY, ANY_PATH, inboundPolicyOf } from '../testing/policies.ts';
import { RawPeer } from '../testing/raw-peer.ts';
import { testConfig } from '../testing/test-config.ts';
import { TestLoop } from '../testing/test-loop.ts';
import type { ClientTls } from './client.ts';
import { MAX_POLICY_LINES_PER_SECOND, PolicyLog } from './policy-log.ts';
import { PortStack } from './port-stack.ts';

const GET = 'GET /public/x HTTP/1.1\r\nhost: svc\r\n\r\n';
const CLIENT = 'client.ns.serviceaccount.identity.linkerd.cluster.local';
const MESHED: ClientTls = { kind: 'tls', identity: CLIENT };
const NO_CERTIFICATE: ClientTls = { kind: 'tls', identity: undefined };
const PLAIN: ClientTls = { kind: 'none', reason: 'no_tls_from_remote' };
const CLUSTER = ['10.0.0.0/8', 'fd00::/8'];
const INSIDE = '10.7.7.7';
const OUTSIDE = '192.0.2.1';

/** An application that answers requests, upgrades, and echoes nothing. */
class App extends RawPeer {
  override onRead(chunk: Buffer, start: number, end: number): void {
    super.onRead(chunk, start, end);
    if (this.text.includes('upgrade: websocket'))
      this.send('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    else if (this.text.includes('HTTP/1.1')) this.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    this.text = '';
  }
}

function open(policy: InboundPolicy) {
  const loop = new TestLoop();
  const network = new FakeNetwork(loop);
  const registry = new MetricRegistry({ now: () => loop.nowMs });
  const metrics = new InboundMetrics(registry, new TransportMetrics(registry), new EndpointMetrics(registry), false);
  const config = testConfig();
  const lines: { message: string; fields: Record<string, unknown> }[] = [];
  const log = {
    info: (message: string, fields: Record<string, unknown> = {}) => void lines.push({ message, fields }),
    warn: () => {},
  };
  const discovery = new FakeDiscovery();
  const watched: WatchedValue<InboundPolicy> = discovery.port(8080);
  watched.set(policy);
  const stack = new PortStack(
    watched,
    {
      origDst: { ip: '10.1.0.2', port: 8080 },
      clock: loop.clock,
      drain: new DrainSet(),
      metrics,
      createTransport: (address) => network.transport(address, true),
      backend: { discovery, config: config.inbound, clock: loop.clock, h2: {} },
      serverH2: () => ({ codec: {}, keepAlive: undefined }),
      admission: new Admission(100, new MemoryBudget({ limitBytes: Number.POSITIVE_INFINITY, now: () => 0, readPrivateBytes: () => 0 })),
      accessLog: undefined,
      idleTimeoutMs: 90_000,
      policyLog: new PolicyLog(log, loop.clock.now),
      log,
    },
    () => {},
  );
  const apps: App[] = [];
  network.onAccept = ({ stream }) => void apps.push(new App(stream));
  let port = 40_000;
  const pair = (ip: string) => createStreamPair(loop, {}, { ip, port: (port += 1) }, { ip: '10.1.0.2', port: 8080 });
  return {
    loop,
    lines,
    apps,
    update: (next: InboundPolicy) => watched.set(next),
    metric: (...parts: string[]): number => {
      let total = 0;
      for (const line of registry.render().split('\n')) {
        if (!line.startsWith('#') && parts.every((part) => line.includes(part))) total += Number(line.slice(line.lastIndexOf(' ') + 1));
      }
      return total;
    },
    text: () => registry.render(),
    http1: (tls: ClientTls = PLAIN, ip = INSIDE): RawPeer => {
      const [client, ours] = pair(ip);
      stack.serveHttp1(ours, { ip, port, tls }, '10.1.0.2:8080');
      return new RawPeer(client);
    },
    http2: (tls: ClientTls = PLAIN, ip = INSIDE): H2Peer => {
      const [client, ours] = pair(ip);
      stack.serveHttp2(ours, { ip, port, tls }, '10.1.0.2:4143');
      return new H2Peer(client, 'client', loop.clock.now);
    },
    opaque: (tls: ClientTls = PLAIN, ip = INSIDE): RawPeer => {
      const [client, ours] = pair(ip);
      stack.forward(ours, { ip, port, tls });
      return new RawPeer(client);
    },
  };
}

type World = ReturnType<typeof open>;

/** Status of one GET; 0 where the connection was closed instead. */
function status(world: World, tls?: ClientTls, ip?: string): number {
  const client = world.http1(tls, ip);
  client.send(GET);
  world.loop.run();
  return Number(/^HTTP\/1\.1 (\d+)/.exec(client.take())?.[1] ?? 0);
}

/** Whether a connection of bytes stays open. */
function isForwarded(world: World, tls?: ClientTls, ip?: string): boolean {
  const client = world.opaque(tls, ip);
  world.loop.run();
  return !client.isClosed;
}

function authorization(
  authentication: Authorization['authentication'],
  networks: Authorization['networks'] = ANYBODY.networks,
  name = 'authz',
): Authorization {
  return {
    meta: {
      kind: 'resource',
      resource: { group: 'policy.linkerd.io', kind: 'authorizationpolicy', name, namespace: '', section: '', port: 0 },
    },
    networks,
    authentication,
  };
}

describe('default policies', () => {
  const IN = [INSIDE, '::ffff:10.7.7.7', 'fd00::7'];
  const OUT = [OUTSIDE, '::ffff:192.0.2.1', '2001:db8::1'];
  /** Who passes: meshed inside, plain inside, meshed outside, plain outside. */
  const TABLE: [string, boolean[]][] = [
    ['all-unauthenticated', [true, true, true, true]],
    ['all-authenticated', [true, false, true, false]],
    ['cluster-unauthenticated', [true, true, false, false]],
    ['cluster-authenticated', [true, false, false, false]],
    ['audit', [true, true, true, true]],
    ['deny', [false, false, false, false]],
  ];
  it.each(TABLE)('[AZ-07] [AZ-08] [AZ-10] %s: meshed or not, inside the cluster or not, IPv4, mapped and IPv6', (name, expected) => {
    for (const ips of [0, 1, 2]) {
      const who: [ClientTls, string][] = [
        [MESHED, IN[ips] as string],
        [PLAIN, IN[ips] as string],
        [MESHED, OUT[ips] as string],
        [PLAIN, OUT[ips] as string],
      ];
      const http = open(builtInPolicy(name, CLUSTER, false));
      const bytes = open(builtInPolicy(name, CLUSTER, true));
      expect(who.map(([tls, ip]) => status(http, tls, ip))).toEqual(expected.map((isAllowed) => (isAllowed ? 200 : 403)));
      expect(who.map(([tls, ip]) => isForwarded(bytes, tls, ip))).toEqual(expected);
    }
  });

  it('lets nobody in by loopback: only policies of the control plane do', () => {
    expect(status(open(builtInPolicy('deny', CLUSTER, false)), PLAIN, '127.0.0.1')).toBe(403);
    expect(status(open(builtInPolicy('cluster-authenticated', CLUSTER, false)), PLAIN, '::1')).toBe(403);
  });
});

describe('authorizations', () => {
  const CASES: [string, Authorization, [ClientTls, string, boolean][]][] = [
    [
      '[AZ-04] an identity',
      authorization({ kind: 'identities', identities: [CLIENT], suffixes: [] }),
      [
        [MESHED, INSIDE, true],
        [{ kind: 'tls', identity: CLIENT.toUpperCase() }, INSIDE, true],
        [{ kind: 'tls', identity: `x${CLIENT}` }, INSIDE, false],
        [NO_CERTIFICATE, INSIDE, false],
        [PLAIN, INSIDE, false],
      ],
    ],
    [
      '[AZ-04] a suffix',
      authorization({ kind: 'identities', identities: [], suffixes: ['ns.serviceaccount.identity.linkerd.cluster.local'] }),
      [
        [MESHED, INSIDE, true],
        [{ kind: 'tls', identity: 'ns.serviceaccount.identity.linkerd.cluster.local' }, INSIDE, false],
        [{ kind: 'tls', identity: 'client.other-ns.serviceaccount.identity.linkerd.cluster.local' }, INSIDE, false],
        [{ kind: 'tls', identity: 'spiffe://evil/client.ns.serviceaccount.identity.linkerd.cluster.local' }, INSIDE, false],
      ],
    ],
    [
      '[AZ-04] any identity',
      authorization({ kind: 'identities', identities: [], suffixes: [''] }),
      [
        [MESHED, INSIDE, true],
        [{ kind: 'tls', identity: 'spiffe://root/workload' }, INSIDE, true],
        [NO_CERTIFICATE, INSIDE, false],
        [PLAIN, INSIDE, false],
      ],
    ],
    [
      '[AZ-02] unauthenticated TLS',
      authorization({ kind: 'tls' }),
      [
        [MESHED, INSIDE, true],
        [NO_CERTIFICATE, INSIDE, true],
        [PLAIN, INSIDE, false],
        [{ kind: 'passthrough', sni: 'other.example.com' }, INSIDE, false],
        [{ kind: 'none', reason: 'port_skipped' }, INSIDE, false],
      ],
    ],
    [
      '[AZ-05] networks with exceptions',
      authorization({ kind: 'unauthenticated' }, [
        { net: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.3.4/32'] },
        { net: 'fd00::/8', except: ['fd00:bad::/32'] },
      ]),
      [
        [PLAIN, INSIDE, true],
        [PLAIN, '::ffff:10.7.7.7', true],
        [PLAIN, '10.1.2.3', false],
        [PLAIN, '::ffff:10.1.2.3', false],
        [MESHED, '10.2.3.4', false],
        [PLAIN, '10.2.3.5', true],
        [PLAIN, OUTSIDE, false],
        [PLAIN, 'fd00::1', true],
        [PLAIN, 'fd00:bad::1', false],
        [PLAIN, '::1', false],
      ],
    ],
    [
      '[AZ-03] an identity and a network at once',
      authorization({ kind: 'identities', identities: [CLIENT], suffixes: [] }, [{ net: '10.0.0.0/8', except: [] }]),
      [
        [MESHED, INSIDE, true],
        [MESHED, OUTSIDE, false],
        [PLAIN, INSIDE, false],
      ],
    ],
  ];
  it.each(CASES)('%s', (_name, item, clients) => {
    for (const [tls, ip, isAllowed] of clients) {
      expect([tls, ip, status(open(inboundPolicyOf('detect', { authorizations: [item] })), tls, ip)]).toEqual([
        tls,
        ip,
        isAllowed ? 200 : 403,
      ]);
      expect([tls, ip, isForwarded(open(inboundPolicyOf('opaque', { authorizations: [item] })), tls, ip)]).toEqual([tls, ip, isAllowed]);
    }
  });

  it('[AZ-15] names the first authorization that allows, and counts the others not at all', () => {
    const world = open(
      inboundPolicyOf('detect', {
        authorizations: [
          authorization({ kind: 'tls' }, undefined, 'first'),
          authorization({ kind: 'unauthenticated' }, undefined, 'second'),
        ],
      }),
    );
    expect([status(world, MESHED), status(world, PLAIN), status(world, PLAIN)]).toEqual([200, 200, 200]);
    expect([world.metric('authz_allow_total', 'authz_name="first"'), world.metric('authz_allow_total', 'authz_name="second"')]).toEqual([
      1, 2,
    ]);
  });
});

function route(name: string, prefix: string, authorizations: readonly Authorization[], method?: string): InboundRoute<HttpRouteMatch> {
  return {
    meta: { kind: 'resource', resource: { group: 'policy.linkerd.io', kind: 'HTTPRoute', name, namespace: '', section: '', port: 0 } },
    hosts: [],
    rules: [{ matches: [{ ...ANY_PATH, path: { kind: 'prefix', value: prefix }, method }], filters: [] }],
    authorizations,
  };
}

describe('routes on a server', () => {
  const policy = inboundPolicyOf('detect', {
    authorizations: [authorization({ kind: 'identities', identities: ['admin.ns'], suffixes: [] }, undefined, 'server-wide')],
    httpRoutes: [
      route('public', '/public', [authorization({ kind: 'unauthenticated' }, undefined, 'everybody')]),
      route('admin', '/admin', []),
      {
        ...route('probe', '/healthz', [{ ...ANYBODY, meta: { kind: 'default', name: 'probe' } }]),
        meta: { kind: 'default', name: 'probe' },
        rules: [{ matches: [{ ...ANY_PATH, path: { kind: 'exact', value: '/healthz' }, method: 'GET' }], filters: [] }],
      },
    ],
  });
  const ask = (world: World, path: string, tls?: ClientTls, method = 'GET'): number => {
    const client = world.http1(tls);
    client.send(`${method} ${path} HTTP/1.1\r\nhost: svc\r\n\r\n`);
    world.loop.run();
    return Number(/^HTTP\/1\.1 (\d+)/.exec(client.take())?.[1] ?? 0);
  };

  it('[AZ-06] [AZ-12] have authorizations of their own and those of the server; what matches none is not found', () => {
    const world = open(policy);
    const admin: ClientTls = { kind: 'tls', identity: 'admin.ns' };
    expect(
      [
        ['/public/a', PLAIN],
        ['/public', MESHED],
        ['/publicity', PLAIN],
        ['/admin', PLAIN],
        ['/admin/a', admin],
        ['/healthz', PLAIN],
        ['/healthz/x', PLAIN],
        ['/other', admin],
        ['/public/../admin', PLAIN],
      ].map(([path, tls]) => ask(world, path as string, tls as ClientTls)),
    ).toEqual([200, 200, 404, 403, 200, 200, 404, 404, 200]);
    expect(ask(world, '/healthz', PLAIN, 'POST')).toBe(404);
    // `/public/../admin` is forwarded as written, for the application to refuse: routes compare what is on the wire.
    expect(world.metric('inbound_http_route_not_found_total{')).toBe(4);
    expect(world.metric('authz_allow_total', 'route_name="probe"', 'authz_kind="default"', 'authz_name="probe"')).toBe(1);
    expect(world.metric('authz_deny_total', 'route_kind="HTTPRoute"', 'route_name="admin"')).toBe(1);
  });

  it('[AZ-06] judges gRPC by service and method', () => {
    const grpc = inboundPolicyOf('grpc', {
      authorizations: [],
      grpcRoutes: [
        {
          meta: {
            kind: 'resource',
            resource: { group: 'gateway.networking.k8s.io', kind: 'GRPCRoute', name: 'say', namespace: '', section: '', port: 0 },
          },
          hosts: [],
          rules: [{ matches: [{ service: 'echo.Echo', method: 'Say', headers: [] }], filters: [] }],
          authorizations: [authorization({ kind: 'identities', identities: [CLIENT], suffixes: [] })],
        },
      ],
    });
    const world = open(grpc);
    const call = (path: string, tls: ClientTls): FieldList => {
      const stream = world
        .http2(tls)
        .request([':method', 'POST', ':scheme', 'http', ':authority', 'svc', ':path', path, 'content-type', 'application/grpc'], '');
      world.loop.run();
      return stream.fields ?? [];
    };
    expect(call('/echo.Echo/Other', MESHED)).toEqual(expect.arrayContaining(['grpc-status', '5']));
    expect(call('/echo.Echo/Say', PLAIN)).toEqual(expect.arrayContaining(['grpc-status', '7']));
  });
});

describe('a refusal', () => {
  const nobody = inboundPolicyOf('detect', { authorizations: [] });

  it('[AZ-10] is 403 without body, and keeps the connection', () => {
    const world = open(nobody);
    const client = world.http1(PLAIN);
    client.send(GET);
    world.loop.run();
    expect(client.take()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\ncontent-length: 0\r\ndate: [^\r]*\r\n\r\n$/);
    client.send(GET);
    world.loop.run();
    expect(client.take()).toMatch(/^HTTP\/1\.1 403 /);
    expect(client.isClosed).toBe(false);
    expect(world.apps).toHaveLength(0);
  });

  it('[AZ-10] tells its reason to those who have an identity', () => {
    const world = open(nobody);
    const client = world.http1(MESHED);
    client.send(GET);
    world.loop.run();
    expect(client.take()).toMatch(
      /\r\nl5d-proxy-error: client 10\.7\.7\.7:\d+: server: 10\.1\.0\.2:8080: unauthorized request on route\r\n/,
    );
  });

  it('[AZ-10] of gRPC is PERMISSION_DENIED in the head', () => {
    const world = open(nobody);
    const stream = world
      .http2(MESHED)
      .request([':method', 'POST', ':scheme', 'http', ':authority', 'svc', ':path', '/a.B/C', 'content-type', 'application/grpc'], '');
    world.loop.run();
    const error = expect.stringMatching(/^client 10\.7\.7\.7:\d+: server: 10\.1\.0\.2:4143: unauthorized request on route$/) as string;
    expect(stream.fields).toEqual([
      ':status',
      '200',
      'content-length',
      '0',
      'content-type',
      'application/grpc',
      'grpc-status',
      '7',
      'grpc-message',
      error,
      'l5d-proxy-error',
      error,
      'date',
      expect.any(String),
    ]);
    expect([stream.isEnded, stream.trailers]).toEqual([true, undefined]);
  });

  it('[AZ-10] of bytes is a closed connection, and the application hears nothing', () => {
    const world = open(inboundPolicyOf('opaque', { authorizations: [] }));
    const client = world.opaque(MESHED);
    client.send('hello');
    world.loop.run();
    expect([client.isClosed, client.receivedBytes, world.apps.length]).toEqual([true, 0, 0]);
  });

  it('[AZ-15] [MET-06] is counted under the server, the route and the client', () => {
    const world = open(nobody);
    expect([status(world, MESHED), isForwarded(world, PLAIN)]).toEqual([403, false]);
    const server = 'srv_group="policy.linkerd.io",srv_kind="server",srv_name="srv",srv_port="8080"';
    const target = 'target_addr="10.1.0.2:8080",target_ip="10.1.0.2",target_port="8080"';
    expect(world.text()).toContain(
      `\ninbound_http_authz_deny_total{${target},${server},route_group="",route_kind="default",route_name="default",tls="true",client_id="${CLIENT}"} 1\n`,
    );
    expect(world.text()).toContain(
      `\ninbound_tcp_authz_deny_total{${target},${server},tls="no_identity",no_tls_reason="no_tls_from_remote"} 1\n`,
    );
    // Refusals by policy are no errors.
    expect(world.text()).not.toContain('errors_total{');
  });
});

describe('the log', () => {
  it('[AZ-09] names audit where it let somebody in, for requests and for connections', () => {
    const world = open(builtInPolicy('audit', CLUSTER, false));
    expect([status(world, PLAIN), isForwarded(world, MESHED)]).toEqual([200, true]);
    const server = { 'server.group': '', 'server.kind': 'default', 'server.name': 'audit' };
    const authz = { 'authz.group': '', 'authz.kind': 'default', 'authz.name': 'audit' };
    expect(world.lines).toEqual([
      {
        message: 'Request allowed',
        fields: {
          ...server,
          'route.group': '',
          'route.kind': 'default',
          'route.name': 'default',
          ...authz,
          'client.tls': 'none',
          'client.ip': INSIDE,
        },
      },
      { message: 'Connection allowed', fields: { ...server, ...authz, 'client.tls': 'tls', 'client.ip': INSIDE, 'client.id': CLIENT } },
    ]);
    expect(world.metric('inbound_http_authz_allow_total', 'authz_name="audit"')).toBe(1);
    expect(world.metric('inbound_tcp_authz_allow_total', 'authz_name="audit"')).toBe(1);
  });

  it('tells of refusals, but not of each of a flood', () => {
    const world = open(inboundPolicyOf('detect', { authorizations: [] }));
    const client = world.http1(PLAIN);
    for (let i = 0; i < 500; i++) client.send(GET);
    world.loop.run();
    expect(world.lines).toHaveLength(MAX_POLICY_LINES_PER_SECOND);
    expect(world.metric('inbound_http_authz_deny_total{')).toBe(500);
    world.loop.advance(1001);
    client.send(GET);
    world.loop.run();
    expect(world.lines.at(-1)).toMatchObject({ message: 'Request denied', fields: { suppressed: 500 - MAX_POLICY_LINES_PER_SECOND } });
  });
});

describe('a change of policy', () => {
  const open200 = inboundPolicyOf('detect');
  const closed = inboundPolicyOf('detect', { authorizations: [] });

  it('[AZ-11] ends the connections of bytes that it forbids, at once, and no others', () => {
    const world = open(inboundPolicyOf('opaque'));
    const [plain, meshed] = [world.opaque(PLAIN), world.opaque(MESHED)];
    world.loop.run();
    expect(world.apps).toHaveLength(2);
    world.update(inboundPolicyOf('opaque', { authorizations: [authorization({ kind: 'tls' })] }));
    world.loop.run();
    expect([plain.isClosed, meshed.isClosed, world.apps.map((app) => app.isClosed)]).toEqual([true, false, [true, false]]);
    expect(world.metric('inbound_tcp_authz_terminate_total{', 'no_tls_reason="no_tls_from_remote"')).toBe(1);
    expect(world.lines.map(({ message }) => message)).toEqual(['Connection terminated due to policy change']);
  });

  it('[AZ-11] refuses the next request of an HTTP connection, and lets it ask again', () => {
    const world = open(open200);
    const client = world.http1(PLAIN);
    const statuses: string[] = [];
    for (const policy of [open200, closed, open200]) {
      world.update({ ...policy });
      client.send(GET);
      world.loop.run();
      statuses.push(client.take().slice(9, 12));
    }
    expect(statuses).toEqual(['200', '403', '200']);
  });

  it('[AZ-11] ends an upgraded connection, whose bytes nobody would ask about again', () => {
    const world = open(inboundPolicyOf('detect', { authorizations: [ANYBODY] }));
    const upgrade = 'GET /ws HTTP/1.1\r\nhost: svc\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
    const [plain, meshed] = [world.http1(PLAIN), world.http1(MESHED)];
    plain.send(upgrade);
    meshed.send(upgrade);
    world.loop.run();
    expect([plain.take(), meshed.take()].map((text) => text.slice(9, 12))).toEqual(['101', '101']);
    world.update(inboundPolicyOf('detect', { authorizations: [authorization({ kind: 'tls' })] }));
    world.loop.run();
    expect([plain.isClosed, meshed.isClosed]).toEqual([true, false]);
    expect(world.metric('inbound_tcp_authz_terminate_total{')).toBe(1);
    meshed.reset();
    world.loop.run();
    world.update(closed);
    expect(world.metric('inbound_tcp_authz_terminate_total{')).toBe(1);
  });
});

describe('a rate limit', () => {
  const limited = (changes: object): InboundPolicy =>
    inboundPolicyOf('detect', {
      rateLimit: {
        meta: {
          kind: 'resource',
          resource: { group: 'policy.linkerd.io', kind: 'HTTPLocalRateLimitPolicy', name: 'limited', namespace: '', section: '', port: 0 },
        },
        totalPerSecond: undefined,
        identityPerSecond: undefined,
        overrides: [],
        ...changes,
      },
    });

  it('[REL-15] [REL-18] answers 429 beyond it, counts it by scope, and counts the request as authorized', () => {
    const world = open(limited({ totalPerSecond: 1 }));
    const client = world.http1(MESHED);
    client.send(GET);
    client.send(GET);
    world.loop.run();
    const text = client.take();
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 429']);
    expect(text).toContain('l5d-proxy-error: client 10.7.7.7:40001: server: 10.1.0.2:8080: total rate limit exceeded: 1rps\r\n');
    expect(client.isClosed).toBe(false);
    expect(world.text()).toContain(
      '\ninbound_http_local_ratelimit_total{target_addr="10.1.0.2:8080",target_ip="10.1.0.2",target_port="8080",' +
        'srv_group="policy.linkerd.io",srv_kind="server",srv_name="srv",srv_port="8080",' +
        'ratelimit_group="policy.linkerd.io",ratelimit_kind="HTTPLocalRateLimitPolicy",ratelimit_name="limited",ratelimit_scope="total",' +
        `tls="true",client_id="${CLIENT}"} 1\n`,
    );
    expect(world.metric('inbound_http_authz_allow_total{')).toBe(2);
    world.loop.advance(1000);
    expect(status(world, MESHED)).toBe(200);
  });

  it('[REL-15] is RESOURCE_EXHAUSTED for gRPC', () => {
    const world = open(limited({ identityPerSecond: 1 }));
    const peer = world.http2(PLAIN);
    const fields = [':method', 'POST', ':scheme', 'http', ':authority', 'svc', ':path', '/a.B/C', 'content-type', 'application/grpc'];
    peer.request(fields, '');
    const second = peer.request(fields, '');
    world.loop.run();
    expect(second.fields).toEqual(expect.arrayContaining([':status', '200', 'grpc-status', '8']));
  });

  it('goes on counting when another part of the policy changes, and begins afresh when it changes itself', () => {
    const world = open(limited({ totalPerSecond: 1 }));
    expect([status(world), status(world)]).toEqual([200, 429]);
    world.update({ ...limited({ totalPerSecond: 1 }), authorizations: [ANYBODY, ANYBODY] });
    expect(status(world)).toBe(429);
    world.update(limited({ totalPerSecond: 2 }));
    expect([status(world), status(world), status(world)]).toEqual([200, 200, 429]);
  });

  it('does not count those whom policy refuses', () => {
    const world = open({ ...limited({ totalPerSecond: 1 }), authorizations: [authorization({ kind: 'tls' })] });
    expect([status(world, PLAIN), status(world, PLAIN), status(world, MESHED)]).toEqual([403, 403, 200]);
  });
});
