// SPDX-License-Identifier: Apache-2.0
/*
 * Slow peers at running proxies (bad-inputs 8 and 20): who says nothing, who says it octet by octet, who does not read, and who goes away in the
 * middle. Deadlines of the proxies are shortened by their environment, so that a test can wait for them.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PEER_IP, SERVER_IP } from '@weft/testkit/sidecar-rig';
import type { Step } from './hosts/attacker.ts';
import {
  expectUnharmed,
  HTTP1_PORT,
  metric,
  OPAQUE_PORT,
  peerErrors,
  RAW_PORT,
  RAW_SERVICE,
  seen,
  SERVICE,
  startWorld,
  statuses,
  textOf,
  type World,
} from './world.ts';

const HEAD_TIMEOUT_MS = 2000;
const GIB = 1 << 30;

let world: World;
beforeAll(async () => {
  const env = {
    LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT: '1s',
    LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT: '1s',
    LINKERD2_PROXY_HTTP1_HEAD_TIMEOUT: `${HEAD_TIMEOUT_MS}ms`,
  };
  world = await startWorld({ env: { client: env, server: env } });
  await world.rawApplication.call('serveRaw', RAW_PORT, PEER_IP, {
    large: { text: `HTTP/1.1 200 OK\r\ncontent-length: ${GIB}\r\n\r\n${'x'.repeat(65_536)}`, repeat: 1 },
    endless: { text: `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n` },
    reset: { text: 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nhalf', end: 'rst' },
    cut: { text: 'HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nhalf', end: 'fin' },
  });
});
afterAll(() => world.rig.stop());

/** Both ways in: from outside to the inbound proxy, from the client's application through both. */
const WAYS = [
  { way: 'inbound', side: 'server' as const, host: SERVER_IP },
  { way: 'outbound', side: 'client' as const, host: SERVICE },
];

async function run(way: (typeof WAYS)[number], port: number, steps: readonly Step[], quietMs = 300, maxMs = 15_000) {
  await seen(world);
  return (way.side === 'server' ? world.outside : world.inside).call('attack', { host: way.host, port, steps, quietMs, maxMs });
}

const OPEN = 'GET /first HTTP/1.1\r\nhost: a\r\n\r\n';

