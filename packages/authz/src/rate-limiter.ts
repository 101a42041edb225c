// SPDX-License-Identifier: Apache-2.0
/*
 * How often clients may send requests into a port (proxy-contract §6.10): a total, then a limit for each identity or the one that overrides it for
 * those it lists. Each limit is a generic cell rate algorithm that lets a second's worth through at once and then one request each 1/n s. Only
 * numbers are kept: the time at which a limit would be empty again.
 */
import type { InboundRateLimit } from '@weft/routing';

/** Identities with a limit of their own that are remembered at a time; those beyond share one. */
export const MAX_TRACKED_IDENTITIES = 10_000;

/** What a request exceeded. `scope` is the label of the metric: overrides count as identity. */
export interface RateLimitExceeded {
  readonly scope: 'total' | 'identity';
  /** `total rate limit exceeded: 5rps` */
  readonly message: string;
}

/** A second's worth of requests may come at once. */
const BURST_MS = 1000;

/** One limit: `n` requests a second. */
class Cell {
  private readonly intervalMs: number;
  /** When the limit will be empty again (the theoretical arrival time); at or before now = empty. */
  emptyAtMs = 0;

  constructor(perSecond: number) {
    this.intervalMs = 1000 / perSecond;
  }

  take(nowMs: number): boolean {
    const nextMs = Math.max(this.emptyAtMs, nowMs) + this.intervalMs;
    // Sums of fractions of a millisecond: a request must not be refused over the last bit.
    if (nextMs - nowMs > BURST_MS + 1e-6) return false;
    this.emptyAtMs = nextMs;
    return true;
  }
}

/** The limits of one port. Its state lasts as long as the policy that it was made from. */
export class RateLimiter {
  private readonly limit: InboundRateLimit;
  private readonly total: Cell | undefined;
  private readonly overrides = new Map<string, { readonly cell: Cell; readonly exceeded: RateLimitExceeded }>();
  private readonly identities = new Map<string, Cell>();
  private readonly unidentified: Cell | undefined;
  private readonly others: Cell | undefined;
  private readonly totalExceeded: RateLimitExceeded;
  private readonly identityExceeded: RateLimitExceeded;

  constructor(limit: InboundRateLimit) {
    this.limit = limit;
    this.total = cellOf(limit.totalPerSecond);
    this.unidentified = cellOf(limit.identityPerSecond);
    this.others = cellOf(limit.identityPerSecond);
    this.totalExceeded = exceeded('total', 'total', limit.totalPerSecond);
    this.identityExceeded = exceeded('identity', 'per-identity', limit.identityPerSecond);
    for (const { perSecond, identities } of limit.overrides) {
      const cell = cellOf(perSecond);
      if (cell === undefined) continue;
      const entry = { cell, exceeded: exceeded('identity', 'override', perSecond) };
      for (const identity of identities) if (!this.overrides.has(identity)) this.overrides.set(identity, entry);
    }
  }

  /** Counts a request of a client; undefined = it may pass. A request over the identity's limit has still counted in the total. */
  check(identity: string | undefined, nowMs: number): RateLimitExceeded | undefined {
    if (this.total !== undefined && !this.total.take(nowMs)) return this.totalExceeded;
    const override = identity === undefined ? undefined : this.overrides.get(identity);
    if (override !== undefined) return override.cell.take(nowMs) ? undefined : override.exceeded;
    const cell = identity === undefined ? this.unidentified : this.cellFor(identity, nowMs);
    return cell === undefined || cell.take(nowMs) ? undefined : this.identityExceeded;
  }

  private cellFor(identity: string, nowMs: number): Cell | undefined {
    const known = this.identities.get(identity);
    if (known !== undefined) return known;
    const cell = cellOf(this.limit.identityPerSecond);
    if (cell === undefined) return undefined;
    if (this.identities.size >= MAX_TRACKED_IDENTITIES) {
      for (const [name, { emptyAtMs }] of this.identities) if (emptyAtMs <= nowMs) this.identities.delete(name);
      if (this.identities.size >= MAX_TRACKED_IDENTITIES) return this.others;
    }
    this.identities.set(identity, cell);
    return cell;
  }
}

/** 0 is the absence of a limit, as an unset field of the wire. */
function cellOf(perSecond: number | undefined): Cell | undefined {
  return perSecond === undefined || perSecond <= 0 ? undefined : new Cell(perSecond);
}

function exceeded(scope: RateLimitExceeded['scope'], name: string, perSecond: number | undefined): RateLimitExceeded {
  return { scope, message: `${name} rate limit exceeded: ${perSecond ?? 0}rps` };
}
