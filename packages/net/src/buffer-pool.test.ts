// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool } from './index.ts';

const KIB = 1024;

describe('BufferPool', () => {
  it('hands out the smallest class that holds the request', () => {
    const pool = new BufferPool();
    const sizes: [number, number][] = [
      [1, 4 * KIB],
      [4 * KIB, 4 * KIB],
      [4 * KIB + 1, 8 * KIB],
      [65_536, 64 * KIB],
      [65_537, 128 * KIB],
      [256 * KIB, 256 * KIB],
      [256 * KIB + 1, 512 * KIB],
    ];
    for (const [asked, got] of sizes) expect(pool.acquire(asked).length).toBe(got);
  });

  it('never hands out a buffer twice and keeps its books', () => {
    const property = fc.property(fc.array(fc.integer({ min: -200_000, max: 600_000 }), { maxLength: 200 }), (steps) => {
      const pool = new BufferPool({ maxRetainedBytes: 512 * KIB });
      const held: Buffer[] = [];
      for (const step of steps) {
        if (step < 0) {
          const buffer = held.shift();
          if (buffer !== undefined) pool.release(buffer);
        } else {
          const buffer = pool.acquire(step);
          if (buffer.length < step || held.includes(buffer)) return false;
          held.push(buffer);
        }
        const stats = pool.stats();
        if (stats.borrowedBytes !== held.reduce((sum, buffer) => sum + buffer.length, 0)) return false;
        if (stats.retainedBytes > 512 * KIB) return false;
      }
      return true;
    });
    expect(fc.check(property).failed).toBe(false);
  });

  it('reuses what came back, most recent first', () => {
    const pool = new BufferPool();
    const first = pool.acquire(100);
    pool.release(first);
    expect(pool.acquire(4_000)).toBe(first);
    expect(pool.stats()).toMatchObject({ hitsTotal: 1, missesTotal: 1, retainedBytes: 0, borrowedBytes: 4 * KIB });
  });

  it('drops after two sweeps what nobody needed, and keeps what was in use', () => {
    const pool = new BufferPool();
    const burst = Array.from({ length: 10 }, () => pool.acquire(4 * KIB));
    for (const buffer of burst) pool.release(buffer);
    pool.sweep();
    expect(pool.stats().retainedBytes).toBe(40 * KIB);
    // Two at a time from here on.
    const pair = [pool.acquire(1), pool.acquire(1)];
    for (const buffer of pair) pool.release(buffer);
    pool.sweep();
    expect(pool.stats().retainedBytes).toBe(8 * KIB);
    pool.sweep();
    expect(pool.stats().retainedBytes).toBe(0);
  });

  it('ignores the empty buffer of an unused writer', () => {
    const pool = new BufferPool();
    pool.release(pool.acquire(1).subarray(0, 0));
    expect(pool.stats().retainedBytes).toBe(0);
  });
});