describe.each(WAYS)('a slow client of the $way proxy', (way) => {
  it('[PROTO-07] bad-inputs 8: a head that never ends is answered 408 at its deadline', async () => {
    const before = await peerErrors(world, way.side, 'head timeout');
    const outcome = await run(way, HTTP1_PORT, [
      { text: OPEN, awaitBytes: 50 },
      { text: 'GET /slow HTTP/1.1\r\nhost: a\r\n' },
      // One octet now and then does not put the deadline off.
      ...Array.from({ length: 12 }, (): Step => ({ text: 'x', pauseMs: 300 })),
    ]);
    expect(statuses(textOf(outcome))).toEqual([200, 408]);
    expect(outcome.end).not.toBe('open');
    expect((await seen(world)).map(({ url }) => url)).toEqual(['/first']);
    expect(await peerErrors(world, way.side, 'head timeout')).toBe(before + 1);
    await expectUnharmed(world);
  });

  it('[PROTO-07] bad-inputs 8: a connection that is idle between requests has no such deadline', async () => {
    const outcome = await run(way, HTTP1_PORT, [{ text: OPEN, awaitBytes: 50, pauseMs: HEAD_TIMEOUT_MS + 1000 }, { text: OPEN }]);
    expect(statuses(textOf(outcome))).toEqual([200, 200]);
  });

  it('[PROTO-07] bad-inputs 8: a head octet by octet within the deadline is served', async () => {
    const outcome = await run(way, HTTP1_PORT, [{ text: OPEN, bytewise: true }]);
    expect(statuses(textOf(outcome))).toEqual([200]);
  });

  it('[PROTO-07] bad-inputs 8: a body that dribbles is carried as it comes', async () => {
    const outcome = await run(way, HTTP1_PORT, [
      { text: 'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n' },
      ...Array.from({ length: 10 }, (): Step => ({ text: 'x', pauseMs: 300 })),
    ]);
    expect(statuses(textOf(outcome))).toEqual([200]);
    expect((await seen(world)).map(({ bodyBytes }) => bodyBytes)).toEqual([10]);
  });

  it('[PROTO-02] bad-inputs 8: who connects and says nothing is decided on at the detection deadline', async () => {
    const outcome = await run(way, HTTP1_PORT, [{ pauseMs: 1500 }, { text: OPEN }]);
    // Inbound TLS is looked for first, and silence closes; outbound the connection goes on as bytes, and the application answers.
    const silent =
      way.side === 'server'
        ? await metric(world, 'server', 'inbound_tcp_errors_total', 'error="tls detection timeout"')
        : await metric(world, 'client', 'outbound_tcp_detect_http_results_total', 'result="read_timeout"');
    expect(silent).toBeGreaterThan(0);
    expect(outcome.end).toBe(way.side === 'server' ? 'closed' : 'open');
    await expectUnharmed(world);
  });

  it('bad-inputs 20: a client that stops reading a response of 1 GB holds the application back, not memory', async () => {
    const outcome = await run(way, HTTP1_PORT, [
      { text: `GET /large/${GIB} HTTP/1.1\r\nhost: a\r\n\r\n`, awaitBytes: 1, reading: 'stop', pauseMs: 1500, close: 'rst' },
    ]);
    expect(outcome.receivedBytes).toBeLessThan(64 * 1024 * 1024);
    await expectUnharmed(world);
  });

  it('bad-inputs 20: an application that does not read an upload holds the client back, not memory', async () => {
    const outcome = await run(
      way,
      HTTP1_PORT,
      [
        { text: `POST /no-read HTTP/1.1\r\nhost: a\r\ncontent-length: ${GIB}\r\n\r\n` },
        { text: 'x'.repeat(65_536), repeat: 16_000, close: 'rst' },
      ],
      300,
      3000,
    );
    expect(outcome.receivedBytes).toBe(0);
    await expectUnharmed(world);
  });

  it('[PROTO-21] bad-inputs 20: each half of an opaque connection closes on its own', async () => {
    const outcome = await run(way, OPAQUE_PORT, [{ text: 'hello', awaitBytes: 5, close: 'fin' }], 2000);
    expect(textOf(outcome)).toBe('hello');
    expect(outcome.end).toBe('closed');
  });

  it('[PROTO-21] bad-inputs 20: RST in the middle of a body ends the exchange on both sides', async () => {
    for (let i = 0; i < 20; i++) {
      await run(
        way,
        HTTP1_PORT,
        [
          { text: 'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n' },
          { text: 'x'.repeat(10_000), pauseMs: 10, close: 'rst' },
        ],
        10,
      );
    }
    expect((await seen(world)).filter(({ url }) => url === '/x')).toEqual([]);
    await expect
      .poll(async () => metric(world, way.side, 'tcp_open_connections', 'peer="src"', `direction="${way.way}"`), { timeout: 5000 })
      .toBeLessThan(10);
    await expectUnharmed(world);
  });
});

describe('a server that misbehaves behind the outbound proxy', () => {
  const ask = async (path: string) =>
    world.inside.call('attack', {
      host: RAW_SERVICE,
      port: RAW_PORT,
      steps: [{ text: `GET /${path} HTTP/1.1\r\nhost: a\r\n\r\n` }],
      quietMs: 800,
    });

  it.each(['reset', 'cut'])('[PROTO-21] bad-inputs 20: a response that is %s short never looks complete', async (path) => {
    const outcome = await ask(path);
    expect(outcome.end).not.toBe('open');
    expect(outcome.receivedBytes).toBeLessThan(1000);
    await expectUnharmed(world);
  });
});
