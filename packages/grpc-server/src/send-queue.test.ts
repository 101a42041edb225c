// SPDX-License-Identifier: Apache-2.0
import { array, assert, boolean, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';

import { SendQueue } from './send-queue.ts';

/** A transport that takes one message at a time and says when it is done. */
function transport(): { written: number[]; write: (message: number, done: () => void) => void; step: () => boolean } {
  const written: number[] = [];
  let pending: (() => void) | undefined;
  return {
    written,
    write(message, done) {
      expect(pending, 'one message at a time').toBeUndefined();
      written.push(message);
      pending = done;
    },
    step() {
      const done = pending;
      pending = undefined;
      done?.();
      return done !== undefined;
    },
  };
}

describe('SendQueue', () => {
  it('writes in order, one message at a time', () => {
    const { written, write, step } = transport();
    const queue = new SendQueue<number>(10, write);
    for (const message of [1, 2, 3]) expect(queue.push(message)).toBe(true);
    expect(written).toEqual([1]);
    step();
    step();
    expect(written).toEqual([1, 2, 3]);
  });

  it('[LB-21] drops everything that waits when it overflows, and takes nothing more', () => {
    const { written, write, step } = transport();
    const queue = new SendQueue<number>(2, write);
    expect([1, 2, 3, 4, 5].map((message) => queue.push(message))).toEqual([true, true, true, false, false]);
    expect(queue.isOverflowed).toBe(true);
    while (step());
    expect(written).toEqual([1]);
  });

  it('tells when it has drained, at once when nothing was being written', () => {
    const { write, step } = transport();
    const queue = new SendQueue<number>(2, write);
    queue.push(1);
    queue.push(2);
    const drained: string[] = [];
    queue.closeWhenDrained(() => drained.push('busy'));
    expect(queue.push(3)).toBe(false);
    step();
    expect(drained).toEqual([]);
    step();
    expect(drained).toEqual(['busy']);
    new SendQueue<number>(1, write).closeWhenDrained(() => drained.push('idle'));
    expect(drained).toEqual(['busy', 'idle']);
  });

  it('refuses a capacity below one', () => {
    expect(() => new SendQueue<number>(0, () => undefined)).toThrow(RangeError);
  });

  it('writes a prefix of what it took, whatever the order of pushes and completions', () => {
    assert(
      property(integer({ min: 1, max: 5 }), array(boolean(), { maxLength: 60 }), (capacity, steps) => {
        const { written, write, step } = transport();
        const queue = new SendQueue<number>(capacity, write);
        let pushed = 0;
        let taken = 0;
        for (const isPush of steps) {
          if (isPush) taken += queue.push(pushed++) ? 1 : 0;
          else step();
          expect(queue.length).toBeLessThanOrEqual(capacity);
        }
        while (step());
        expect(written).toEqual(written.map((_, index) => index));
        expect(queue.isOverflowed ? written.length < taken : written.length === taken).toBe(true);
      }),
    );
  });
});
