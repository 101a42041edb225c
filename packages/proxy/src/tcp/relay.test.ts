// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { NetError } from '@weft/net';
import { REFUSED } from '../testing/fake-transport.ts';
import { createStreamPair } from '../testing/memory-stream.ts';
import { OutboundWorld, type OutboundWorldOptions } from '../testing/outbound-world.ts';
import { balanceBackend, endpointOf, outboundPolicyOf, targetOf } from '../testing/policies.ts';
import { RawPeer } from '../testing/raw-peer.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { startRelay } from './relay.ts';

function relayed() {
  const loop = new TestLoop();
  const [clientEnd, a] = createStreamPair(loop);
  const [b, serverEnd] = createStreamPair(loop);
  const client = new RawPeer(clientEnd);
  const server = new RawPeer(serverEnd);
  const ends: (NetError | undefined)[] = [];
  const relay = startRelay(a, b, (error) => ends.push(error));
  return { loop, client, server, ends, relay, a, b };
}

describe('a relay', () => {
  it('[PROTO-21] carries bytes and each half-close over', () => {
    const { loop, client, server, ends } = relayed();
    client.send('to');
    server.send('fro');
    client.end();
    loop.run();
    expect([server.take(), client.take()]).toEqual(['to', 'fro']);
    expect([server.isReadEnded, client.isReadEnded, ends.length]).toEqual([true, false, 0]);
    server.send('after');
    server.end();
    loop.run();
    expect(client.take()).toBe('after');
    expect([client.isClosed, server.isClosed, ends]).toEqual([true, true, [undefined]]);
  });

  it('carries a reset over, either way', () => {
    const first = relayed();
    first.client.reset();
    first.loop.run();
    expect([first.server.error?.code, first.ends[0]?.code]).toEqual(['ECONNRESET', 'ECONNRESET']);
    const second = relayed();
    second.server.reset();
    second.loop.run();
    expect(second.client.error?.code).toBe('ECONNRESET');
  });

  it('ends both sides at once on demand', () => {
    const { loop, client, server, relay, ends } = relayed();
    relay.destroy();
    loop.run();
    expect([client.error?.code, server.error?.code, ends.length]).toEqual(['ECONNRESET', 'ECONNRESET', 1]);
  });

  it('holds a fast writer back for a slow reader and loses nothing', () => {
    const { loop, client, server, b } = relayed();
    server.isCountingOnly = true;
    server.stream.pauseReading();
    for (let i = 0; i < 200; i++) client.send('x'.repeat(10_000));
    client.end();
    loop.run();
    expect(b.unsentBytes).toBeLessThan(400_000);
    expect(client.stream.bytesWritten).toBeLessThan(700_000);
    server.stream.resumeReading();
    loop.run();
    expect([server.receivedBytes, server.isReadEnded]).toEqual([2_000_000, true]);
  });
});

