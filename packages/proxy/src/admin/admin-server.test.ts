// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MetricRegistry } from '@weft/telemetry';
import { EndpointMetrics } from '../metrics/endpoint-metrics.ts';
import { InboundMetrics } from '../metrics/inbound-metrics.ts';
import { TransportMetrics } from '../metrics/transport-metrics.ts';
import { FakeDiscovery } from '../testing/fake-discovery.ts';
import { H2Peer } from '../testing/h2-peer.ts';
import { createStreamPair } from '../testing/memory-stream.ts';
import { inboundPolicyOf, onlyIdentities } from '../testing/policies.ts';
import { RawPeer } from '../testing/raw-peer.ts';
import { LOCAL_ID, testConfig } from '../testing/test-config.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { AdminServer } from './admin-server.ts';

interface Vector {
  readonly name: string;
  readonly request: { readonly text: string };
  readonly response: { readonly head: readonly string[]; readonly body: string };
}

const VECTORS = JSON.parse(readFileSync(new URL('../testdata/vectors/wire/admin.json', import.meta.url), 'utf8')) as Vector[];

function open(
  options: { isReady?: boolean; canShutdown?: boolean; isLocal?: boolean; hasPolicy?: boolean; log?: string; canProfile?: boolean } = {},
) {
  const loop = new TestLoop();
  const discovery = new FakeDiscovery();
  const registry = new MetricRegistry();
  let filter = 'warn,linkerd=info';
  let shutdowns = 0;
  const profiles: [string, number, number][] = [];
  const config = testConfig({
    ADMIN_LISTEN_ADDR: '0.0.0.0:4191',
    ...(options.log === undefined ? {} : { LOG: options.log }),
    SHUTDOWN_ENDPOINT_ENABLED: options.canShutdown === true ? 'true' : 'false',
  });
  const server = new AdminServer({
    config,
    identity: { name: LOCAL_ID, serverName: LOCAL_ID, tls: undefined },
    discovery,
    clock: loop.clock,
    metrics: new InboundMetrics(registry, new TransportMetrics(registry), new EndpointMetrics(registry), false),
    environment: { A: '1', LINKERD2_PROXY_LOG: 'warn,linkerd=info,hickory=error,[{headers}]=off,[{request}]=off' },
    isReady: () => options.isReady ?? true,
    renderMetrics: () => '# EOF\n',
    logFilter: {
      get: () => filter,
      set: (text) => {
        if (text.includes('!')) return 'invalid filter';
        filter = text;
        return undefined;
      },
    },
    shutdown: () => {
      shutdowns += 1;
    },
    profiler:
      options.canProfile === true
        ? {
            take: (...wanted) => {
              profiles.push(wanted);
              return Promise.resolve(profiles.length > 1 ? undefined : Buffer.from('profile'));
            },
          }
        : undefined,
  });
  if (options.hasPolicy !== false) discovery.port(4191).set(inboundPolicyOf('detect'));
  const connect = () => {
    const [client, ours] = createStreamPair(
      loop,
      {},
      { ip: options.isLocal === true ? '127.0.0.1' : '10.1.0.1', port: 40_000 },
      { ip: '10.1.0.2', port: 4191 },
    );
    server.accept(ours);
    return client;
  };
  const ask = (text: string): string => {
    const peer = new RawPeer(connect());
    peer.send(text);
    loop.run();
    return peer.take();
  };
  return { loop, discovery, server, connect, ask, shutdowns: () => shutdowns, profiles, filter: () => filter };
}

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nhost: x\r\n${fields}\r\n`;

/** Status line, fields without Date, body. */
function parsed(answer: string): { head: string[]; body: string } {
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const [status = '', ...fields] = head.split('\r\n');
  return { head: [status, ...fields.filter((field) => !field.startsWith('date: ')).sort()], body: rest.join('\r\n\r\n') };
}

describe('the admin port', () => {
  const comparable = VECTORS.filter((vector) => !['admin-env', 'admin-metrics-post', 'admin-env-some'].includes(vector.name));
  it.each(comparable.map((vector) => [vector.name, vector] as const))('answers another pod as captured: %s', (_name, vector) => {
    const answer = open().ask(vector.request.text);
    const [status = '', ...fields] = vector.response.head;
    expect(parsed(answer)).toEqual({
      head: [status, ...fields.filter((field) => !field.startsWith('date: ')).sort()],
      body: vector.response.body,
    });
    expect(answer).toContain('\r\ndate: ');
  });

  it('shows the environment, whole or in part', () => {
    const { ask } = open();
    expect(JSON.parse(parsed(ask(get('/env.json'))).body)).toMatchObject({ A: '1' });
    const some = VECTORS.find((vector) => vector.name === 'admin-env-some');
    expect(JSON.parse(parsed(ask(some?.request.text ?? '')).body)).toEqual(JSON.parse(some?.response.body ?? ''));
    for (const accept of ['application/json', 'application/*', '*/*', 'text/html, */*']) {
      expect(ask(get('/env.json', `accept: ${accept}\r\n`))).toContain(' 200 ');
    }
  });

  it('writes metrics, compressed on request, for any method', () => {
    const { ask } = open();
    expect(parsed(ask('POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n')).body).toBe('# EOF\n');
    const zipped = ask(get('/metrics', 'accept-encoding: gzip, br\r\n'));
    expect(zipped).toContain('content-encoding: gzip');
    expect(gunzipSync(Buffer.from(parsed(zipped).body, 'latin1')).toString()).toBe('# EOF\n');
  });

  it('is not ready before it is', () => {
    const { ask } = open({ isReady: false });
    expect(parsed(ask(get('/ready')))).toMatchObject({
      head: ['HTTP/1.1 503 Service Unavailable', 'content-length: 10', 'content-type: text/plain'],
      body: 'not ready\n',
    });
  });

  it('answers HEAD without body', () => {
    expect(parsed(open().ask('HEAD /live HTTP/1.1\r\nhost: x\r\n\r\n'))).toEqual({
      head: ['HTTP/1.1 200 OK', 'content-length: 5', 'content-type: text/plain'],
      body: '',
    });
  });

  describe('from localhost', () => {
    it('reads and sets the log level', () => {
      const { ask, filter } = open({ isLocal: true });
      expect(parsed(ask(get('/proxy-log-level'))).body).toBe('warn,linkerd=info');
      expect(parsed(ask('PUT /proxy-log-level HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\ndebug\n'))).toEqual({
        head: ['HTTP/1.1 204 No Content'],
        body: '',
      });
      expect(filter()).toBe('debug');
      expect(parsed(ask('PUT /proxy-log-level HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n!!')).head[0]).toBe(
        'HTTP/1.1 400 Bad Request',
      );
      expect(parsed(ask('DELETE /proxy-log-level HTTP/1.1\r\nhost: x\r\n\r\n')).head).toEqual([
        'HTTP/1.1 405 Method Not Allowed',
        'allow: GET, PUT',
        'content-length: 0',
      ]);
      expect(filter()).toBe('debug');
    });

    it('refuses a log level that is a book', () => {
      const { ask, filter } = open({ isLocal: true });
      expect(ask(`PUT /proxy-log-level HTTP/1.1\r\nhost: x\r\ncontent-length: 20000\r\n\r\n${'x'.repeat(20_000)}`)).toContain(' 413 ');
      expect(filter()).toBe('warn,linkerd=info');
    });

    it('[PROTO-24] shuts down where that is allowed', () => {
      const forbidden = open({ isLocal: true });
      expect(parsed(forbidden.ask('POST /shutdown HTTP/1.1\r\nhost: x\r\n\r\n'))).toMatchObject({
        body: 'shutdown endpoint is not enabled\n',
      });
      expect(forbidden.shutdowns()).toBe(0);
      const allowed = open({ isLocal: true, canShutdown: true });
      expect(parsed(allowed.ask('POST /shutdown HTTP/1.1\r\nhost: x\r\n\r\n')).body).toBe('shutdown\n');
      expect(allowed.shutdowns()).toBe(1);
      expect(parsed(allowed.ask('POST /shutdown HTTP/1.1\r\nhost: x\r\n\r\n'))).toMatchObject({
        head: ['HTTP/1.1 500 Internal Server Error', 'content-length: 26', 'content-type: text/plain'],
        body: 'shutdown listener dropped\n',
      });
      expect(parsed(allowed.ask(get('/shutdown'))).head[0]).toBe('HTTP/1.1 405 Method Not Allowed');
    });

    it('has no log level where the process was started without logs', () => {
      const { ask } = open({ isLocal: true, log: 'off' });
      expect(ask(get('/proxy-log-level'))).toContain(' 404 ');
      expect(ask('PUT /proxy-log-level HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\ndebug')).toContain(' 404 ');
    });

    it('takes profiles where that is turned on, one at a time', async () => {
      const paths = [
        '/debug/pprof/profile.pb.gz',
        '/debug/pprof/heap.pb.gz?seconds=2',
        '/debug/pprof/profile.pb.gz?frequency=1000&seconds=300',
      ];
      for (const path of paths) expect(open({ isLocal: true }).ask(get(path))).toContain(' 404 ');
      const world = open({ isLocal: true, canProfile: true });
      const asked = async (path: string): Promise<{ head: string[]; body: string }> => {
        const peer = new RawPeer(world.connect());
        peer.send(get(path));
        world.loop.run();
        await new Promise((resolve) => setImmediate(resolve));
        world.loop.run();
        return parsed(peer.take());
      };
      expect(await asked(paths[0] ?? '')).toEqual({
        head: ['HTTP/1.1 200 OK', 'content-length: 7', 'content-type: application/octet-stream'],
        body: 'profile',
      });
      expect((await asked(paths[1] ?? '')).head[0]).toBe('HTTP/1.1 503 Service Unavailable');
      await asked(paths[2] ?? '');
      expect(world.profiles).toEqual([
        ['cpu', 30, 100],
        ['heap', 2, 100],
        ['cpu', 300, 1000],
      ]);
      for (const query of ['seconds=0', 'seconds=301', 'seconds=x', 'seconds=1e2', 'frequency=1001', 'frequency=']) {
        expect((await asked(`${paths[0]}?${query}`)).head[0]).toBe('HTTP/1.1 400 Bad Request');
      }
      expect((await asked('/debug/pprof/other')).head[0]).toBe('HTTP/1.1 404 Not Found');
      expect(open({ canProfile: true }).ask(get(paths[0] ?? ''))).toContain('Requests are only permitted from localhost.');
    });

    it('is let in whatever the policy says', () => {
      const { ask, discovery } = open({ isLocal: true });
      discovery.port(4191).set(inboundPolicyOf('detect', { meta: { group: '', kind: 'default', name: 'deny' }, authorizations: [] }));
      expect(ask(get('/metrics'))).toContain(' 200 ');
    });
  });

  it('applies the policy of its port to others', () => {
    const { ask, discovery } = open();
    discovery.port(4191).set(inboundPolicyOf('detect', { authorizations: [onlyIdentities('prometheus')] }));
    expect(parsed(ask(get('/metrics')))).toEqual({ head: ['HTTP/1.1 403 Forbidden', 'content-length: 0'], body: '' });
    discovery.port(4191).set(
      inboundPolicyOf('detect', {
        authorizations: [],
        httpRoutes: [
          {
            meta: { kind: 'default', name: 'probe' },
            hosts: [],
            authorizations: [inboundPolicyOf('detect').authorizations[0] as never],
            rules: [{ matches: [{ path: { kind: 'exact', value: '/live' }, headers: [], queryParams: [], method: 'GET' }], filters: [] }],
          },
        ],
      }),
    );
    expect(ask(get('/live'))).toContain(' 200 ');
    expect(ask(get('/ready'))).toContain(' 404 ');
  });

  it.each([
    ['no policy', { hasPolicy: false }],
    ['the closed door that stands in for one', {}],
  ])('with %s answers probes and nothing else', (name, options) => {
    const { ask, discovery } = open(options);
    if (name !== 'no policy')
      discovery.port(4191).set(inboundPolicyOf('detect', { meta: { group: '', kind: 'default', name: 'deny' }, authorizations: [] }));
    expect(ask(get('/live'))).toContain(' 200 ');
    expect(ask(get('/ready?x'))).toContain(' 200 ');
    for (const path of ['/env.json', '/metrics', '/shutdown', '/livex']) expect(ask(get(path))).toContain(' 403 ');
  });

  it('speaks HTTP/2', () => {
    const { connect, loop } = open();
    const peer = new H2Peer(connect(), 'client', loop.clock.now);
    const stream = peer.get('/live');
    loop.run();
    expect([stream.field(':status'), stream.field('content-type'), stream.body]).toEqual(['200', 'text/plain', 'live\n']);
  });

  it('keeps connections, and drains them', () => {
    const { connect, loop, server } = open();
    const peer = new RawPeer(connect());
    for (let i = 0; i < 3; i++) {
      peer.send(get('/live'));
      loop.run();
      expect(peer.take()).toContain('live\n');
    }
    server.close();
    loop.run();
    expect(peer.isReadEnded).toBe(true);
  });

  it('waits a second for a client that says nothing, then takes it for HTTP/1', () => {
    const { connect, loop } = open();
    const peer = new RawPeer(connect());
    loop.advance(2500);
    peer.send(get('/live'));
    loop.run();
    expect(peer.take()).toContain('live\n');
  });
});
