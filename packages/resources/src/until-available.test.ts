// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import { ResourceError, untilAvailable } from './index.ts';
import type { ResourceErrorCode } from './index.ts';

function failing(times: number, code: ResourceErrorCode = 'ERR_UNAVAILABLE'): { call: () => Promise<number>; calls: () => number } {
  let calls = 0;
  return {
    call: async () => {
      calls += 1;
      if (calls <= times) throw new ResourceError(code, `call ${calls}`);
      return calls;
    },
    calls: () => calls,
  };
}

describe('untilAvailable', () => {
  it('tries again until the source is there, and says so', async () => {
    const told: unknown[] = [];
    const { call } = failing(3);
    expect(await untilAvailable(call, { timeoutMs: Infinity, retryMs: 1, onRetry: (error) => told.push((error as Error).message) })).toBe(
      4,
    );
    expect(told).toEqual(['call 1', 'call 2', 'call 3']);
  });

  it('takes every other failure for an answer', async () => {
    const { call, calls } = failing(1, 'ERR_FORBIDDEN');
    await expect(untilAvailable(call, { timeoutMs: Infinity, retryMs: 1 })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect(calls()).toBe(1);
  });

  it('ends when its time is over, or nobody waits any more', async () => {
    await expect(untilAvailable(failing(99).call, { timeoutMs: 0, retryMs: 1 })).rejects.toThrow('call 1');
    let isOver = false;
    const patience = { timeoutMs: Infinity, retryMs: 1, isOver: () => isOver, onRetry: () => (isOver = true) };
    await expect(untilAvailable(failing(99).call, patience)).rejects.toThrow('call 1');
  });
});
