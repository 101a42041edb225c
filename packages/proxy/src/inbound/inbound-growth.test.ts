// SPDX-License-Identifier: Apache-2.0
/* Whatever clients do, what is kept of them is bounded: by the sizes of the maps, not by the memory of the process. */
import { MetricRegistry } from '@weft/telemetry';
import { describe, expect, it } from 'vitest';
import { Admission } from '../admission.ts';
import { DrainSet } from '../drain.ts';
import { MemoryBudget } from '../memory-budget.ts';
import { EndpointMetrics } from '../metrics/endpoint-metrics.ts';
import { InboundMetrics } from '../metrics/inbound-metrics.ts';
import { TransportMetrics } from '../metrics/transport-metrics.ts';
import { FakeDiscovery } from '../testing/fake-discovery.ts';
import { FakeNetwork } from '../testing/fake-transport.ts';
import { H2Peer } from '../testing/h2-peer.ts';
import { createStreamPair } from '../testing/memory-stream.ts';
import { ANYBODY, inboundPolicyOf } from '../testing/policies.ts';
import { RawPeer } from '../testing/raw-peer.ts';
import { LOCAL_ID, testConfig } from '../testing/test-config.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { createAccessLog } from '../metrics/access-log.ts';
import { PolicyLog } from './policy-log.ts';
import { Gateway } from './gateway.ts';
import { InboundServer } from './inbound-server.ts';

function open() {
  const loop = new TestLoop();
  const discovery = new FakeDiscovery();
  const network = new FakeNetwork(loop);
  const registry = new MetricRegistry({ now: () => loop.nowMs });
  const transport = new TransportMetrics(registry);
  const metrics = new InboundMetrics(registry, transport, new EndpointMetrics(registry), false);
  const drain = new DrainSet();
  const config = testConfig();
  const lines: string[] = [];
  const warnings: string[] = [];
  const budget = new MemoryBudget({ limitBytes: Number.POSITIVE_INFINITY, now: () => 0, readPrivateBytes: () => 0 });
  const admission = new Admission(100_000, budget);
  const log = { debug: () => {}, info: () => {}, warn: (message: string) => void warnings.push(message) };
  const server = new InboundServer({
    config,
    discovery,
    identity: { name: LOCAL_ID, serverName: LOCAL_ID, tls: undefined },
    clock: loop.clock,
    metrics,
    gateway: new Gateway({
      suffixes: [],
      identity: LOCAL_ID,
      acquire: () => {
        throw new Error('no gateway here');
      },
    }),
    log,
    portStack: {
      clock: loop.clock,
      drain,
      metrics,
      createTransport: (address) => network.transport(address, true),
      backend: { discovery, config: config.inbound, clock: loop.clock, h2: {} },
      serverH2: () => ({ codec: {}, keepAlive: undefined }),
      admission,
      accessLog: createAccessLog(
        'apache',
        (line) => lines.push(line),
        () => 0,
      ),
      idleTimeoutMs: config.inbound.discoveryIdleTimeoutMs,
      policyLog: new PolicyLog(log, loop.clock.now),
      log,
    },
  });
  let port = 1024;
  const connect = (target = 8080) => {
    port = port === 65_535 ? 1024 : port + 1;
    const [client, ours] = createStreamPair(loop, {}, { ip: '10.7.7.7', port }, { ip: '10.1.0.2', port: target });
    server.accept(ours, { ip: '10.1.0.2', port: target });
    return new RawPeer(client);
  };
  return { loop, discovery, network, registry, transport, drain, server, connect, lines, warnings, admission };
}

const GET = 'GET / HTTP/1.1\r\nhost: svc\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

/** An application that answers whatever it reads. */
class AnsweringApp extends RawPeer {
  override onRead(): void {
    this.send(OK);
  }
}

/** Private maps and sets of an object, by size. */
function sizes(object: object): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, value] of Object.entries(object)) if (value instanceof Map || value instanceof Set) found[name] = value.size;
  return found;
}

