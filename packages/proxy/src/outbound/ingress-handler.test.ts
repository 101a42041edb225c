// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { OutboundWorld } from '../testing/outbound-world.ts';
import { balanceBackend, endpointOf, forwardBackend, outboundPolicyOf, targetOf } from '../testing/policies.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

function open() {
  const world = new OutboundWorld({ environment: { INGRESS_MODE: 'true' }, emitDetails: false });
  const named = (name: string) => world.discovery.target(`ingress|${name}`);
  const serve = (port: number) => targetOf(outboundPolicyOf('http1', [{ backends: [forwardBackend(endpointOf(port))] }]));
  const origin = world.discovery.target('10.96.0.1:80');
  return { world, named, serve, origin };
}

describe('[IN-02] in ingress mode', () => {
  it('a request goes to the service that it names, without the field', () => {
    const { world, named, serve, origin } = open();
    named('web.ns.svc.cluster.local:8080').set(serve(1));
    origin.set(serve(2));
    const peer = world.get('/', 'l5d-dst-override: web.ns.svc.cluster.local:8080\r\n');
    expect(world.network.accepted.map(({ address }) => address.port)).toEqual([1]);
    expect(world.h1[0]?.text).not.toContain('l5d-dst-override');
    world.h1[0]?.send(OK);
    world.loop.run();
    expect(peer.take()).toContain(' 200 OK');
    // The next request of the connection goes elsewhere, and one without name to the address.
    peer.send('GET / HTTP/1.1\r\nhost: a\r\nl5d-dst-override: other.ns.svc.cluster.local\r\n\r\n');
    world.loop.run();
    named('other.ns.svc.cluster.local:80').set(serve(3));
    world.loop.run();
    world.h1[1]?.send(OK);
    world.loop.run();
    peer.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    world.loop.run();
    expect(world.network.accepted.map(({ address }) => address.port)).toEqual([1, 3, 2]);
  });

  it('waits for the lookup with the body of a request, and hands it over whole', () => {
    const { world, named, serve } = open();
    const peer = world.raw();
    peer.send('POST / HTTP/1.1\r\nhost: a\r\nl5d-dst-override: web.ns:80\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    world.loop.run();
    peer.send('6\r\n world\r\n0\r\nx-sum: 1\r\n\r\n');
    world.loop.run();
    expect(world.network.attempts).toEqual([]);
    named('web.ns:80').set(serve(1));
    world.loop.run();
    expect(world.h1[0]?.text).toMatch(/hello.*world.*x-sum: 1/s);
    world.h1[0]?.send(OK);
    world.loop.run();
    expect(peer.text).toContain(' 200 OK');
  });

  it('a lookup that takes longer than fail-fast is answered, one that fails too, and a name that is none', () => {
    const { world, named } = open();
    const late = world.get('/', 'l5d-dst-override: web.ns:80\r\n');
    world.loop.advance(3001);
    expect(late.text).toMatch(/^HTTP\/1.1 504 /);
    // In ingress mode clients are told nothing of the mesh.
    expect(late.text).not.toContain('l5d-');
    named('gone.ns:80').fail('nothing is known of gone.ns:80');
    expect(world.get('/', 'l5d-dst-override: gone.ns:80\r\n').text).toMatch(/^HTTP\/1.1 502 /);
    for (const text of ['10.0.0.1:80', 'web.ns:0', 'web.ns:99999', 'a b:80', ':80'])
      expect(world.get('/', `l5d-dst-override: ${text}\r\n`).text).toMatch(/^HTTP\/1.1 502 /);
  });

  it('what is no HTTP goes to the address', () => {
    const { world, origin } = open();
    const peer = world.raw();
    peer.send('SSH-2.0-OpenSSH_9.6\r\n');
    world.loop.run();
    origin.set(targetOf(outboundPolicyOf('detect', [{ backends: [forwardBackend(endpointOf(2))] }])));
    world.loop.run();
    expect(world.h1[0]?.text).toBe('SSH-2.0-OpenSSH_9.6\r\n');
  });

  it('keeps nothing of names when their connections have gone', () => {
    const { world, named, serve } = open();
    for (let i = 0; i < 100; i++) named(`n${i}.ns:80`).set(serve(1));
    const peer = world.raw();
    for (let i = 0; i < 100; i++) {
      peer.send(`GET / HTTP/1.1\r\nhost: a\r\nl5d-dst-override: n${i}.ns:80\r\n\r\n`);
      world.loop.run();
      for (const app of world.h1) if (app.take() !== '') app.send(OK);
      world.loop.run();
    }
    expect(peer.text.split(' 200 OK')).toHaveLength(101);
    peer.end();
    world.loop.advance(60_000);
    expect([...world.discovery.outboundWatchers.values()].every((count) => count === 0)).toBe(true);
  });
});

describe('[IN-01] without ingress mode', () => {
  it('the field means nothing and goes on as it is', () => {
    const world = new OutboundWorld();
    world.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc.test:80')] }])));
    world.discovery.setEndpoints('svc.test:80', [endpointOf(1)]);
    world.get('/', 'l5d-dst-override: web.ns:80\r\n');
    expect(world.h1[0]?.text).toContain('l5d-dst-override: web.ns:80');
  });
});
