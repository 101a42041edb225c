// SPDX-License-Identifier: Apache-2.0
/*
 * Two connections of ours, client and server, in random conversations over a wire that cuts anywhere: every message arrives
 * whole and in order, whatever the windows, budgets, backpressure and resets. And the split law: what a connection reports does
 * not depend on how its input is cut.
 */
import { Buffer } from 'node:buffer';
import { ByteWriter } from '@weft/bytes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { H2_CODES } from './codes.ts';
import { H2Connection } from './connection.ts';
import {
  RecordingStreamSink,
  ScriptedPeer,
  blockFrame,
  continuationFrame,
  dataFrame,
  fieldBlock,
  frame,
  headersFrame,
  pingFrame,
  rstStreamFrame,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
} from './testing/index.ts';
import type { H2ConnectionSink, H2Options, H2StreamHandle, H2StreamSink } from './types.ts';

const POST = [':method', 'POST', ':scheme', 'http', ':authority', 'a.example', ':path', '/'];

/** Bytes that tell their position, so that loss and disorder show. */
const PATTERN = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

/** One side, and the bytes it has written and not yet handed over. */
class Side implements H2ConnectionSink {
  readonly out: ByteWriter = new ByteWriter();
  readonly connection: H2Connection;
  readonly streams: Map<number, H2StreamHandle> = new Map();
  readonly sinks: Map<number, RecordingStreamSink> = new Map();
  readonly log: string[] = [];
  inFlight: Buffer = Buffer.alloc(0);

  constructor(options: Partial<H2Options> & Pick<H2Options, 'role'>) {
    this.connection = new H2Connection(options, this, this.out);
  }

  onRequest(stream: H2StreamHandle): H2StreamSink {
    return this.adopt(stream);
  }

  adopt(stream: H2StreamHandle): RecordingStreamSink {
    const sink = new RecordingStreamSink(String(stream.id), this.log);
    this.streams.set(stream.id, stream);
    this.sinks.set(stream.id, sink);
    return sink;
  }

  request(): void {
    const sink = new RecordingStreamSink('', this.log);
    const stream = this.connection.request(POST, false, sink);
    if (stream === undefined) return;
    this.streams.set(stream.id, stream);
    this.sinks.set(stream.id, sink);
  }

  /** Moves output to the wire, and up to `bytes` from the wire to `other`. */
  carry(other: Side, bytes: number): boolean {
    const hasMore = this.connection.flush();
    this.inFlight = Buffer.concat([this.inFlight, this.out.buffer.subarray(0, this.out.length)]);
    this.out.discard();
    const chunk = this.inFlight.subarray(0, bytes);
    this.inFlight = this.inFlight.subarray(chunk.length);
    if (!other.connection.recv(chunk, 0, chunk.length, 0)) throw new Error(other.connection.error?.message ?? 'closed');
    return hasMore || this.inFlight.length > 0;
  }

  onSettings(): void {}
  onGoaway(): void {}
  onPong(): void {}
  onOutput(): void {}
}

