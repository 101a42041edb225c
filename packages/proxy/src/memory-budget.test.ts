// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MemoryBudget } from './memory-budget.ts';
import { TestLoop } from './testing/test-loop.ts';

function budget(bytes: number, collectedBytes: number = bytes) {
  const loop = new TestLoop();
  const state = { bytes, samples: 0, collections: 0, tight: [] as boolean[] };
  const made = new MemoryBudget({
    limitBytes: 1000,
    now: loop.clock.now,
    after: loop.clock.after,
    readPrivateBytes: () => {
      state.samples += 1;
      return state.bytes;
    },
    onTight: (isTight) => state.tight.push(isTight),
    collect: () => {
      state.collections += 1;
      state.bytes = collectedBytes;
    },
  });
  return { loop, state, made };
}

describe('a budget of memory', () => {
  it.each([
    [600, false, false],
    [601, true, false],
    [801, true, true],
  ])('of 1,000 with %i in use: tight %s, exhausted %s', (bytes, isTight, isExhausted) => {
    const { made } = budget(bytes);
    expect([made.isTight(), made.isExhausted()]).toEqual([isTight, isExhausted]);
  });

  it('is read now and then, and not at all by an idle process', () => {
    const { made, loop, state } = budget(100);
    for (let i = 0; i < 1000; i++) made.isExhausted();
    expect(state.samples).toBe(4);
    loop.advance(60_000);
    expect(state.samples).toBeLessThan(60);
    expect(loop.pendingTimers).toBe(0);
  });

  it('is read more often in a burst that fills it', () => {
    const { made, state } = budget(500);
    for (let i = 0; i < 320; i++) made.isExhausted();
    expect(state.samples).toBe(10);
  });

  it('tells when it becomes tight without a question, and when it is no more', () => {
    const { made, loop, state } = budget(100, 700);
    made.isExhausted();
    state.bytes = 700;
    loop.advance(200);
    expect(state.tight).toEqual([true]);
    state.bytes = 100;
    loop.advance(200);
    expect(state.tight).toEqual([true, false]);
  });

  it('collects garbage before it refuses, but not again and again', () => {
    const { made, loop, state } = budget(900, 300);
    expect([made.isExhausted(), state.collections]).toEqual([false, 1]);
    const full = budget(900);
    for (let i = 0; i < 10; i++) {
      expect(full.made.isExhausted()).toBe(true);
      full.loop.advance(150);
    }
    expect(full.state.collections).toBeLessThan(7);
    loop.advance(60_000);
  });
});
