// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MemorySettler } from './settle-memory.ts';

const MIB = 1024 * 1024;

/** A process whose clock, heap and load the test sets. */
class FakeProcess {
  nowMs = 0;
  busy = 0;
  heapMb = 14;
  collections = 0;
  readonly settler: MemorySettler = new MemorySettler({
    busyShare: () => this.busy,
    heapBytes: () => this.heapMb * MIB,
    nowMs: () => this.nowMs,
    collect: () => {
      this.collections += 1;
      this.heapMb = 11;
    },
  });
}

describe('MemorySettler', () => {
  it('collects the garbage of the start at the first idle check', () => {
    const state = new FakeProcess();
    expect(state.settler.check()).toBe(true);
    expect(state.collections).toBe(1);
  });

  it('leaves a busy process alone until it is idle', () => {
    const state = new FakeProcess();
    state.busy = 0.1;
    expect(state.settler.check()).toBe(false);
    state.busy = 0.01;
    expect(state.settler.check()).toBe(true);
  });

  it.each([
    { name: 'the heap has not grown', laterMs: 400_000, heapMb: 12, isCollected: false },
    { name: 'the heap has grown, but the last collection was just now', laterMs: 30_000, heapMb: 20, isCollected: false },
    { name: 'the heap has grown over a minute', laterMs: 60_000, heapMb: 20, isCollected: true },
  ])('after the first collection, when $name: $isCollected', ({ laterMs, heapMb, isCollected }) => {
    const state = new FakeProcess();
    state.settler.check();
    state.nowMs = laterMs;
    state.heapMb = heapMb;
    expect(state.settler.check()).toBe(isCollected);
  });
});
