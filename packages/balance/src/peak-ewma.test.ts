// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeakEwma } from './index.ts';

describe('[LB-01] PeakEwma', () => {
  it('starts at the default latency, at least 1 ms', () => {
    expect(new PeakEwma(30, 10_000, 5).cost(5, 0)).toBe(30);
    expect(new PeakEwma(0, 10_000, 5).cost(5, 0)).toBe(1);
  });

  it('costs one latency for each pending request and one for the new one', () => {
    const load = new PeakEwma(30, 10_000, 0);
    expect([0, 1, 2, 9].map((pending) => load.cost(0, pending))).toEqual([30, 60, 90, 300]);
  });

  it('jumps up to a peak at once', () => {
    const load = new PeakEwma(30, 10_000, 0);
    load.observe(500, 0);
    expect(load.cost(0, 0)).toBe(500);
    load.observe(499.9, 0);
    expect(load.cost(0, 0)).toBe(500);
  });

  it('comes down by the weight of the time that has passed', () => {
    const load = new PeakEwma(100, 10_000, 0);
    load.observe(10, 10_000);
    expect(load.cost(10_000, 0)).toBeCloseTo(100 * Math.exp(-1) + 10 * (1 - Math.exp(-1)), 10);
  });

  it('decays to nothing while nothing is measured, however often it is asked', () => {
    const once = new PeakEwma(100, 10_000, 0);
    const often = new PeakEwma(100, 10_000, 0);
    for (let nowMs = 0; nowMs < 30_000; nowMs += 7) often.cost(nowMs, 0);
    expect(once.cost(30_000, 0)).toBeCloseTo(100 * Math.exp(-3), 10);
    expect(often.cost(30_000, 0)).toBeCloseTo(100 * Math.exp(-3), 6);
    expect(once.cost(1e12, 3)).toBe(0);
  });

  it('takes a clock that runs backwards for one that stands still', () => {
    const load = new PeakEwma(100, 10_000, 50_000);
    expect(load.cost(0, 0)).toBe(100);
    load.observe(10, 0);
    expect(load.cost(50_000, 0)).toBe(100);
  });

  it('never leaves the range of what it was given, whatever the order of calls', () => {
    const event = fc.tuple(
      fc.constantFrom('observe', 'cost'),
      fc.double({ min: -1e9, max: 1e9, noNaN: true }),
      fc.double({ min: -1e6, max: 1e6, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e5, noNaN: true }),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.array(event),
        (rttMs, decayMs, events) => {
          const load = new PeakEwma(rttMs, decayMs, 0);
          let highestMs = Math.max(rttMs, 1);
          for (const [kind, value, nowMs] of events) {
            if (kind === 'observe') {
              load.observe(value, nowMs);
              highestMs = Math.max(highestMs, value);
            }
            const cost = load.cost(nowMs, 0);
            expect(cost).toBeGreaterThanOrEqual(0);
            expect(cost).toBeLessThanOrEqual(highestMs);
          }
        },
      ),
    );
  });
});
