// SPDX-License-Identifier: Apache-2.0
/*
 * Broken HTTP/2 at a running inbound proxy (bad-inputs 12–14): the stated code on the stream or the connection, nothing of it at the application, the
 * neighbour stream served, a counter.
 */
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  blockFrame,
  CONNECTION_ERRORS,
  continuationFrame,
  dataFrame,
  fieldBlock,
  frame,
  headersFrame,
  MALFORMED_REQUESTS,
  ODD_REQUESTS,
  rstStreamFrame,
  settingsFrame,
  STREAM_ERRORS,
  windowUpdateFrame,
} from '@weft/http2/testing';
import { attackH2, frames, hello } from './http2-peer.ts';
import { expectUnharmed, HTTP1_PORT, peerErrors, seen, startWorld, type World } from './world.ts';

const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/attack'];
const POST = [':method', 'POST', ...GET.slice(2)];
const NEIGHBOUR = [...GET.slice(0, -1), '/neighbour'];
const END = { endStream: true };

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.rig.stop());

async function counted(kind: string, before: number): Promise<void> {
  await expect.poll(async () => peerErrors(world, 'server', kind), { timeout: 5000 }).toBeGreaterThan(before);
}

/** Name, RFC 9113 §7 code, frames: more connection errors than the codec's own list. */
const MORE_CONNECTION_ERRORS: readonly (readonly [number, string, string, readonly Uint8Array[]])[] = [
  [12, 'index 0', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0x80]), END)]],
  [12, 'an index past the end', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0xff, 0x80, 0x01]), END)]],
  [12, 'an integer beyond 2^32', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), END)]],
  [
    12,
    'an integer of zeros without end',
    'COMPRESSION_ERROR',
    [blockFrame(1, Buffer.from([0x3f, ...Array.from({ length: 64 }, () => 0x80), 0]), END)],
  ],
  [12, 'a table size above the announced one', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0x3f, 0xe2, 0x1f]), END)]],
  [
    12,
    'a table size update amid a block',
    'COMPRESSION_ERROR',
    [blockFrame(1, Buffer.concat([fieldBlock(GET), Buffer.from([0x20])]), END)],
  ],
  [12, 'Huffman padding of zeros', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0x00, 0x81, 0x18, 0x81, 0x18]), END)]],
  [12, 'Huffman EOS', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, 0x61]), END)]],
  [
    12,
    'Huffman padding of more than seven bits',
    'COMPRESSION_ERROR',
    [blockFrame(1, Buffer.from([0x00, 0x82, 0x1f, 0xff, 0x01, 0x61]), END)],
  ],
  [12, 'a string longer than its block', 'COMPRESSION_ERROR', [blockFrame(1, Buffer.from([0x00, 0x7f, 0x80, 0x80, 0x01]), END)]],
  [
    13,
    'an initial window that makes windows overflow',
    'FLOW_CONTROL_ERROR',
    [headersFrame(1, POST), windowUpdateFrame(1, 0x7fff_0000), settingsFrame([[4, 0x7fff_ffff]])],
  ],
  [13, 'padding of 255 in a shorter frame', 'PROTOCOL_ERROR', [headersFrame(1, POST), frame(0, 8, 1, Buffer.from([255, 1, 2, 3]))]],
  [10, 'a frame amid a field block', 'PROTOCOL_ERROR', [headersFrame(1, GET, { endHeaders: false }), windowUpdateFrame(0, 1)]],
  [
    10,
    'a field block that ends with another stream',
    'PROTOCOL_ERROR',
    [headersFrame(1, GET, { endHeaders: false }), continuationFrame(3, Buffer.alloc(0), true)],
  ],
];

describe('a connection error', () => {
  it.each([...CONNECTION_ERRORS.map(([name, code, bytes]) => [13, name, code, bytes] as const), ...MORE_CONNECTION_ERRORS])(
    '[PROTO-08] bad-inputs %i: %s: GOAWAY %s',
    async (_line, _name, code, bytes) => {
      await seen(world);
      const before = await peerErrors(world, 'server', 'h2 ');
      const { goaway, outcome } = await attackH2(world, [hello(), frames(...bytes)]);
      expect(goaway).toBe(code);
      expect(outcome.end === 'open' && goaway !== undefined).toBe(false);
      expect((await seen(world)).filter(({ method }) => method === 'POST')).toEqual([]);
      await counted('h2 ', before);
      await expectUnharmed(world);
    },
  );

  it('[PROTO-08] bad-inputs 13: stream numbers that run out end in order', async () => {
    const { answered, resets, goaway } = await attackH2(world, [
      hello(),
      { ...frames(headersFrame(0x7fff_ffff, GET, END)), pauseMs: 200 },
      frames(headersFrame(1, GET, END)),
    ]);
    expect(answered.has(0x7fff_ffff)).toBe(true);
    expect(resets.size).toBe(0);
    expect(goaway).toBe('PROTOCOL_ERROR');
    await expectUnharmed(world);
  });
});