describe('outbound TCP', () => {
  function serviceOf(ports: readonly number[], options: OutboundWorldOptions = {}): OutboundWorld {
    const world = new OutboundWorld(options);
    world.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('opaque', [{ backends: [balanceBackend('svc.test:80')] }])));
    world.discovery.setEndpoints(
      'svc.test:80',
      ports.map((port) => endpointOf(port)),
    );
    return world;
  }

  it('[PROTO-03] forwards an opaque port without looking at the bytes', () => {
    const world = serviceOf([9000]);
    const client = world.raw();
    world.loop.run();
    // The server speaks first.
    const server = world.h1[0] as RawPeer;
    server.send('220 ready\r\n');
    world.loop.run();
    expect(client.take()).toBe('220 ready\r\n');
    client.send('GET / HTTP/1.1\r\n\r\n');
    world.loop.run();
    expect(server.take()).toBe('GET / HTTP/1.1\r\n\r\n');
    expect(world.network.accepted[0]?.session).toBeUndefined();
    client.end();
    server.end();
    world.loop.run();
    expect([world.metric('outbound_tcp_route_open_total'), world.metric('outbound_tcp_route_close_total')]).toEqual([1, 1]);
  });

  it('keeps what the client said and its FIN while the endpoint is dialled', () => {
    const world = serviceOf([]);
    const client = world.raw();
    client.send('early');
    client.end();
    world.loop.advance(1000);
    world.discovery.setEndpoints('svc.test:80', [endpointOf(9000)]);
    world.loop.run();
    const server = world.h1[0] as RawPeer;
    world.loop.run();
    expect([server.take(), server.isReadEnded]).toEqual(['early', true]);
    server.send('answer');
    server.end();
    world.loop.run();
    expect(client.take()).toBe('answer');
  });

  it('dials another endpoint where one refuses', () => {
    const world = serviceOf([1, 2, 3]);
    world.network.refuse('10.9.9.9:1', REFUSED);
    world.network.refuse('10.9.9.9:2', REFUSED);
    const clients = Array.from({ length: 6 }, () => world.raw());
    world.loop.run();
    expect(world.network.accepted.map((entry) => entry.address.port)).toEqual([3, 3, 3, 3, 3, 3]);
    for (const client of clients) expect(client.isClosed).toBe(false);
  });

  it('closes a connection that finds no endpoint within the fail-fast timeout, and later ones at once', () => {
    const world = serviceOf([]);
    const client = world.raw();
    world.loop.advance(2999);
    expect(client.isClosed).toBe(false);
    world.loop.advance(2);
    expect(client.error?.code).toBe('ECONNRESET');
    const next = world.raw();
    world.loop.run();
    expect(next.error?.code).toBe('ECONNRESET');
    expect([world.metric('outbound_tcp_errors_total', 'failfast'), world.metric('outbound_tcp_errors_total', 'loadshed')]).toEqual([1, 1]);
    expect(world.metric('outbound_tcp_route_close_total')).toBe(2);
  });

  it('lets go of a client that leaves while it waits', () => {
    const world = serviceOf([]);
    const client = world.raw();
    world.loop.run();
    client.reset();
    world.loop.run();
    world.discovery.setEndpoints('svc.test:80', [endpointOf(9000)]);
    world.loop.run();
    expect(world.network.accepted).toHaveLength(0);
    expect(world.metric('outbound_tcp_route_close_total')).toBe(1);
    world.loop.advance(20_000);
    expect(world.loop.pendingTimers).toBe(0);
  });

  it('[LB-02] spreads connections by those that are open', () => {
    const world = serviceOf([1, 2]);
    for (let i = 0; i < 100; i++) {
      world.raw();
      world.loop.run();
    }
    const first = world.network.to('10.9.9.9:1').length;
    expect(first).toBeGreaterThan(40);
    expect(first).toBeLessThan(60);
  });

  it('[PROTO-18] refuses a port that the service does not have', () => {
    const world = new OutboundWorld();
    const policy = outboundPolicyOf('opaque', [{ backends: [balanceBackend('svc.test:80')], filters: [{ kind: 'forbidden' }] }]);
    const [opaque] = policy.opaque;
    const [rule] = opaque?.rules ?? [];
    world.discovery.target('10.96.0.1:80').set(
      targetOf({
        ...policy,
        opaque: [
          {
            ...(opaque as NonNullable<typeof opaque>),
            rules: [{ ...(rule as NonNullable<typeof rule>), filters: [{ kind: 'forbidden' }] }],
          },
        ],
      }),
    );
    const client = world.raw();
    world.loop.run();
    expect(client.error?.code).toBe('ECONNRESET');
    expect(world.metric('outbound_tcp_route_close_total', 'error="forbidden"')).toBe(1);
    expect(world.network.attempts).toEqual([]);
  });

  it('[PROTO-01] takes for opaque what is no HTTP, and [PROTO-02] what stays silent', () => {
    const world = new OutboundWorld();
    world.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc.test:80')] }])));
    world.discovery.setEndpoints('svc.test:80', [endpointOf(9000)]);
    const client = world.raw();
    client.send('\x01\x02binary stuff that is no HTTP');
    world.loop.run();
    const server = world.h1[0] as RawPeer;
    world.loop.run();
    expect(server.take()).toBe('\x01\x02binary stuff that is no HTTP');
    world.raw();
    world.loop.advance(9999);
    expect(world.network.accepted).toHaveLength(1);
    world.loop.advance(2);
    expect(world.network.accepted).toHaveLength(2);
    // Only where then the server speaks was it the server's turn.
    expect(world.metric('weft_outbound_tcp_server_first_total')).toBe(0);
    world.h1[1]?.send('HELLO');
    server.send('late answer');
    world.loop.run();
    expect(world.metric('weft_outbound_tcp_server_first_total')).toBe(1);
    expect([
      world.metric('outbound_tcp_detect_http_results_total', 'not_http'),
      world.metric('outbound_tcp_detect_http_results_total', 'read_timeout'),
    ]).toEqual([1, 1]);
  });
});
