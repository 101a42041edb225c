// SPDX-License-Identifier: Apache-2.0
/*
 * Series: what callers keep and count on. The hot path is one addition to a numeric field; everything else happens when somebody scrapes.
 * A series whose family is not at its limit anymore, or that went idle, is still safe to count on: see family.ts.
 */

/** One counter. `value` only grows. */
export class Counter {
  value: number;

  constructor() {
    this.value = 0;
  }

  inc(by = 1): void {
    this.value += by;
  }
}

/** One gauge. */
export class Gauge {
  value: number;

  constructor() {
    this.value = 0;
  }

  set(value: number): void {
    this.value = value;
  }

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }
}

/** One histogram. Bucket counts are not cumulative here; they are summed up when rendered. */
export class Histogram {
  /** Upper bounds, ascending, without +Inf. Shared by all series of a family. */
  readonly bounds: readonly number[];
  /** One more than bounds: the last is +Inf. */
  readonly counts: number[];
  sum: number;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
    this.sum = 0;
  }

  /** Counts one value, in the family's unit. Most observations fall into the first few buckets, so the search starts there. */
  observe(value: number): void {
    const { bounds, counts } = this;
    let index = 0;
    while (index < bounds.length && value > (bounds[index] as number)) index += 1;
    counts[index] = (counts[index] as number) + 1;
    this.sum += value;
  }

  /** Number of observations. */
  get count(): number {
    let total = 0;
    for (const bucket of this.counts) total += bucket;
    return total;
  }
}
