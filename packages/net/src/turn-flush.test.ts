// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type Flushable, scheduleFlush } from './turn-flush.ts';

/** A stream that notes its flushes and may schedule others in the first of them. */
function streamOf(log: string[], name: string, inFirstFlush: () => void = () => {}): Flushable {
  let flushes = 0;
  return {
    flushPass: 0,
    flush: () => {
      log.push(name);
      if (++flushes === 1) inFirstFlush();
    },
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('scheduleFlush', () => {
  it('flushes once per turn however often it is called', async () => {
    const log: string[] = [];
    const a = streamOf(log, 'a');
    const b = streamOf(log, 'b');
    for (let i = 0; i < 5; i++) {
      scheduleFlush(a);
      scheduleFlush(b);
    }
    expect(log).toEqual([]);
    await turn();
    expect(log).toEqual(['a', 'b']);
    await turn();
    expect(log).toEqual(['a', 'b']);
  });

  it('takes streams that others schedule during the flush into the same turn', async () => {
    const log: string[] = [];
    const b = streamOf(log, 'b');
    const a = streamOf(log, 'a', () => scheduleFlush(b));
    scheduleFlush(a);
    await turn();
    expect(log).toEqual(['a', 'b']);
  });

  it('puts a stream that was already flushed into the next turn, once', async () => {
    const log: string[] = [];
    const a: Flushable = streamOf(log, 'a', () => {
      scheduleFlush(a);
      scheduleFlush(a);
    });
    const b = streamOf(log, 'b', () => scheduleFlush(a));
    scheduleFlush(a);
    scheduleFlush(b);
    await turn();
    expect(log).toEqual(['a', 'b']);
    await turn();
    expect(log).toEqual(['a', 'b', 'a']);
    await turn();
    expect(log).toEqual(['a', 'b', 'a']);
  });
});
