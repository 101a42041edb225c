// SPDX-License-Identifier: Apache-2.0
import type { InboundRateLimit } from '@weft/routing';
import { describe, expect, it } from 'vitest';
import { MAX_TRACKED_IDENTITIES, RateLimiter } from './rate-limiter.ts';

function limiterOf(changes: Partial<InboundRateLimit>): RateLimiter {
  return new RateLimiter({
    meta: { kind: 'default', name: 'x' },
    totalPerSecond: undefined,
    identityPerSecond: undefined,
    overrides: [],
    ...changes,
  });
}

/** How many of `count` requests at one moment pass. */
function passing(limiter: RateLimiter, identity: string | undefined, nowMs: number, count = 20): number {
  let passed = 0;
  for (let i = 0; i < count; i++) if (limiter.check(identity, nowMs) === undefined) passed += 1;
  return passed;
}

describe('RateLimiter', () => {
  it('[REL-16] lets a second of requests through at once, then one each interval', () => {
    const limiter = limiterOf({ totalPerSecond: 5 });
    expect(passing(limiter, undefined, 1000)).toBe(5);
    expect(passing(limiter, undefined, 1199)).toBe(0);
    expect(passing(limiter, undefined, 1200)).toBe(1);
    expect(passing(limiter, undefined, 1600)).toBe(2);
    expect(passing(limiter, undefined, 60_000)).toBe(5);
  });

  it.each([1, 3, 7, 30, 1000])('[REL-16] passes n + 10 n requests in the ten seconds of a flood at n = %i', (perSecond) => {
    const limiter = limiterOf({ totalPerSecond: perSecond });
    let passed = 0;
    for (let nowMs = 0; nowMs <= 10_000; nowMs += 0.5) passed += passing(limiter, 'a', nowMs, 2);
    expect(Math.abs(passed - perSecond * 11)).toBeLessThanOrEqual(1);
  });

  it('[REL-15] [REL-16] limits each identity by itself, those without one together, and those that are overridden otherwise', () => {
    const limiter = limiterOf({ identityPerSecond: 2, overrides: [{ perSecond: 4, identities: ['vip', 'vip2'] }] });
    expect([passing(limiter, 'a', 0), passing(limiter, 'b', 0), passing(limiter, undefined, 0), passing(limiter, undefined, 0)]).toEqual([
      2, 2, 2, 0,
    ]);
    // Those listed in one override share it.
    expect([passing(limiter, 'vip', 0, 3), passing(limiter, 'vip2', 0)]).toEqual([3, 1]);
  });

  it('[REL-16] applies the total to everybody, also to those who are overridden', () => {
    const limiter = limiterOf({ totalPerSecond: 3, identityPerSecond: 2, overrides: [{ perSecond: 10, identities: ['vip'] }] });
    expect(limiter.check('a', 0)).toBeUndefined();
    expect(limiter.check('a', 0)).toBeUndefined();
    // Counted in the total before the identity's own limit refuses it.
    expect(limiter.check('a', 0)).toEqual({ scope: 'identity', message: 'per-identity rate limit exceeded: 2rps' });
    expect(limiter.check('vip', 0)).toEqual({ scope: 'total', message: 'total rate limit exceeded: 3rps' });
  });

  it('names an override as such in the text, and as identity in the label', () => {
    const limiter = limiterOf({ overrides: [{ perSecond: 1, identities: ['vip'] }] });
    expect(limiter.check('vip', 0)).toBeUndefined();
    expect(limiter.check('vip', 0)).toEqual({ scope: 'identity', message: 'override rate limit exceeded: 1rps' });
    expect(limiter.check('other', 0)).toBeUndefined();
  });

  it('takes 0 for no limit', () => {
    expect(passing(limiterOf({ totalPerSecond: 0, identityPerSecond: 0 }), 'a', 0, 100)).toBe(100);
  });

  it('remembers a bounded number of identities, and forgets first those that it owes nothing', () => {
    const limiter = limiterOf({ identityPerSecond: 1 });
    for (let i = 0; i < MAX_TRACKED_IDENTITIES; i++) expect(limiter.check(`id-${i}`, 0)).toBeUndefined();
    // All are in debt: the next ones share a limit.
    expect([passing(limiter, 'late-1', 0), passing(limiter, 'late-2', 0)]).toEqual([1, 0]);
    expect([passing(limiter, 'late-1', 1000), passing(limiter, 'late-2', 1000)]).toEqual([1, 1]);
  });
});
