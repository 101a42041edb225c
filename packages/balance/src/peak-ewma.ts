// SPDX-License-Identifier: Apache-2.0
/*
 * How slow an endpoint has been (proxy-contract §6.1): a moving average of latencies that jumps up to every new peak and decays with time, also
 * while nothing is measured, so that an endpoint that was slow is tried again.
 */

/** Below this the estimate of an endpoint that has not been measured would make every endpoint look alike. */
const MIN_DEFAULT_RTT_MS = 1;

/** The load estimate of one endpoint. Times come from one clock that does not run backwards; where it does, no time has passed. */
export class PeakEwma {
  private readonly decayMs: number;
  private estimateMs: number;
  private updatedMs: number;

  /** `defaultRttMs`: estimate before the first measurement, at least 1. `decayMs`: time in which an old estimate loses all but 1/e of its weight. */
  constructor(defaultRttMs: number, decayMs: number, nowMs: number) {
    this.decayMs = decayMs;
    this.estimateMs = Math.max(defaultRttMs, MIN_DEFAULT_RTT_MS);
    this.updatedMs = nowMs;
  }

  /** Takes in a latency measured just now. */
  observe(rttMs: number, nowMs: number): void {
    const weight = this.retained(nowMs);
    if (rttMs > this.estimateMs) this.estimateMs = rttMs;
    else this.estimateMs = this.estimateMs * weight + Math.max(rttMs, 0) * (1 - weight);
    this.updatedMs = Math.max(this.updatedMs, nowMs);
  }

  /** What one more request is expected to cost: the decayed estimate for each of `pending` requests and for the new one. */
  cost(nowMs: number, pending: number): number {
    if (nowMs > this.updatedMs) {
      this.estimateMs *= this.retained(nowMs);
      this.updatedMs = nowMs;
    }
    return this.estimateMs * (pending + 1);
  }

  /** Part of the estimate that the time since the last update has left. */
  private retained(nowMs: number): number {
    const elapsedMs = nowMs - this.updatedMs;
    if (elapsedMs <= 0) return 1;
    return this.decayMs > 0 ? Math.exp(-elapsedMs / this.decayMs) : 0;
  }
}
