// SPDX-License-Identifier: Apache-2.0
/* Endpoints that go while something is on its way to them: nothing is lost with them, and nothing reaches whoever has their address now. */
import { describe, expect, it } from 'vitest';
import { REFUSED } from '../testing/fake-transport.ts';
import { OutboundWorld } from '../testing/outbound-world.ts';
import { balanceBackend, endpointOf, outboundPolicyOf, targetOf } from '../testing/policies.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

function world(protocol: 'http1' | 'opaque', ...ports: number[]): OutboundWorld {
  const made = new OutboundWorld();
  made.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf(protocol, [{ backends: [balanceBackend('svc.test:80')] }])));
  made.discovery.setEndpoints(
    'svc.test:80',
    ports.map((port) => endpointOf(port)),
  );
  return made;
}

const portsOf = (made: OutboundWorld): number[] => made.network.accepted.map(({ address }) => address.port);

describe.each(['http1', 'opaque'] as const)('an endpoint that is taken back while it is dialled (%s)', (protocol) => {
  it('[LB-20] gives what waits to one that stays, even where most go in one update', () => {
    const made = world(protocol, 1, 2, 3);
    for (const port of [1, 2, 3]) made.network.refuse(`10.9.9.9:${port}`, 'hang');
    const client = made.raw();
    client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    made.loop.run();
    expect(made.network.attempts).toHaveLength(1);
    made.discovery.setEndpoints('svc.test:80', [endpointOf(4)]);
    made.loop.run();
    expect(portsOf(made)).toEqual([4]);
    expect(made.h1[0]?.text).toContain('GET / HTTP/1.1');
    expect(client.isClosed).toBe(false);
  });

  it('[LB-20] never reaches it, though it answers late', () => {
    const made = world(protocol, 1);
    const client = made.raw();
    client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    // The connect is under way when discovery takes the address back.
    made.discovery.setEndpoints('svc.test:80', []);
    made.loop.run();
    expect(made.network.accepted.filter(({ stream }) => stream.bytesRead > 0)).toEqual([]);
    made.discovery.setEndpoints('svc.test:80', [endpointOf(2)]);
    made.loop.run();
    expect(made.network.accepted.at(-1)?.address.port).toBe(2);
    expect(client.isClosed).toBe(false);
  });

  it('[LB-20] counts as no try, however often it happens', () => {
    const made = world(protocol, 1);
    made.network.refuse('10.9.9.9:1', 'hang');
    const client = made.raw();
    client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    made.loop.run();
    for (let port = 2; port < 30; port++) {
      made.network.refuse(`10.9.9.9:${port}`, 'hang');
      made.discovery.setEndpoints('svc.test:80', [endpointOf(port)]);
      made.loop.run();
    }
    made.discovery.setEndpoints('svc.test:80', [endpointOf(99)]);
    made.loop.run();
    expect(portsOf(made)).toEqual([99]);
    expect(client.isClosed).toBe(false);
  });
});

describe('an idle connection that has died', () => {
  it('[PROTO-23] costs a request one try: the next goes by a connection of its own', () => {
    const made = world('http1', 1);
    const clients = [made.raw(), made.raw(), made.raw()];
    for (const client of clients) client.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    made.loop.run();
    for (const app of made.h1) app.send(OK);
    made.loop.run();
    expect(made.h1).toHaveLength(3);
    // All three idle connections end when something comes by them.
    for (const app of made.h1) app.onRead = () => app.reset();
    clients[0]?.take();
    clients[0]?.send('GET /again HTTP/1.1\r\nhost: a\r\n\r\n');
    made.loop.run();
    expect(made.h1).toHaveLength(4);
    made.h1[3]?.send(OK);
    made.loop.run();
    expect(clients[0]?.take()).toContain(' 200 OK');
  });
});

describe('opaque connections while every endpoint is in its back-off', () => {
  it('[PROTO-22] try one before they fail', () => {
    const made = world('opaque', 1);
    made.network.refuse('10.9.9.9:1', REFUSED);
    // Its back-off grows beyond the fail-fast time.
    for (let i = 0; i < 6; i++) {
      made.raw();
      made.loop.advance(10_000);
    }
    made.network.refuse('10.9.9.9:1', undefined);
    const client = made.raw();
    made.loop.advance(3100);
    expect(portsOf(made).length).toBeGreaterThanOrEqual(1);
    expect(client.isClosed).toBe(false);
  });

  it('[PROTO-22] fail all the same where that fails, too', () => {
    const made = world('opaque', 1);
    made.network.refuse('10.9.9.9:1', REFUSED);
    const clients = Array.from({ length: 20 }, () => made.raw());
    made.loop.advance(20_000);
    expect(clients.every((client) => client.isClosed)).toBe(true);
    expect(made.network.attempts.length).toBeLessThan(20 * 17);
  });
});

describe('requests while every HTTP/2 endpoint is in its back-off', () => {
  it('[PROTO-22] wake one, at most once a second, and do not wait for the back-off', () => {
    const made = new OutboundWorld();
    made.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('http1', [{ backends: [balanceBackend('svc.test:80')] }])));
    made.discovery.setEndpoints('svc.test:80', [endpointOf(1, { protocolHint: 'h2' })]);
    made.network.refuse('10.9.9.9:1', REFUSED);
    made.onRequest = (stream) => stream.respond(200, [], 'ok');
    made.get();
    made.loop.advance(60_000);
    const before = made.network.attempts.length;
    for (let i = 0; i < 20; i++) {
      made.get();
      made.loop.advance(100);
    }
    expect(made.network.attempts.length - before).toBeLessThanOrEqual(6);
    made.network.refuse('10.9.9.9:1', undefined);
    made.loop.advance(1000);
    made.get();
    made.loop.advance(50);
    expect(made.get().text).toContain(' 200 OK');
  });
});
