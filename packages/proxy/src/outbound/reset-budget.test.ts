// SPDX-License-Identifier: Apache-2.0
/* One client's cancelled requests and the connection that others share with it (bad-inputs 9, seen from behind). */
import { expect, it } from 'vitest';
import { OutboundWorld } from '../testing/outbound-world.ts';
import { balanceBackend, endpointOf, outboundPolicyOf, targetOf } from '../testing/policies.ts';

it('[PROTO-08] a shared connection is replaced before a peer counts cancelled requests as an attack, and nobody is lost', () => {
  const world = new OutboundWorld();
  world.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('svc.test:80')] }])));
  world.discovery.setEndpoints('svc.test:80', [endpointOf(1)]);
  const bystander = world.http2().get('/slow');
  world.loop.run();
  const attacker = world.http2();
  for (let i = 0; i < 1000; i++) {
    const stream = attacker.get('/attack');
    world.loop.run();
    stream.handle?.reset(8);
    world.loop.run();
  }
  expect(world.h2).toHaveLength(3);
  for (const peer of world.h2) expect(peer.streams.length).toBeLessThanOrEqual(401);
  world.h2[0]?.streams[0]?.respond(200, [], 'served');
  world.loop.run();
  expect(bystander.body).toBe('served');
  expect(world.h2[0]?.isReadEnded).toBe(true);
});
