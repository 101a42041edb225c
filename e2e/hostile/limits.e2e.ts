// SPDX-License-Identifier: Apache-2.0
/*
 * Proxies at the end of what they have (bad-inputs 20): file descriptors, very many idle connections. They refuse what is
 * too much, count it, live, and serve again when it is over. Measured numbers are printed, for docs/reference/under-attack.md.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_IP } from '@weft/testkit/sidecar-rig';
import { expectUnharmed, HTTP1_PORT, metric, startWorld, statuses, textOf, type World } from './world.ts';

/** A plaintext connection that has said a request's beginning: socket objects, decoder, its part of the heap's slack. */
const MAX_IDLE_CONNECTION_BYTES = 16 * 1024;
const IDLE_CONNECTIONS = 2000;

describe('with little of what the kernel gives', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ confine: { server: ['prlimit', '--nofile=300:300'] } });
  });
  afterAll(() => world.rig.stop());

  it('bad-inputs 20: out of file descriptors, open connections are served, and new ones once there is room', async () => {
    await world.outside.call('openCrowd', SERVER_IP, HTTP1_PORT, 600, 'GET /x HTTP/1.1\r\n');
    await expectUnharmed(world);
    await world.outside.call('closeCrowd');
    await expect
      .poll(
        async () => {
          const outcome = await world.outside.call('attack', {
            host: SERVER_IP,
            port: HTTP1_PORT,
            steps: [{ text: 'GET /x HTTP/1.1\r\nhost: a\r\n\r\n', awaitBytes: 10 }],
            maxMs: 3000,
          });
          return statuses(textOf(outcome))[0];
        },
        { timeout: 20_000 },
      )
      .toBe(200);
    await expectUnharmed(world);
  });
});

describe('with very many connections', () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld();
  });
  afterAll(() => world.rig.stop());

  it('bad-inputs 20: idle ones cost little, and their end gives it back', async () => {
    const before = world.rig.privateBytes('server');
    const open = await world.outside.call('openCrowd', SERVER_IP, HTTP1_PORT, IDLE_CONNECTIONS, 'GET /x HTTP/1.1\r\n');
    expect(open).toBe(IDLE_CONNECTIONS);
    const perConnection = (world.rig.privateBytes('server') - before) / IDLE_CONNECTIONS;
    console.log(`idle plaintext connection with a begun request: ${perConnection.toFixed(0)} B of RssAnon`);
    expect(perConnection).toBeLessThan(MAX_IDLE_CONNECTION_BYTES);
    await expectUnharmed(world);
    await world.outside.call('closeCrowd');
    await expect.poll(async () => metric(world, 'server', 'weft_net_open_streams'), { timeout: 10_000 }).toBeLessThan(50);
    await expectUnharmed(world);
  });
});
