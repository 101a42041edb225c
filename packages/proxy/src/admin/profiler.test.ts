// SPDX-License-Identifier: Apache-2.0
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { encodePprof } from './pprof-encode.ts';
import { Profiler } from './profiler.ts';

type Field = [number, number | Uint8Array];

/** Fields of a protobuf message: number, and value or bytes. */
function fields(bytes: Uint8Array): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    if (tag % 8 === 0) found.push([tag >> 3, varint()]);
    else {
      const length = varint();
      found.push([tag >> 3, bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return found;
}

const bytesOf = (field: Field | undefined): Uint8Array => (field?.[1] as Uint8Array | undefined) ?? new Uint8Array(0);
const text = (value: number | Uint8Array): string => (typeof value === 'number' ? String(value) : new TextDecoder().decode(value));
const strings = (profile: Uint8Array): string[] => fields(profile).flatMap(([number, value]) => (number === 6 ? [text(value)] : []));

describe('pprof profiles', () => {
  it('name each function, place and text once', () => {
    const a = { functionName: 'a', url: 'file:///x.js', line: 3 };
    const b = { functionName: '', url: 'file:///x.js', line: 9 };
    const bytes = encodePprof({
      sampleTypes: [
        ['samples', 'count'],
        ['cpu', 'nanoseconds'],
      ],
      samples: [
        { frames: [a, b], values: [2, 20_000_000_000] },
        { frames: [b], values: [1, 300] },
      ],
      startMs: 1000,
      durationMs: 2000,
      period: 10_000_000,
    });
    const all = fields(bytes);
    const count = (number: number): number => all.filter(([one]) => one === number).length;
    expect([count(1), count(2), count(4), count(5)]).toEqual([2, 2, 2, 2]);
    expect(strings(bytes)).toEqual(['', 'samples', 'count', 'cpu', 'nanoseconds', 'a', 'file:///x.js', '(anonymous)']);
    const [sample] = all.filter(([number]) => number === 2);
    const [locations, values] = fields(bytesOf(sample));
    expect([[...bytesOf(locations)], [...bytesOf(values)]]).toEqual([
      [1, 2],
      [2, 128, 144, 223, 192, 74],
    ]);
    expect(all.find(([number]) => number === 9)).toEqual([9, 1_000_000_000]);
    expect(all.find(([number]) => number === 12)).toEqual([12, 10_000_000]);
  });
});

function spinning(ms: number): number {
  const end = performance.now() + ms;
  let sum = 0;
  while (performance.now() < end) sum += Math.sqrt(sum + 1);
  return sum;
}

describe('the profiler', () => {
  it.each([
    ['cpu', ['nanoseconds', 'spinning']],
    ['heap', ['inuse_space']],
  ] as const)('takes a %s profile of this process, one at a time', async (kind, names) => {
    const profiler = new Profiler();
    const taking = profiler.take(kind, 0.3, 1000);
    expect(await profiler.take(kind, 1, 100)).toBeUndefined();
    const held: string[][] = [];
    for (let i = 0; i < 10; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      spinning(10);
      held.push(Array.from({ length: 20_000 }, (_, index) => `${i} ${index}`));
    }
    const profile = gunzipSync((await taking) ?? new Uint8Array(0));
    expect(held).toHaveLength(10);
    expect(strings(profile)).toEqual(expect.arrayContaining([...names]));
    expect(fields(profile).filter(([number]) => number === 2).length).toBeGreaterThan(0);
    expect(await profiler.take(kind, 0.01, 100)).toBeDefined();
  });
});