const MORE_STREAM_ERRORS: readonly (readonly [number, string, string, readonly Uint8Array[]])[] = [
  [14, 'more data than content-length', 'PROTOCOL_ERROR', [headersFrame(1, [...POST, 'content-length', '1']), dataFrame(1, 'xx')]],
  [14, 'less data than content-length', 'PROTOCOL_ERROR', [headersFrame(1, [...POST, 'content-length', '5']), dataFrame(1, 'xx', END)]],
  [14, 'content-length and END_STREAM at once', 'PROTOCOL_ERROR', [headersFrame(1, [...POST, 'content-length', '5'], END)]],
  [14, 'DATA after END_STREAM', 'STREAM_CLOSED', [headersFrame(1, [...GET.slice(0, -1), '/slow/500'], END), dataFrame(1, 'x')]],
  [
    14,
    'HEADERS after END_STREAM',
    'STREAM_CLOSED',
    [headersFrame(1, [...GET.slice(0, -1), '/slow/500'], END), headersFrame(1, ['t', '1'], END)],
  ],
  [
    13,
    'more data than the stream window',
    'FLOW_CONTROL_ERROR',
    [headersFrame(1, [...GET.slice(0, -1), '/no-read']), ...Array.from({ length: 10 }, () => dataFrame(1, Buffer.alloc(16_384)))],
  ],
  ...STREAM_ERRORS.map(([name, code, bytes]) => [14, name, code, [headersFrame(1, POST), ...bytes]] as const),
];

describe('a stream error', () => {
  it.each(MORE_STREAM_ERRORS)(
    '[PROTO-08] bad-inputs %i: %s: RST_STREAM %s, and the neighbour is served',
    async (_line, _name, code, bytes) => {
      await seen(world);
      const before = await peerErrors(world, 'server', 'h2 ');
      const { resets, answered, goaway } = await attackH2(world, [hello(), frames(...bytes, headersFrame(3, NEIGHBOUR, END))]);
      expect(resets.get(1)).toBe(code);
      expect([goaway, answered.has(3)]).toEqual([undefined, true]);
      expect((await seen(world)).filter(({ method, url }) => method === 'POST' || url === '/attack')).toEqual([]);
      await counted('h2 ', before);
      await expectUnharmed(world);
    },
  );

  it('[PROTO-08] bad-inputs 14: what comes on a stream that was reset reaches nobody', async () => {
    await seen(world);
    const { resets, answered, goaway } = await attackH2(world, [
      hello(),
      frames(headersFrame(1, POST), windowUpdateFrame(1, 0)),
      frames(headersFrame(1, ['t', '1'], END), dataFrame(1, 'late'), rstStreamFrame(1, 8), headersFrame(3, NEIGHBOUR, END)),
    ]);
    expect([resets.get(1), goaway, answered.has(3)]).toEqual(['PROTOCOL_ERROR', undefined, true]);
    expect((await seen(world)).map(({ url }) => url)).toEqual(['/neighbour']);
    await expectUnharmed(world);
  });
});

describe('a malformed request', () => {
  it.each(MALFORMED_REQUESTS)('[PROTO-08] bad-inputs 14: %s: is reset for HTTP/2 and HTTP/1 applications alike', async (_name, fields) => {
    const before = await peerErrors(world, 'server', 'h2 malformed');
    for (const port of [undefined, HTTP1_PORT]) {
      await seen(world);
      const { resets, answered, goaway } = await attackH2(
        world,
        [
          hello(),
          frames(
            headersFrame(1, fields, END),
            headersFrame(3, [...NEIGHBOUR, ...(port === undefined ? [] : ['l5d-orig-proto', 'HTTP/1.1'])], END),
          ),
        ],
        port === undefined ? {} : { port },
      );
      expect([resets.get(1), goaway, answered.has(3)]).toEqual(['PROTOCOL_ERROR', undefined, true]);
      expect((await seen(world)).map(({ url }) => url)).toEqual(['/neighbour']);
    }
    await counted('h2 malformed', before);
  });

  it.each(ODD_REQUESTS)('[PROTO-08] bad-inputs 14: %s is answered', async (_name, fields) => {
    const { answered, resets, goaway } = await attackH2(world, [
      hello(),
      frames(headersFrame(1, fields, END), headersFrame(3, NEIGHBOUR, END)),
    ]);
    expect(answered.has(1) || resets.has(1)).toBe(true);
    // An answer that must be its connection's last says so.
    expect([undefined, 'NO_ERROR']).toContain(goaway);
    expect(answered.has(3)).toBe(true);
  });

  it('leaves no trace', async () => {
    await expectUnharmed(world);
    expect(world.rig.isAlive('server')).toBe(true);
  });
});
