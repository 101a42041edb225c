// SPDX-License-Identifier: Apache-2.0
/* What real proxies make of the protocols that pass through them, and of applications that do what applications do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonValue } from '@bufbuild/protobuf';
import { PEER_IP, SERVER_IP, type SidecarRig } from '@weft/testkit/sidecar-rig';
import { createTestMesh } from '@weft/pki/testing';
import { applicationOf, callerOf, oddApplicationOf, samplesOf, seenIn, startRig, statusOf } from './rig/start-rig.ts';

const mesh = createTestMesh();
const NAMESPACE = 'rig';
const clientId = mesh.identityOf('client', NAMESPACE);
const serverId = mesh.identityOf('server', NAMESPACE);
const PLAIN = '10.96.62.1';
const MESHED = '10.96.62.2';
const TLS = '10.96.62.3';
const OPAQUE = '10.96.62.4';
const DETECT_SECONDS = 2;

/** A policy of TLS routes: each SNI has a backend of its own. */
function tlsPolicy(): JsonValue {
  const route = (name: string, snis: JsonValue[], port: number): JsonValue => ({
    metadata: { resource: { group: 'gateway.networking.k8s.io', kind: 'TLSRoute', name, namespace: NAMESPACE } },
    snis,
    rules: [
      {
        backends: {
          firstAvailable: {
            backends: [
              {
                backend: {
                  metadata: { default: 'endpoint' },
                  queue: { capacity: 100, failfastTimeout: '3s' },
                  forward: { addr: { ip: { ipv4: 0x0a_e7_00_03 }, port }, weight: 1 },
                },
              },
            ],
          },
        },
      },
    ],
  });
  return {
    metadata: { resource: { group: 'core', kind: 'Service', name: 'tls', namespace: NAMESPACE, port: 443 } },
    protocol: {
      tls: {
        routes: [
          route('exact', [{ exact: 'one.example.com' }], 9443),
          route('suffix', [{ suffix: { reverseLabels: ['com', 'example'] } }], 9444),
        ],
      },
    },
  };
}

/** Inbound policies that leave nothing to detection. */
function inboundOf(kind: { [key: string]: JsonValue }): JsonValue {
  const anybody = {
    networks: [{ net: { ip: { ipv4: 0 }, prefixLen: 0 } }],
    authentication: { unauthenticated: {} },
    metadata: { default: 'all-unauthenticated' },
  };
  return { labels: { group: 'policy.linkerd.io', kind: 'server', name: 'srv' }, protocol: kind, authorizations: [anybody] };
}

let rig: SidecarRig;
let client: ReturnType<typeof callerOf>;
let peer: ReturnType<typeof callerOf>;
let odd: ReturnType<typeof oddApplicationOf>;

beforeAll(async () => {
  const target = (ip: string, port: number, endpoints: readonly { ip: string; port: number }[]) => ({
    ip,
    port,
    service: `s${ip.slice(-1)}-${port}`,
    namespace: NAMESPACE,
    protocol: 'detect' as const,
    endpoints: endpoints.map((endpoint) =>
      endpoint.ip === SERVER_IP ? { ...endpoint, identity: serverId, inboundPort: 4143, hint: 'h2' as const } : endpoint,
    ),
  });
  const ports = [8080, 9000, 9001, 9002, 9003];
  rig = await startRig({
    mesh,
    namespace: NAMESPACE,
    control: {
      client: {
        targets: [
          ...ports.map((port) => target(PLAIN, port, [{ ip: PEER_IP, port }])),
          ...[8080, 8085, 9002, 9003].map((port) => target(MESHED, port, [{ ip: SERVER_IP, port }])),
          target(PLAIN, 80, []),
          { ...target(OPAQUE, 9001, [{ ip: PEER_IP, port: 9001 }]), protocol: 'opaque' },
        ],
        given: { outbound: { [`${TLS}:443`]: tlsPolicy() } },
      },
      server: {
        targets: [],
        given: {
          inbound: {
            '8082': inboundOf({ http1: {} }),
            '8083': inboundOf({ http2: {} }),
            '8084': inboundOf({ opaque: {} }),
          },
        },
      },
    },
    env: {
      client: {
        LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT: `${DETECT_SECONDS}s`,
        LINKERD2_PROXY_OUTBOUND_MAX_IN_FLIGHT: '2',
      },
      server: { LINKERD2_PROXY_INBOUND_PORTS: '8080,8082,8083,8084,8085,9001,9002,9003' },
    },
  });
  client = callerOf(rig, 'client');
  peer = callerOf(rig, 'peer');
  odd = oddApplicationOf(rig, 'peer');
  const plainApplications = applicationOf(rig, 'peer');
  await plainApplications.call('serveHttp1', 8080, PEER_IP);
  await odd.call('serveBanner', PEER_IP, 9001);
  await odd.call('serveOnce', PEER_IP, 9002);
  await odd.call('serveInterim', PEER_IP, 9003);
  const leaf = mesh.leafFor(mesh.identityOf('app', NAMESPACE));
  for (const port of [9443, 9444]) await odd.call('serveTls', PEER_IP, port, leaf.privateKeyPem, leaf.chainPem);
  const applications = applicationOf(rig, 'server');
  for (const port of [8080, 8082]) await applications.call('serveHttp1', port, SERVER_IP);
  await applications.call('serveHttp2', 8083, SERVER_IP);
  await applications.call('serveEcho', 8084, SERVER_IP);
  const oddMeshed = oddApplicationOf(rig, 'server');
  await oddMeshed.call('serveOnce', SERVER_IP, 9002);
  await oddMeshed.call('serveInterim', SERVER_IP, 9003);
});
afterAll(() => rig?.stop());