describe('a conversation', () => {
  const step = fc.oneof(
    { weight: 2, arbitrary: fc.constant({ do: 'request' as const }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('data' as const), who: fc.boolean(), stream: fc.nat(5), bytes: fc.nat(70_000) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('end' as const, 'trailers' as const), who: fc.boolean(), stream: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), who: fc.boolean(), stream: fc.nat(5) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('consume' as const), who: fc.boolean(), stream: fc.nat(5) }) },
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constant('carry' as const), who: fc.boolean(), bytes: fc.integer({ min: 1, max: 40_000 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('block' as const), who: fc.boolean(), isBlocked: fc.boolean() }) },
  );
  const windows = fc.record({
    initialStreamWindowBytes: fc.constantFrom(100, 5000, 65_535, 1 << 20),
    initialConnectionWindowBytes: fc.constantFrom(65_535, 1 << 20),
  });

  it('delivers every byte once and in order', () => {
    fc.assert(
      fc.property(windows, windows, fc.array(step, { maxLength: 120 }), (clientOptions, serverOptions, steps) => {
        const limits = { maxStreamBytesPerTurn: 20_000, maxConnectionBytesPerTurn: 50_000, streamSendMarkBytes: 30_000 };
        const client = new Side({ role: 'client', ...clientOptions, limits });
        const server = new Side({ role: 'server', ...serverOptions, limits });
        const sides = [client, server] as const;
        /** Bytes given to `sendData`, and how the message was ended, by side and stream. */
        const sent = sides.map(() => new Map<number, { bytes: number; end: '' | 'data' | 'trailers' }>());
        const consumed = sides.map(() => new Map<number, number>());
        const reset = new Set<number>();

        const consumeAll = (index: number, id: number): void => {
          const side = sides[index] as Side;
          const received = side.sinks.get(id)?.dataBytes ?? 0;
          const before = consumed[index]?.get(id) ?? 0;
          side.streams.get(id)?.consume(received - before);
          consumed[index]?.set(id, received);
        };
        const ofMessage = (index: number, id: number): { bytes: number; end: '' | 'data' | 'trailers' } => {
          let record = sent[index]?.get(id);
          if (record === undefined) {
            record = { bytes: 0, end: '' };
            sent[index]?.set(id, record);
            if (index === 1) server.streams.get(id)?.sendHeaders([':status', '200'], false);
          }
          return record;
        };
        for (const next of steps) {
          if (next.do === 'request') {
            client.request();
            continue;
          }
          const index = next.who ? 0 : 1;
          const side = sides[index];
          if (next.do === 'carry') {
            side.carry(sides[1 - index] as Side, next.bytes);
            continue;
          }
          if (next.do === 'block') {
            side.connection.isBlocked = next.isBlocked;
            continue;
          }
          const id = next.stream * 2 + 1;
          const stream = side.streams.get(id);
          if (stream === undefined) continue;
          if (next.do === 'consume') {
            consumeAll(index, id);
          } else if (next.do === 'reset') {
            stream.reset(H2_CODES.CANCEL);
            reset.add(id);
          } else {
            const record = ofMessage(index, id);
            if (record.end !== '') continue;
            if (next.do === 'data') {
              const bytes = Math.min(next.bytes, PATTERN.length - record.bytes);
              stream.sendData(PATTERN, record.bytes, record.bytes + bytes, false);
              record.bytes += bytes;
            } else if (next.do === 'end') {
              record.end = 'data';
              stream.sendData(PATTERN, 0, 0, true);
            } else {
              record.end = 'trailers';
              stream.sendTrailers(['t', '1']);
            }
          }
        }
        // Drain: everything is carried and consumed until both wires rest.
        for (const side of sides) side.connection.isBlocked = false;
        for (let round = 0, idleRounds = 0; idleRounds < 3; round++) {
          expect(round).toBeLessThan(30_000);
          const isClientMoving = client.carry(server, 1 << 20);
          const isServerMoving = server.carry(client, 1 << 20);
          for (const [index, side] of sides.entries()) {
            for (const id of side.streams.keys()) consumeAll(index, id);
          }
          const isMoving = isClientMoving || isServerMoving || client.out.length > 0 || server.out.length > 0;
          idleRounds = isMoving ? 0 : idleRounds + 1;
        }
        for (const [index, side] of sides.entries()) {
          const other = sides[1 - index] as Side;
          for (const [id, sink] of side.sinks) {
            const message = sent[1 - index]?.get(id);
            const text = Buffer.concat(sink.chunks);
            expect(text.equals(PATTERN.subarray(0, text.length))).toBe(true);
            if (reset.has(id)) continue;
            expect(sink.dataBytes).toBe(message?.bytes ?? 0);
            expect(other.streams.get(id)?.queuedBytes).toBe(0);
            expect(side.streams.get(id)?.isRecvClosed).toBe((message?.end ?? '') !== '');
          }
          const open = [...side.streams.values()].filter((stream) => !stream.isSendClosed || !stream.isRecvClosed);
          expect(side.connection.activeStreams).toBe(open.length);
        }
      }),
      { numRuns: 250 },
    );
  });
});

