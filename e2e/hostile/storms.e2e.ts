// SPDX-License-Identifier: Apache-2.0
/*
 * Many at once at running proxies (design §3, "Storms" and "HTTP/2 credit"): handshakes beside established traffic, and stalled downloads on a
 * connection that others share. Latencies are printed, for docs/reference/under-attack.md; what is asserted is that nobody fails and bounds hold.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_IP } from '@weft/testkit/sidecar-rig';
import type * as Attacker from './hosts/attacker.ts';
import { expectUnharmed, HTTP1_PORT, metric, SERVICE, startWorld, type World } from './world.ts';

const HANDSHAKES = 2000;
/** `maxConcurrentHandshakes` of the proxy. */
const MAX_IN_FLIGHT = 128;
const STALLED = 64;
/** What 64 bulk transfers may leave: of each a read, a send queue and a write under way, and what the pools keep until their next sweeps. */
const MAX_STALLED_BYTES = 96 * 1024 * 1024;

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.rig.stop());

describe('a storm', () => {
  it('[ID-05] bad-inputs 20: of 2,000 handshakes is served in turns, and established traffic goes on', async () => {
    const established = world.rig.worker<typeof Attacker>('peer', join(import.meta.dirname, 'hosts/attacker.ts'));
    const measured = established.call('measure', SERVER_IP, HTTP1_PORT);
    await new Promise((resolve) => {
      setTimeout(resolve, 1000);
    });
    const leaf = world.mesh.leafFor(world.rig.identityOf('client'));
    const startedMs = Date.now();
    const storm = world.outside.call('handshakeStorm', SERVER_IP, HTTP1_PORT, HANDSHAKES, {
      sni: world.rig.identityOf('server'),
      key: leaf.privateKeyPem,
      cert: leaf.chainPem,
      ca: world.mesh.trustAnchorsPem.join(''),
    });
    let isOver = false;
    let secured = 0;
    void storm.then((count) => {
      secured = count;
      isOver = true;
    });
    let peak = 0;
    await expect
      .poll(
        async () => {
          peak = Math.max(peak, await metric(world, 'server', 'weft_net_handshakes_in_flight'));
          return isOver;
        },
        { timeout: 40_000, interval: 100 },
      )
      .toBe(true);
    const tookMs = Date.now() - startedMs;
    await established.call('stopMeasuring');
    const latencies = await measured;
    console.log(`${HANDSHAKES} handshakes in ${tookMs} ms, at most ${peak} in flight; established traffic: ${JSON.stringify(latencies)}`);
    expect([secured, latencies.failures]).toEqual([HANDSHAKES, 0]);
    expect(peak).toBeLessThanOrEqual(MAX_IN_FLIGHT);
    await expectUnharmed(world);
  }, 90_000);

  it('[PROTO-08] bad-inputs 20: of 64 stalled downloads on one shared connection leaves the next request its answer', async () => {
    const stalled = world.inside.call(
      'attackAll',
      Array.from({ length: STALLED }, () => ({
        host: SERVICE,
        port: HTTP1_PORT,
        steps: [
          {
            text: 'GET /large/1000000000 HTTP/1.1\r\nhost: a\r\n\r\n',
            awaitBytes: 1,
            reading: 'stop' as const,
            pauseMs: 6000,
            close: 'rst' as const,
          },
        ],
      })),
    );
    await expect
      .poll(async () => metric(world, 'client', 'tcp_open_connections', 'direction="outbound"', 'peer="src"'))
      .toBeGreaterThan(STALLED);
    await new Promise((resolve) => {
      setTimeout(resolve, 1500);
    });
    const startedMs = performance.now();
    expect(await world.inside.call('askBystanders')).toEqual(['200', '200']);
    console.log(
      `${STALLED} stalled downloads: the next requests took ${(performance.now() - startedMs).toFixed(1)} ms, the call of the test's worker included`,
    );
    // Still stalled, so they were not what was waited for; and all on few connections to the other proxy.
    expect(await metric(world, 'client', 'tcp_open_connections', 'direction="outbound"', 'peer="src"')).toBeGreaterThan(STALLED);
    expect(
      await metric(world, 'client', 'tcp_open_connections', 'direction="outbound"', 'peer="dst"', `target_port="${HTTP1_PORT}"`),
    ).toBeLessThanOrEqual(1);
    await stalled;
    await expectUnharmed(world, MAX_STALLED_BYTES);
  });
});
