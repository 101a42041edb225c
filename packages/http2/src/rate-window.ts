// SPDX-License-Identifier: Apache-2.0
/*
 * How often something happened lately: a fixed window of time that starts anew once it is over. Cheap enough for every frame,
 * and an attacker gains at most a factor of two at its edges.
 */

/** Counts events against a limit per window. */
export class RateWindow {
  private readonly maxCount: number;
  private readonly windowMs: number;
  private startedAtMs = 0;
  private count = 0;

  constructor(maxCount: number, windowMs: number) {
    this.maxCount = maxCount;
    this.windowMs = windowMs;
  }

  /** Counts `weight` events at `nowMs`. False: the limit is exceeded. */
  add(weight: number, nowMs: number): boolean {
    if (nowMs - this.startedAtMs >= this.windowMs) {
      this.startedAtMs = nowMs;
      this.count = 0;
    }
    this.count += weight;
    return this.count <= this.maxCount;
  }
}