const text = (host: string, port: number, sent: string, followUp?: string): Promise<{ raw: string; end: string }> =>
  client.call('callText', { host, port, text: sent, ...(followUp === undefined ? {} : { followUp }) });

describe('a server that speaks first', () => {
  it('[PROTO-02] is heard after the detection time, which is counted and told of', async () => {
    const { raw } = await text(PLAIN, 9001, '');
    expect(raw).toBe('HELLO\n');
    const page = await samplesOf(rig, 'client');
    expect(page.sum('outbound_tcp_detect_http_results_total', { result: 'read_timeout', parent_port: '9001' })).toBe(1);
    expect(page.sum('weft_outbound_tcp_server_first_total', { parent_name: 's1-9001', parent_port: '9001' })).toBe(1);
    expect(rig.log('client')).toMatch(/WARN .*the server speaks first.*opaque-ports/);
  });

  it('[PROTO-03] is heard at once on an opaque port, and counted nowhere', async () => {
    const { raw } = await text(OPAQUE, 9001, 'me too\n');
    expect(raw).toBe('HELLO\nme too\n');
    expect((await samplesOf(rig, 'client')).sum('weft_outbound_tcp_server_first_total', { parent_name: 's4-9001' })).toBe(0);
  });
});

describe.each([
  ['a plain', PLAIN],
  ['a meshed', MESHED],
])('%s application of HTTP/1', (kind, host) => {
  it('[PROTO-07] has its interim answers passed on, and its trailers, to a client that expects to be told to go on', async () => {
    const { raw } = await text(
      host,
      9003,
      'POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nexpect: 100-continue\r\ncontent-length: 8\r\n\r\n',
      'the body',
    );
    expect(raw.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 103', 'HTTP/1.1 100', 'HTTP/1.1 200']);
    expect(raw.toLowerCase()).toContain('link: </style.css>');
    expect(raw.toLowerCase()).toContain('x-sum: 7');
  });

  it('[PROTO-23] that closes an idle connection just then is asked once more, where that is safe', async () => {
    const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
    for (let i = 0; i < 4; i++) {
      const { raw } = await text(host, 9002, get, get);
      expect(raw.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
    }
    const { raw } = await text(host, 9002, get, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx');
    // What may have been done already is not done twice.
    expect(raw.match(/HTTP\/1\.1 \d+/g)?.[0]).toBe('HTTP/1.1 200');
    expect(raw.match(/HTTP\/1\.1 \d+/g)?.[1]).toMatch(/50[02]$/);
    expect(kind).toBeTruthy();
  });

  it('[PROTO-07] sees requests as they were made: absolute form, HTTP/1.0, without Host', async () => {
    const absolute = await text(host, 8080, 'GET http://svc.test/a HTTP/1.1\r\nhost: other\r\n\r\n');
    expect(seenIn(absolute.raw)).toMatchObject({ url: 'http://svc.test/a', fields: { host: 'svc.test' } });
    const old = await text(host, 8080, 'GET /old HTTP/1.0\r\nhost: a\r\n\r\n');
    expect(old.end).toBe('closed');
    expect(seenIn(old.raw)).toMatchObject({ url: '/old', version: '1.0' });
  });
});

describe('reserved fields', () => {
  it('[PROTO-16] are set, removed or passed on as the contract says', async () => {
    const fields = [
      'l5d-client-id: somebody.else',
      `l5d-require-id: ${serverId}`,
      'l5d-orig-proto: HTTP/1.0',
      'l5d-dst-canonical: elsewhere:80',
      'l5d-something: kept',
    ];
    const { raw } = await text(MESHED, 8080, `GET / HTTP/1.1\r\nhost: a\r\n${fields.join('\r\n')}\r\n\r\n`);
    const seen = seenIn(raw).fields;
    expect(seen).toMatchObject({ 'l5d-client-id': clientId, 'l5d-something': 'kept', 'l5d-dst-canonical': 'elsewhere:80' });
    expect(seen).not.toHaveProperty('l5d-require-id');
    const unmeshed = await peer.call('callText', {
      host: SERVER_IP,
      port: 8080,
      text: 'GET / HTTP/1.1\r\nhost: a\r\nl5d-client-id: somebody.else\r\nl5d-dst-override: admin.ns:80\r\nl5d-more: 1\r\n\r\n',
    });
    const plain = seenIn(unmeshed.raw).fields;
    expect(plain).not.toHaveProperty('l5d-client-id');
    expect(plain).not.toHaveProperty('l5d-dst-override');
    expect(plain).toHaveProperty('l5d-more');
  });
});

describe('TLS of applications', () => {
  it('[PROTO-12] [RT-03] goes where its SNI is routed, untouched', async () => {
    const hello = async (sni: string): Promise<string> => {
      const { stdout } = await rig.run('client', 8000, process.execPath, '-e', tlsScript(sni));
      return stdout.trim();
    };
    expect(await hello('one.example.com')).toBe('served one.example.com');
    expect(await hello('two.example.com')).toBe('served two.example.com');
    expect(await hello('one.example.org')).toBe('refused');
    const served = await odd.call('served');
    expect([served[`${PEER_IP}:9443`], served[`${PEER_IP}:9444`]]).toEqual([1, 1]);
    const page = await samplesOf(rig, 'client');
    expect(page.sum('outbound_tcp_protocol_connections_total', { protocol: 'tls', parent_name: 'tls' })).toBe(3);
  });
});

describe('[PROTO-05] [PROTO-06] a port whose protocol is declared', () => {
  it('HTTP/1: speaks nothing else', async () => {
    const { raw } = await peer.call('callText', { host: SERVER_IP, port: 8082, text: 'GET / HTTP/1.1\r\nhost: a\r\n\r\n' });
    expect(statusOf(raw)).toBe(200);
    const preface = await peer.call('callText', { host: SERVER_IP, port: 8082, text: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' });
    expect(statusOf(preface.raw)).toBeGreaterThanOrEqual(400);
  });

  it('HTTP/2: takes HTTP/2, and closes on HTTP/1', async () => {
    const headers = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'];
    expect((await peer.call('callHttp2', { host: SERVER_IP, port: 8083, headers })).headers?.slice(0, 2)).toEqual([':status', '200']);
    const { raw } = await peer.call('callText', { host: SERVER_IP, port: 8083, text: 'GET / HTTP/1.1\r\nhost: a\r\n\r\n' });
    expect(raw).not.toContain('200 OK');
  });

  it('opaque: hands every byte on, HTTP or not', async () => {
    const { raw } = await peer.call('callText', { host: SERVER_IP, port: 8084, text: 'GET / HTTP/1.1\r\n\r\n' });
    expect(raw).toContain('GET / HTTP/1.1');
    expect((await samplesOf(rig, 'server')).sum('inbound_tcp_authz_allow_total', { target_port: '8084' })).toBe(1);
  });
});

describe('[PROTO-19] patience', () => {
  it('[PROTO-13] ends after the fail-fast time, then at once, with 504 and 503', async () => {
    const first = await text(PLAIN, 80, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    expect(statusOf(first.raw)).toBe(504);
    expect(first.raw).toContain('service in fail-fast');
    expect(statusOf((await text(PLAIN, 80, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')).raw)).toBe(503);
    const page = await samplesOf(rig, 'client');
    expect(page.sum('outbound_http_errors_total', { error: 'failfast' })).toBe(1);
    expect(page.sum('outbound_http_balancer_queue_gate_shut_total', { backend_name: 's1-80' })).toBe(1);
  });

  it('has a limit: requests beyond those in flight are shed', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => text(PLAIN, 8080, 'GET /slow HTTP/1.1\r\nhost: a\r\n\r\n')));
    const statuses = answers.map(({ raw }) => statusOf(raw)).sort((a, b) => a - b);
    expect(statuses).toEqual([200, 200, 503, 503, 503, 503]);
    expect((await samplesOf(rig, 'client')).sum('outbound_http_errors_total', { error: 'loadshed' })).toBeGreaterThanOrEqual(4);
  });
});

/** An application's TLS client, for the namespace. */
function tlsScript(sni: string): string {
  return `const s=require('tls').connect({host:'${TLS}',port:443,servername:'${sni}',rejectUnauthorized:false});
s.on('error',()=>{console.log('refused');process.exit()});s.on('data',(d)=>{console.log(String(d).trim());process.exit()});
s.on('close',()=>console.log('refused'))`;
}
