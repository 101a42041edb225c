// SPDX-License-Identifier: Apache-2.0
/*
 * How long a container that ended waits before it is started again. Kubernetes begins with ten seconds; a person at a terminal waits, so a
 * run begins with one, doubles to a minute, and forgets after ten minutes of running.
 */

export const FIRST_DELAY_MS = 1000;
export const MAX_DELAY_MS = 60_000;
export const RESET_AFTER_MS = 600_000;

/** One container's delays. */
export class RestartBackoff {
  private nextMs = FIRST_DELAY_MS;

  /** The delay now, given how long the container has run. */
  delayAfter(ranMs: number): number {
    if (ranMs >= RESET_AFTER_MS) this.nextMs = FIRST_DELAY_MS;
    const delayMs = this.nextMs;
    this.nextMs = Math.min(MAX_DELAY_MS, this.nextMs * 2);
    return delayMs;
  }
}