describe('an inbound proxy keeps nothing', () => {
  it('of 20,000 clients that have come and gone', () => {
    const { loop, discovery, network, registry, transport, drain, server, connect, lines } = open();
    discovery.port(8080).set(inboundPolicyOf('detect'));
    network.onAccept = ({ stream }) => void new AnsweringApp(stream);
    let okCount = 0;
    for (let i = 0; i < 20_000; i++) {
      const client = connect();
      client.send(GET);
      loop.run();
      if (client.text.includes(' 200 OK')) okCount += 1;
      client.end();
      loop.run();
    }
    expect([okCount, lines.length]).toEqual([20_000, 20_000]);
    expect(drain.size).toBe(0);
    expect(sizes(transport)).toEqual({ live: 0 });
    expect(sizes(server)).toEqual({ stacks: 1 });
    // One client, one route, one port: as many series as a single connection makes.
    const series = registry
      .render()
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#')).length;
    expect(series).toBeLessThan(150);
    loop.advance(200_000);
    expect([sizes(server), loop.pendingTimers, discovery.inboundWatchers.get(8080)]).toEqual([{ stacks: 0 }, 0, 0]);
  });

  it('of ports that somebody tries', () => {
    const { loop, discovery, server, connect } = open();
    for (let port = 1; port <= 2000; port++) {
      discovery.port(port).set(inboundPolicyOf('detect'));
      connect(port).reset();
    }
    loop.run();
    expect(sizes(server)).toEqual({ stacks: 2000 });
    loop.advance(90_001);
    expect([sizes(server), loop.pendingTimers]).toEqual([{ stacks: 0 }, 0]);
    expect([...discovery.inboundWatchers.values()].every((count) => count === 0)).toBe(true);
  });

  it('of names that clients make up, beyond the limit of a family', () => {
    const { loop, discovery, registry, connect } = open();
    discovery.port(8080).set(inboundPolicyOf('detect'));
    for (let i = 0; i < 3000; i++) {
      const client = connect();
      const name = Buffer.from(`host-${i}.example.com`);
      client.send(clientHello(name));
      loop.run();
      client.reset();
      loop.run();
    }
    const text = registry.render();
    expect(text.split('\n').filter((line) => line.startsWith('tcp_open_total{') && line.includes('sni=')).length).toBeLessThanOrEqual(2000);
    expect(text).toContain('weft_metrics_series_overflow');
  });
});

/** A TLS 1.2-shaped ClientHello with this server name. */
function clientHello(name: Buffer): Buffer {
  const sni = Buffer.concat([u16(name.length + 3), Buffer.from([0]), u16(name.length), name]);
  const extension = Buffer.concat([u16(0), u16(sni.length), sni]);
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32),
    Buffer.from([0]),
    u16(2),
    Buffer.from([0x13, 0x01, 1, 0]),
    u16(extension.length),
    extension,
  ]);
  const handshake = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  return Buffer.concat([Buffer.from([0x16, 3, 1]), u16(handshake.length), handshake]);
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}

describe('an inbound proxy', () => {
  it('decides by the policy of the moment, also for a connection that was silent while its port was forgotten', () => {
    const { loop, discovery, connect } = open();
    discovery.port(8080).set(inboundPolicyOf('detect'));
    const client = connect();
    loop.run();
    // Detection may take as long as the operator says, here longer than the port is remembered.
    loop.advance(9000);
    discovery.port(8080).set(inboundPolicyOf('detect', { authorizations: [] }));
    client.send(GET);
    loop.run();
    expect(client.take()).toContain(' 403 Forbidden');
  });

  it('tells once of a policy that is partly unusable', () => {
    const { loop, discovery, connect, warnings } = open();
    const broken = inboundPolicyOf('detect', { authorizations: [ANYBODY, { ...ANYBODY, networks: [{ net: '10.0.0.0/99', except: [] }] }] });
    discovery.port(8080).set(broken);
    connect();
    loop.run();
    discovery.port(8080).set({ ...broken });
    connect();
    loop.run();
    expect(warnings).toHaveLength(1);
  });

  it('[PROTO-14] answers for an application that refuses: 502 over HTTP/1, 504 after a second over HTTP/2', () => {
    const { loop, discovery, network, connect } = open();
    discovery.port(8080).set(inboundPolicyOf('detect'));
    network.refuse('10.1.0.2:8080', { code: 'ECONNREFUSED', message: 'refused' });
    for (let i = 0; i < 3; i++) {
      const client = connect();
      client.send(GET);
      loop.run();
      expect(client.take()).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\ncontent-length: 0\r\ndate: [^\r]*\r\nconnection: close\r\n\r\n$/);
    }
    const world = open();
    world.discovery.port(8080).set(inboundPolicyOf('http2'));
    world.network.refuse('10.1.0.2:8080', { code: 'ECONNREFUSED', message: 'refused' });
    const [clientEnd, ours] = createStreamPair(world.loop, {}, { ip: '10.7.7.7', port: 9 }, { ip: '10.1.0.2', port: 8080 });
    world.server.accept(ours, { ip: '10.1.0.2', port: 8080 });
    const peer = new H2Peer(clientEnd, 'client', world.loop.clock.now);
    const first = peer.get('/');
    world.loop.advance(999);
    expect(first.field(':status')).toBeUndefined();
    world.loop.advance(2);
    expect(first.field(':status')).toBe('504');
  });
});
