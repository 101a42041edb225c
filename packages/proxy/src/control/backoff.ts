// SPDX-License-Identifier: Apache-2.0
/* Exponential back-off with jitter (proxy-contract §1.1): min·2ⁿ up to max, plus up to jitterRatio of it. */
import type { Backoff } from '../config/types.ts';

export interface BackoffState {
  /** Delay before the next try, in milliseconds; grows with each call. */
  next(): number;
  /** Back to the minimum. */
  reset(): void;
}

export function createBackoffState(backoff: Backoff, random: () => number): BackoffState {
  let delayMs = backoff.minMs;
  return {
    next(): number {
      const current = delayMs;
      delayMs = Math.min(backoff.maxMs, delayMs * 2);
      return current + current * backoff.jitterRatio * random();
    },
    reset(): void {
      delayMs = backoff.minMs;
    },
  };
}
