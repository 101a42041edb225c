// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { judge } from './bars.ts';
import { CASES, type BenchCase, type Subject } from './cases.ts';
import type { Sample } from './measure.ts';
import { summarizeMemory } from './memory.ts';
import { page } from './report/document.ts';
import { type CaseSummary, summarizeCase } from './results.ts';
import { quantile, spreadOf } from './statistics.ts';

const saturated = CASES.find(({ id }) => id === 'http1-c32') as BenchCase;

function sample(outboundCpuUs: number, p99Ms: number, errors = 0): Sample {
  return {
    requests: 1000,
    errors,
    ratePerSecond: 100,
    p50Ms: p99Ms / 2,
    p99Ms,
    outboundCpuUs,
    inboundCpuUs: 10,
    outboundRssAnonMb: 20,
    inboundRssAnonMb: 21,
    foreignCores: 0.1,
  };
}

function summary(weft: readonly Sample[], envoy: readonly Sample[]): CaseSummary {
  return summarizeCase(
    saturated,
    new Map<Subject, readonly Sample[]>([
      ['direct', []],
      ['weft', weft],
      ['envoy', envoy],
    ]),
  );
}

describe('statistics', () => {
  it.each([
    { values: [3], median: 3, min: 3, max: 3 },
    { values: [5, 1, 3], median: 3, min: 1, max: 5 },
    { values: [4, 1, 3, 10], median: 3.5, min: 1, max: 10 },
  ])('takes median and range of $values', ({ values, median, min, max }) => {
    expect(spreadOf(values)).toEqual({ median, min, max });
  });

  it('takes quantiles by nearest rank', () => {
    const sorted = Array.from({ length: 10 }, (_, index) => index + 1);
    expect([0, 0.5, 0.99, 1].map((fraction) => quantile(sorted, fraction))).toEqual([1, 5, 10, 10]);
    expect(quantile([], 0.5)).toBe(0);
  });
});

describe('judge', () => {
  it('compares medians, so that one disturbed round does not decide', () => {
    const bars = judge({
      cases: [summary([sample(10, 1), sample(10, 1), sample(900, 50)], [sample(30, 2), sample(30, 2), sample(30, 2)])],
    });
    expect(bars.map(({ isMet }) => isMet)).toEqual([true, true, true]);
    expect(bars[0]).toMatchObject({ measured: '0.50' });
  });

  it.each([
    { name: 'CPU over the ratio', weft: sample(20, 1), met: [false, true, true] },
    { name: 'a worse p99', weft: sample(10, 2.3), met: [true, false, true] },
    { name: 'a p99 within the tolerance', weft: sample(10, 2.1), met: [true, true, true] },
    { name: 'a failed request', weft: sample(10, 1, 1), met: [true, true, false] },
  ])('with $name: $met', ({ weft, met }) => {
    expect(judge({ cases: [summary([weft], [sample(30, 2)])] }).map(({ isMet }) => isMet)).toEqual(met);
  });

  it.each([
    { loadedRssAnonMb: 35, isMet: true },
    { loadedRssAnonMb: 35.1, isMet: false },
  ])('memory of $loadedRssAnonMb MiB at 1,200 requests/s: $isMet', ({ loadedRssAnonMb, isMet }) => {
    const memory = summarizeMemory([{ idleRssAnonMb: 18, idleCpuPercent: 0, loadedRssAnonMb, saturatedRssAnonMb: 50, afterRssAnonMb: 20 }]);
    expect(judge({ cases: [], memory: { weft: memory } })).toMatchObject([{ isMet }]);
  });
});

describe('page', () => {
  it('has a row for each case, and says so when a bar is not met', () => {
    const text = page(
      {
        environment: {
          date: '2030-01-02',
          commit: 'abc',
          machine: 'm',
          versions: { Envoy: '1' },
          nodeFlags: ['--x'],
          rounds: 1,
          seconds: 1,
          isGuarded: true,
        },
        cases: [summary([sample(30, 1)], [sample(30, 2)])],
      },
      undefined,
    );
    expect(text).toContain(
      '| HTTP/1.1, 32 connections | 40.0 (40.0–40.0) = 30.0 + 10.0 | 40.0 (40.0–40.0) = 30.0 + 10.0 | **1.00** (1.00–1.00) |',
    );
    expect(text).toContain('**not met**');
    expect(text).toContain('Versions: Envoy 1.');
  });
});
