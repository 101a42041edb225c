// SPDX-License-Identifier: Apache-2.0
/*
 * Floods of HTTP/2 at running proxies (bad-inputs 9–13 and 15): each ends with GOAWAY ENHANCE_YOUR_CALM or is answered in bounded memory, and the
 * bystanders' connections go on. Sums are as large as one attacker on a fast link sends in a second or two.
 */
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  blockFrame,
  continuationFrame,
  dataFrame,
  fieldBlock,
  frame,
  headersFrame,
  literal,
  pingFrame,
  priorityFrame,
  rstStreamFrame,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
} from '@weft/http2/testing';
import type { Step } from './hosts/attacker.ts';
import { attackH2, frames, type H2Outcome, hello } from './http2-peer.ts';
import { expectUnharmed, metric, peerErrors, seen, startWorld, type World } from './world.ts';

const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/attack'];
const SLOW = [...GET.slice(0, -1), '/slow/3000'];
const POST = [':method', 'POST', ...GET.slice(2)];
const END = { endStream: true };
const CALM = 'ENHANCE_YOUR_CALM';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.rig.stop());

/** One step per hundred streams, so that the proxy sees them come. */
function streams(count: number, build: (id: number) => readonly Uint8Array[]): Step[] {
  const steps: Step[] = [];
  for (let first = 0; first < count; first += 100) {
    const bytes: Uint8Array[] = [];
    for (let i = first; i < Math.min(count, first + 100); i++) bytes.push(...build(2 * i + 1));
    steps.push(frames(...bytes));
  }
  return steps;
}

/** The flood ends the connection with a GOAWAY, is counted, and nobody else notices. */
async function expectCalm(steps: readonly Step[], options: { readonly side?: 'inbound' | 'outbound' } = {}): Promise<H2Outcome> {
  const side = options.side === 'outbound' ? 'client' : 'server';
  const before = await peerErrors(world, side, 'h2 flood');
  const attacked = await attackH2(world, steps, options);
  expect(attacked.goaway).toBe(CALM);
  await expect.poll(async () => peerErrors(world, side, 'h2 flood'), { timeout: 5000 }).toBe(before + 1);
  await expectUnharmed(world);
  return attacked;
}

const BOTH = [{ side: 'inbound' as const }, { side: 'outbound' as const }];

