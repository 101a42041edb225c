// SPDX-License-Identifier: Apache-2.0
/*
 * Patience at start: a pod may run before its node's network leads to the API server. Only ERR_UNAVAILABLE is waited out; whatever else
 * a source answers is an answer.
 */
import { isResourceError } from './errors.ts';

/** How patient to be. */
export interface Patience {
  /** After this long the last failure is final. Milliseconds; Infinity: never. */
  readonly timeoutMs: number;
  /** Between tries. Milliseconds; default 1000. */
  readonly retryMs?: number;
  /** Whether nobody waits any more. */
  readonly isOver?: () => boolean;
  /** Told of each failure that is waited out. */
  readonly onRetry?: (error: unknown) => void;
}

const RETRY_MS = 1000;

/** Makes a call until its source is there. Rejects with what the call rejects with. */
export async function untilAvailable<T>(call: () => Promise<T>, patience: Patience): Promise<T> {
  const { timeoutMs, retryMs = RETRY_MS, isOver = () => false, onRetry } = patience;
  const startedMs = performance.now();
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const isFinal = !isResourceError(error, 'ERR_UNAVAILABLE') || performance.now() - startedMs + retryMs > timeoutMs;
      if (isFinal || isOver()) throw error;
      onRetry?.(error);
      await new Promise((resolve) => setTimeout(resolve, retryMs));
      if (isOver()) throw error;
    }
  }
}