describe('the split law', () => {
  const big = fieldBlock([...POST, 'x-big', 'b'.repeat(300)]);
  const INPUT = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
    settingsFrame([[4, 70_000]]),
    settingsAckFrame(),
    headersFrame(1, POST),
    dataFrame(1, 'first', { padding: 3 }),
    frame(0x33, 0, 1, Buffer.from('unknown')),
    pingFrame('0102030405060708'),
    windowUpdateFrame(0, 10),
    blockFrame(3, big.subarray(0, 100), { endHeaders: false, padding: 2 }),
    continuationFrame(3, big.subarray(100, 101), false),
    continuationFrame(3, Buffer.alloc(0), false),
    continuationFrame(3, big.subarray(101), true),
    dataFrame(1, '', { padding: 0 }),
    dataFrame(1, 'second'),
    headersFrame(1, ['t', '1'], { endStream: true }),
    dataFrame(3, 'x', { endStream: true, padding: 1 }),
    headersFrame(5, [...POST, 'content-length', '4']),
    dataFrame(5, 'fo'),
    dataFrame(5, 'ur', { endStream: true }),
    headersFrame(7, POST),
    rstStreamFrame(7, H2_CODES.CANCEL),
    headersFrame(9, ['bad', 'x']),
    dataFrame(9, 'ignored'),
    headersFrame(11, POST, { endStream: true }),
    windowUpdateFrame(0, 0),
  ]);

  /** Events with adjacent data of a stream joined, and output. */
  function observe(cuts: readonly number[]): readonly [string[], string] {
    const peer = new ScriptedPeer({ role: 'server' });
    let start = 0;
    for (const end of [...cuts, INPUT.length]) {
      const chunk = Buffer.from(INPUT.subarray(start, end));
      peer.connection.recv(chunk, 0, chunk.length, 0);
      // A view must not be kept: whatever was is spoilt now.
      chunk.fill(0xee);
      start = end;
    }
    const joined: string[] = [];
    for (const line of peer.log) {
      const [, stream, bytes, end] = /^(\d+) data (\d+)( END)?$/.exec(line) ?? [];
      const [, previousStream, previousBytes] = /^(\d+) data (\d+)$/.exec(joined.at(-1) ?? '') ?? [];
      if (stream !== undefined && stream === previousStream) {
        joined[joined.length - 1] = `${stream} data ${Number(previousBytes) + Number(bytes)}${end ?? ''}`;
      } else {
        joined.push(line);
      }
    }
    return [[...joined, ...[...peer.sinks].map(([id, sink]) => `${id}: ${sink.text}`)], peer.takeBytes().toString('hex')];
  }

  const whole = observe([]);

  it('holds at every cut', () => {
    expect(whole[0]).toContain('11 reset PROTOCOL_ERROR by connection');
    expect(whole[0]).toContain('1: firstsecond');
    for (let cut = 0; cut <= INPUT.length; cut++) expect(observe([cut])).toEqual(whole);
  });

  it('holds byte by byte, and in pieces of every small size', () => {
    for (const step of [1, 2, 3, 5, 8, 9, 10, 13, 64]) {
      expect(observe(Array.from({ length: Math.floor(INPUT.length / step) }, (_, i) => (i + 1) * step))).toEqual(whole);
    }
  });
});

describe('any bytes at all', () => {
  it('end in events or a coded error, with little output and no throw', () => {
    const anyFrame = fc
      .tuple(fc.nat(11), fc.nat(255), fc.integer({ min: 0, max: 9 }), fc.uint8Array({ maxLength: 40 }))
      .map(([type, flags, id, payload]) => frame(type, flags, id, payload));
    const goodHead = fc.integer({ min: 0, max: 4 }).map((n) => headersFrame(n * 2 + 1, POST));
    fc.assert(
      fc.property(
        fc.constantFrom('client' as const, 'server' as const),
        fc.array(fc.oneof(anyFrame, goodHead), { maxLength: 30 }),
        (role, frames) => {
          const peer = new ScriptedPeer({ role }).open();
          if (role === 'client') for (let i = 0; i < 3; i++) peer.request(POST, false);
          for (const bytes of frames) {
            if (!peer.send(bytes)) break;
          }
          expect(peer.connection.error === undefined).toBe(!peer.connection.isClosed);
          expect(() => peer.recv()).not.toThrow();
        },
      ),
      { numRuns: 3000 },
    );
  });
});
