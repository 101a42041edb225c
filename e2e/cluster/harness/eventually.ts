// SPDX-License-Identifier: Apache-2.0
/* Waiting for what a cluster does in its own time: a probe is asked again until it holds, and the last answer is in the error when it never does. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 60 s: a starved machine starts a pod in ten. */
  readonly timeoutMs?: number;
  /** Pause between two probes; default 250 ms. */
  readonly everyMs?: number;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_EVERY_MS = 250;

/** Resolves with the first value of `probe` that is neither undefined nor false. A probe that throws is asked again. */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = DEFAULT_TIMEOUT_MS, everyMs = DEFAULT_EVERY_MS }: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const deadlineMs = performance.now() + timeoutMs;
  let last = 'no answer';
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      last = String(value);
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() > deadlineMs) throw new Error(`not within ${timeoutMs / 1000} s: ${what} (last: ${last})`);
    await sleep(everyMs);
  }
}

/** Runs assertions until they pass; throws the last failure as it is, with its comparison. */
export async function eventuallyPasses(
  assertions: () => void | Promise<void>,
  { timeoutMs = DEFAULT_TIMEOUT_MS, everyMs = DEFAULT_EVERY_MS }: WaitOptions = {},
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await assertions();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await sleep(everyMs);
    }
  }
}
