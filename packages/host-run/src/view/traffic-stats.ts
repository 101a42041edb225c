// SPDX-License-Identifier: Apache-2.0
/*
 * What a row of the view adds up: requests with their outcomes and latencies, connections and bytes. Latencies come as cumulative buckets, and
 * quantiles are interpolated inside one, as Prometheus' histogram_quantile does.
 */

/** Numbers of one row over some time. */
export class TrafficStats {
  successes = 0;
  failures = 0;
  /** Requests by whether they came or went over mTLS. */
  secured = 0;
  unsecured = 0;
  connections = 0;
  bytes = 0;
  /** Open now. */
  openSecured = 0;
  openUnsecured = 0;
  /** Upper bound in milliseconds → count of requests at most that slow. */
  readonly buckets: Map<number, number> = new Map();

  get requests(): number {
    return this.successes + this.failures;
  }

  /** Adds what came later. */
  add(other: TrafficStats): void {
    this.successes += other.successes;
    this.failures += other.failures;
    this.secured += other.secured;
    this.unsecured += other.unsecured;
    this.connections += other.connections;
    this.bytes += other.bytes;
    this.openSecured = other.openSecured;
    this.openUnsecured = other.openUnsecured;
    for (const [bound, count] of other.buckets) this.addBucket(bound, count);
  }

  addBucket(boundMs: number, count: number): void {
    this.buckets.set(boundMs, (this.buckets.get(boundMs) ?? 0) + count);
  }

  /** Share of successes, 0 to 1; undefined without requests. */
  get successRate(): number | undefined {
    return this.requests === 0 ? undefined : this.successes / this.requests;
  }

  get open(): number {
    return this.openSecured + this.openUnsecured;
  }

  /** Share of mTLS among requests, or where there were none among open connections, 0 to 1; undefined where nothing was seen. */
  get securedShare(): number | undefined {
    const all = this.secured + this.unsecured;
    if (all > 0) return this.secured / all;
    return this.open === 0 ? undefined : this.openSecured / this.open;
  }

  /** A quantile in milliseconds; undefined without requests. The last finite bound stands for everything above it. */
  quantileMs(quantile: number): number | undefined {
    const bounds = [...this.buckets.keys()].sort((a, b) => a - b);
    const total = this.buckets.get(bounds.at(-1) ?? Infinity) ?? 0;
    if (total === 0) return undefined;
    const rank = quantile * total;
    let lowerBound = 0;
    let lowerCount = 0;
    for (const bound of bounds) {
      const count = this.buckets.get(bound) ?? 0;
      if (count >= rank) {
        if (bound === Infinity) return lowerBound;
        const inside = count - lowerCount;
        return inside === 0 ? bound : lowerBound + ((bound - lowerBound) * (rank - lowerCount)) / inside;
      }
      lowerBound = bound;
      lowerCount = count;
    }
    return lowerBound;
  }
}