describe.each(BOTH)('at the $side proxy', (options) => {
  it('[PROTO-08] bad-inputs 9: rapid reset (CVE-2023-44487)', async () => {
    expect(
      (await expectCalm([hello(), ...streams(5000, (id) => [headersFrame(id, GET, END), rstStreamFrame(id, 8)])], options)).goaway,
    ).toBe(CALM);
    await seen(world);
  });

  it.each<[string, (id: number) => Uint8Array[]]>([
    ['WINDOW_UPDATE by zero', (id) => [headersFrame(id, SLOW, END), windowUpdateFrame(id, 0)]],
    ['window overflow', (id) => [headersFrame(id, SLOW, END), windowUpdateFrame(id, 0x7fff_ffff)]],
    ['DATA after END_STREAM', (id) => [headersFrame(id, SLOW, END), dataFrame(id, 'x')]],
    ['HEADERS on a half-closed stream', (id) => [headersFrame(id, SLOW, END), headersFrame(id, ['t', '1'], END)]],
    ['PRIORITY of a wrong size', (id) => [headersFrame(id, SLOW, END), frame(2, 0, id, Buffer.alloc(1))]],
    ['DATA beyond content-length', (id) => [headersFrame(id, [...POST, 'content-length', '1']), dataFrame(id, 'xx')]],
    ['malformed requests', (id) => [headersFrame(id, ['x', 'y'], END)]],
  ])('[PROTO-08] bad-inputs 9: made to reset (CVE-2025-8671): %s', async (_name, build) => {
    const { resets } = await expectCalm([hello(), ...streams(1000, build)], options);
    expect(resets.size).toBeLessThanOrEqual(600);
    await seen(world);
  });

  it.each<[string, Buffer]>([
    ['empty', Buffer.alloc(0)],
    ['full', Buffer.alloc(16_000)],
  ])('[PROTO-08] bad-inputs 10: CONTINUATION frames that are %s, and no END_HEADERS ever', async (_name, block) => {
    const step = frames(continuationFrame(1, block, false));
    const { outcome } = await expectCalm(
      [hello(), frames(headersFrame(1, GET, { endHeaders: false })), { ...step, repeat: 10_000 }],
      options,
    );
    expect(outcome.end).not.toBe('open');
  });

  it('[PROTO-08] bad-inputs 11: a bomb of tiny indexed fields on many streams under a closed window (CVE-2026-47774)', async () => {
    // Each stream: 16,000 references to one table entry; answers cannot leave, since the client's window is 0.
    const entry = Buffer.concat([Buffer.from([0x40]), literal('a'), literal('b')]);
    const first = blockFrame(1, Buffer.concat([fieldBlock(GET), entry, Buffer.alloc(15_000, 0xbe)]), END);
    const { goaway } = await attackH2(
      world,
      [
        hello([[4, 0]]),
        frames(first),
        ...streams(1000, (id) => (id === 1 ? [] : [blockFrame(id, Buffer.concat([fieldBlock(GET), Buffer.alloc(15_000, 0xbe)]), END)])),
      ],
      options,
    );
    expect([undefined, CALM]).toContain(goaway);
    expect(await peerErrors(world, options.side === 'inbound' ? 'server' : 'client', 'h2 oversized')).toBeGreaterThan(500);
    await expectUnharmed(world);
  });

  it('[PROTO-08] bad-inputs 11: cookie crumbs beyond the number of fields', async () => {
    const crumbs = Array.from({ length: 400 }, (_, i) => ['cookie', `c${i}`]).flat();
    const { answered, goaway } = await attackH2(
      world,
      [hello(), frames(headersFrame(1, [...GET, ...crumbs], END), headersFrame(3, GET, END))],
      options,
    );
    expect([answered.has(1), answered.has(3), goaway]).toEqual([true, true, undefined]);
    expect((await seen(world)).filter(({ url }) => url === '/attack')).toHaveLength(1);
    await expectUnharmed(world);
  });

  it('[PROTO-08] bad-inputs 12: a bomb of one large table entry (CVE-2016-6581)', async () => {
    const entry = Buffer.concat([Buffer.from([0x40]), literal('big'), literal('v'.repeat(4000))]);
    const block = Buffer.concat([fieldBlock(GET), entry, Buffer.alloc(10_000, 0xbe)]);
    const { answered } = await attackH2(world, [hello(), frames(blockFrame(1, block, END), headersFrame(3, GET, END))], options);
    expect(answered.has(3)).toBe(true);
    expect((await seen(world)).filter(({ url }) => url === '/attack')).toHaveLength(1);
    await expectUnharmed(world);
  });

  it('[PROTO-08] bad-inputs 12: a table size that changes with each of many blocks', async () => {
    const resize = (id: number): Buffer => Buffer.from(id % 4 === 1 ? [0x20, 0x3f, 0xe1, 0x1f] : [0x20]);
    const { answered, goaway } = await attackH2(
      world,
      [hello(), ...streams(1000, (id) => [blockFrame(id, Buffer.concat([resize(id), fieldBlock(GET)]), END)])],
      { ...options, quietMs: 1000 },
    );
    expect([answered.size, goaway]).toEqual([1000, undefined]);
    await seen(world);
    await expectUnharmed(world);
  });

  it.each<[string, Uint8Array, number]>([
    ['SETTINGS', settingsFrame([[4, 65_535]]), 5000],
    ['SETTINGS ACK', settingsAckFrame(), 150_000],
    ['PING', pingFrame('0000000000000001'), 150_000],
    ['PRIORITY', priorityFrame(1), 150_000],
    ['unknown frames', frame(200, 0, 0, Buffer.alloc(8)), 150_000],
  ])('[PROTO-08] bad-inputs 13: %s', async (_name, bytes, count) => {
    expect(
      (
        await expectCalm(
          [hello(), { ...frames(Buffer.concat(Array.from({ length: 1000 }, () => bytes))), repeat: Math.ceil(count / 1000) }],
          options,
        )
      ).goaway,
    ).toBe(CALM);
  });

  it('[PROTO-08] bad-inputs 13: PINGs whose answers nobody reads', async () => {
    const step = frames(Buffer.concat(Array.from({ length: 1000 }, () => pingFrame('0000000000000001'))));
    await attackH2(world, [hello(), { reading: 'stop' }, { ...step, repeat: 150 }, { pauseMs: 200, close: 'rst' }], options);
    await expectUnharmed(world);
    expect(await metric(world, options.side === 'inbound' ? 'server' : 'client', 'weft_internal_errors_total')).toBe(0);
  });

  it.each<[string, object]>([
    ['without padding', {}],
    ['of padding alone', { padding: 255 }],
  ])('[PROTO-08] bad-inputs 13: empty DATA %s', async (_name, padding) => {
    const data = Buffer.concat(Array.from({ length: 100 }, () => dataFrame(1, '', padding)));
    expect((await expectCalm([hello(), frames(headersFrame(1, POST)), { ...frames(data), repeat: 20 }], options)).goaway).toBe(CALM);
    await seen(world);
  });

  it('[PROTO-08] bad-inputs 13: credit of padded DATA comes back also where streams are reset', async () => {
    // 40 streams × 60 KB, most of it padding, each reset before it is read: far more than the connection's window.
    const padded = Buffer.concat(Array.from({ length: 200 }, () => dataFrame(1, 'x'.repeat(40), { padding: 255 })));
    const { goaway, answered } = await attackH2(
      world,
      [
        hello(),
        ...Array.from({ length: 40 }, (_, i): Step => {
          const id = 2 * i + 1;
          const data = Buffer.from(padded);
          for (let at = 0; at < data.length; at += 9 + data.readUIntBE(at, 3)) data.writeUInt32BE(id, at + 5);
          return { ...frames(headersFrame(id, POST), data, rstStreamFrame(id, 8)), pauseMs: 20 };
        }),
        frames(headersFrame(1001, GET, END)),
      ],
      { ...options, quietMs: 500 },
    );
    expect([goaway, answered.has(1001)]).toEqual([undefined, true]);
    await seen(world);
    await expectUnharmed(world);
  });

  it('[PROTO-08] bad-inputs 13: the initial window shrinks below what was sent, and grows again', async () => {
    const large = [...GET.slice(0, -1), '/large/200000'];
    const { outcome, goaway } = await attackH2(
      world,
      [
        hello(),
        { ...frames(headersFrame(1, large, END)), pauseMs: 300 },
        { ...frames(settingsFrame([[4, 0]])), pauseMs: 100 },
        { ...frames(settingsFrame([[4, 65_535]])), pauseMs: 100 },
        frames(windowUpdateFrame(1, 1_000_000), windowUpdateFrame(0, 1_000_000)),
      ],
      { ...options, quietMs: 500 },
    );
    expect(goaway).toBeUndefined();
    expect(outcome.receivedBytes).toBeGreaterThan(200_000);
    await seen(world);
    await expectUnharmed(world);
  });

  it('[PROTO-08] bad-inputs 13: GOAWAY amid open streams lets them finish', async () => {
    const goaway = frame(7, 0, 0, Buffer.alloc(8));
    const { answered } = await attackH2(world, [hello(), frames(...streamsOf(50, SLOW), goaway)], { ...options, quietMs: 4000 });
    expect(answered.size).toBe(50);
    await seen(world);
    await expectUnharmed(world);
  });

  it('[PROTO-08] bad-inputs 15: ten thousand streams that close at once (CVE-2021-32778)', async () => {
    await attackH2(world, [hello(), ...streams(10_000, (id) => [headersFrame(id, SLOW, END)]), { pauseMs: 200, close: 'rst' }], {
      ...options,
      maxMs: 30_000,
    });
    await seen(world);
    await expectUnharmed(world);
    expect(await metric(world, options.side === 'inbound' ? 'server' : 'client', 'weft_internal_errors_total')).toBe(0);
  });

  it('[PROTO-08] bad-inputs 15: RST_STREAM together with GOAWAY, again and again, leaves nothing (CVE-2023-35945)', async () => {
    const goaway = frame(7, 0, 0, Buffer.alloc(8));
    for (let round = 0; round < 50; round++) {
      await attackH2(
        world,
        [hello(), frames(...streamsOf(20, SLOW), ...Array.from({ length: 20 }, (_, i) => rstStreamFrame(2 * i + 1, 8)), goaway)],
        {
          ...options,
          quietMs: 10,
        },
      );
    }
    const side = options.side === 'inbound' ? 'server' : 'client';
    await expect.poll(async () => metric(world, side, `weft_${options.side}_requests_in_flight`), { timeout: 10_000 }).toBeLessThan(1);
    await expectUnharmed(world);
  });

  it('[PROTO-08] bad-inputs 15: heads over the limit are answered 431 without being kept', async () => {
    const long = fieldBlock([...GET, 'cookie', 'c'.repeat(60_000)]);
    const head = (id: number): Uint8Array[] => [
      blockFrame(id, long.subarray(0, 16_000), { endStream: true, endHeaders: false }),
      continuationFrame(id, long.subarray(16_000, 32_000), false),
      continuationFrame(id, long.subarray(32_000, 48_000), false),
      continuationFrame(id, long.subarray(48_000), true),
    ];
    const { answered, goaway } = await attackH2(world, [hello(), ...streams(200, head)], { ...options, quietMs: 500 });
    expect([answered.size, goaway]).toEqual([200, undefined]);
    expect((await seen(world)).filter(({ url }) => url === '/attack')).toEqual([]);
    await expectUnharmed(world);
  });
});

function streamsOf(count: number, fields: string[]): Buffer[] {
  return Array.from({ length: count }, (_, i) => headersFrame(2 * i + 1, fields, END));
}
