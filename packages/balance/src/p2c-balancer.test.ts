// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BalancedEndpoint, P2cBalancer, PeakEwma } from './index.ts';

class FakeEndpoint implements BalancedEndpoint {
  readonly name: string;
  readonly load: PeakEwma;
  pending = 0;
  isReady = true;

  constructor(name: string, rttMs = 30) {
    this.name = name;
    this.load = new PeakEwma(rttMs, 10_000, 0);
  }
}

/** A small generator with a seed (mulberry32), so that every run draws the same. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Draws the given numbers in turn. */
function scripted(...draws: number[]): () => number {
  return () => {
    const next = draws.shift();
    if (next === undefined) throw new Error('more draws than expected');
    return next;
  };
}

function balancerOf(random: () => number, endpoints: readonly FakeEndpoint[]): P2cBalancer<FakeEndpoint> {
  const balancer = new P2cBalancer<FakeEndpoint>(random);
  for (const endpoint of endpoints) balancer.add(endpoint);
  return balancer;
}

function countPicks(balancer: P2cBalancer<FakeEndpoint>, picks: number, nowMs = 0): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i < picks; i++) {
    const name = balancer.pick(nowMs)?.name ?? 'none';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function named(count: number): FakeEndpoint[] {
  return Array.from({ length: count }, (_, i) => new FakeEndpoint(`e${i}`));
}

describe('[LB-01] P2cBalancer', () => {
  it('picks nothing from nothing, and nothing where nothing is ready', () => {
    expect(balancerOf(seeded(1), []).pick(0)).toBeUndefined();
    const endpoints = named(5);
    for (const endpoint of endpoints) endpoint.isReady = false;
    expect(balancerOf(seeded(1), endpoints).pick(0)).toBeUndefined();
  });

  it('picks the only endpoint, and the only ready one of many', () => {
    const endpoints = named(100);
    expect(balancerOf(seeded(1), endpoints.slice(0, 1)).pick(0)).toBe(endpoints[0]);
    for (const endpoint of endpoints) endpoint.isReady = endpoint.name === 'e77';
    const balancer = balancerOf(seeded(1), endpoints);
    for (let i = 0; i < 20; i++) expect(balancer.pick(0)?.name).toBe('e77');
  });

  it('takes the cheaper of the two drawn, the first on a tie', () => {
    const endpoints = named(4);
    endpoints[2].pending = 1;
    const picked = (...draws: number[]): string | undefined => balancerOf(scripted(...draws), endpoints).pick(0)?.name;
    expect(picked(0, 0.5)).toBe('e0');
    expect(picked(0.5, 0)).toBe('e0');
    expect(picked(0.25, 0.75)).toBe('e1');
    expect(picked(0.75, 0.25)).toBe('e3');
  });

  it('draws two different endpoints', () => {
    const endpoints = [new FakeEndpoint('slow', 100), new FakeEndpoint('fast', 10)];
    expect(balancerOf(scripted(0, 0, 0.5), endpoints).pick(0)?.name).toBe('fast');
    expect(countPicks(balancerOf(seeded(1), endpoints), 1000)).toEqual(new Map([['fast', 1000]]));
  });

  it('compares what time has left of the estimates', () => {
    const [a, b] = [new FakeEndpoint('a', 100), new FakeEndpoint('b', 60)];
    b.load.observe(60, 10_000);
    expect(balancerOf(scripted(0, 0.5), [a, b]).pick(10_000)?.name).toBe('a');
  });

  it('looks at no more than a handful of endpoints while all are ready', () => {
    let looks = 0;
    class CountedEndpoint extends FakeEndpoint {
      constructor(name: string) {
        super(name);
        const get = (): boolean => {
          looks += 1;
          return true;
        };
        Object.defineProperty(this, 'isReady', { get });
      }
    }
    const balancer = balancerOf(
      seeded(3),
      Array.from({ length: 10_000 }, (_, i) => new CountedEndpoint(`e${i}`)),
    );
    for (let i = 0; i < 1000; i++) balancer.pick(0);
    expect(looks).toBeGreaterThanOrEqual(2000);
    expect(looks).toBeLessThan(2100);
  });

  it('spreads requests of equal latency evenly', () => {
    for (const count of [2, 3, 10, 50]) {
      const counts = countPicks(balancerOf(seeded(count), named(count)), count * 2000);
      expect(counts.size).toBe(count);
      for (const picks of counts.values()) expect(Math.abs(picks - 2000)).toBeLessThan(250);
    }
  });

  it('spreads evenly over the ready ones, however few they are', () => {
    for (const ready of [2, 3, 10, 60]) {
      const endpoints = named(100);
      for (const [i, endpoint] of endpoints.entries())
        endpoint.isReady = i % Math.floor(100 / ready) === 0 && i / Math.floor(100 / ready) < ready;
      const counts = countPicks(balancerOf(seeded(ready), endpoints), ready * 2000);
      expect(counts.size).toBe(ready);
      for (const picks of counts.values()) expect(Math.abs(picks - 2000)).toBeLessThan(250);
    }
  });

  it('keeps pending requests level', () => {
    const endpoints = named(20);
    const balancer = balancerOf(seeded(7), endpoints);
    for (let i = 0; i < 2000; i++) (balancer.pick(0) as FakeEndpoint).pending += 1;
    const pending = endpoints.map((endpoint) => endpoint.pending);
    expect(Math.max(...pending) - Math.min(...pending)).toBeLessThanOrEqual(6);
  });

  it('sends a slow endpoint a small share, and more again once it is fast', () => {
    const endpoints = named(4);
    const balancer = balancerOf(seeded(11), endpoints);
    const slow = endpoints[0];
    let nowMs = 0;
    const share = (slowMs: number): number => {
      let slowPicks = 0;
      const open: { endpoint: FakeEndpoint; endsMs: number; rttMs: number }[] = [];
      for (let i = 0; i < 5000; i++) {
        nowMs += 2;
        for (const request of open.splice(0)) {
          if (request.endsMs > nowMs) {
            open.push(request);
          } else {
            request.endpoint.pending -= 1;
            request.endpoint.load.observe(request.rttMs, nowMs);
          }
        }
        const endpoint = balancer.pick(nowMs) as FakeEndpoint;
        const rttMs = endpoint === slow ? slowMs : 10;
        if (endpoint === slow) slowPicks += 1;
        endpoint.pending += 1;
        open.push({ endpoint, endsMs: nowMs + rttMs, rttMs });
      }
      return slowPicks / 5000;
    };
    expect(share(500)).toBeLessThan(0.05);
    // The peak takes a few decay times to be forgotten: ln(500 / 10) of them, ten seconds each.
    for (let i = 0; i < 4; i++) share(10);
    expect(share(10)).toBeGreaterThan(0.2);
  });

  it('picks only what is in it and ready, through any sequence of changes', () => {
    const command = fc.record({ kind: fc.constantFrom('add', 'remove', 'ready', 'unready', 'pick'), index: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 100 }), fc.integer(), (commands, seed) => {
        const endpoints = named(10);
        const balancer = new P2cBalancer<FakeEndpoint>(seeded(seed));
        const model = new Set<FakeEndpoint>();
        for (const { kind, index } of commands) {
          const endpoint = endpoints[index];
          if (kind === 'add') {
            balancer.add(endpoint);
            model.add(endpoint);
          } else if (kind === 'remove') {
            balancer.remove(endpoint);
            model.delete(endpoint);
          } else if (kind !== 'pick') {
            endpoint.isReady = kind === 'ready';
          }
          const ready = [...model].filter((item) => item.isReady);
          expect(balancer.size).toBe(model.size);
          expect(balancer.readyCount()).toBe(ready.length);
          const picked = balancer.pick(0);
          expect(picked === undefined).toBe(ready.length === 0);
          expect([undefined, ...ready]).toContain(picked);
        }
      }),
    );
  });
});
