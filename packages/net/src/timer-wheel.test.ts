// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configureNet, TimerWheel } from './index.ts';

describe('TimerWheel', () => {
  it('runs deadlines in order, never early', async () => {
    const wheel = new TimerWheel(5);
    const ran: number[] = [];
    const startMs = performance.now();
    let early = 0;
    await new Promise<void>((resolve) => {
      for (const delayMs of [60, 5, 30, 0, 45, 15]) {
        wheel.schedule(delayMs, () => {
          ran.push(delayMs);
          if (performance.now() - startMs < delayMs) early += 1;
          if (ran.length === 6) resolve();
        });
      }
    });
    expect(ran).toEqual([0, 5, 15, 30, 45, 60]);
    expect(early).toBe(0);
    expect(wheel.pending).toBe(0);
  });

  it('runs exactly what was not cancelled', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ delayMs: fc.integer({ min: 0, max: 40 }), isCancelled: fc.boolean() }), { maxLength: 300 }),
        async (plan) => {
          const wheel = new TimerWheel(1);
          const ran = new Set<number>();
          const handles = plan.map(({ delayMs }, index) => wheel.schedule(delayMs, () => ran.add(index)));
          plan.forEach(({ isCancelled }, index) => {
            if (!isCancelled) return;
            handles[index]?.cancel();
            handles[index]?.cancel();
          });
          expect(wheel.pending).toBe(plan.filter(({ isCancelled }) => !isCancelled).length);
          while (wheel.pending > 0) await new Promise((resolve) => setTimeout(resolve, 2));
          expect([...ran].toSorted((a, b) => a - b)).toEqual(plan.flatMap(({ isCancelled }, index) => (isCancelled ? [] : [index])));
        },
      ),
      { numRuns: 25 },
    );
  });

  it('takes new deadlines and cancellations from within a deadline', async () => {
    const wheel = new TimerWheel(1);
    const ran: string[] = [];
    await new Promise<void>((resolve) => {
      const later = wheel.schedule(30, () => ran.push('cancelled'));
      wheel.schedule(1, () => {
        ran.push('first');
        later.cancel();
        wheel.schedule(0, () => {
          ran.push('second');
          wheel.schedule(50, resolve);
        });
      });
    });
    expect(ran).toEqual(['first', 'second']);
  });

  it('survives a deadline that throws', async () => {
    const reports: string[] = [];
    configureNet({ onInternalError: (where) => reports.push(where) });
    const wheel = new TimerWheel(1);
    await new Promise<void>((resolve) => {
      wheel.schedule(1, () => {
        throw new Error('boom');
      });
      wheel.schedule(1, resolve);
    });
    configureNet({ onInternalError: () => {} });
    expect(reports).toEqual(['timer']);
  });

  it('refuses a tick below a millisecond', () => {
    expect(() => new TimerWheel(0)).toThrow(RangeError);
  });
});
