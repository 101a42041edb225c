// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { CASES } from '../cases.ts';
import { fortioArgs, parseFortio } from './fortio.ts';
import { parseGhz } from './ghz.ts';
import { h2loadArgs, parseH2load } from './h2load.ts';

describe('results of load generators', () => {
  it('takes requests, errors and percentiles from the JSON of fortio', () => {
    const report = {
      ActualQPS: 1199.5,
      RetCodes: { '200': 990, '503': 7, '-1': 3 },
      DurationHistogram: {
        Count: 1000,
        Percentiles: [
          { Percentile: 50, Value: 0.0005 },
          { Percentile: 99, Value: 0.0025 },
        ],
      },
    };
    expect(parseFortio(JSON.stringify(report))).toEqual({ requests: 990, errors: 10, ratePerSecond: 1199.5, p50Ms: 0.5, p99Ms: 2.5 });
  });

  it('makes percentiles of the log of h2load, and counts what is not 200 as failed', () => {
    const lines = Array.from({ length: 100 }, (_, index) => `1700000000000000\t200\t${(100 - index) * 10}`);
    const log = [...lines, '1700000000000000\t503\t5', '1700000000000000\t-1\t5', ''].join('\n');
    expect(parseH2load(log, 2)).toEqual({ requests: 100, errors: 2, ratePerSecond: 50, p50Ms: 0.5, p99Ms: 0.99 });
  });

  it('takes calls, failures and percentiles from the JSON of ghz', () => {
    const report = {
      count: 100,
      rps: 50,
      statusCodeDistribution: { OK: 98, Unavailable: 2 },
      latencyDistribution: [
        { percentage: 50, latency: 1_500_000 },
        { percentage: 99, latency: 9_000_000 },
      ],
    };
    expect(parseGhz(JSON.stringify(report))).toEqual({ requests: 98, errors: 2, ratePerSecond: 50, p50Ms: 1.5, p99Ms: 9 });
  });

  it('answers zero percentiles for a run in which nothing was answered', () => {
    expect(parseGhz('{"count":3,"rps":0,"statusCodeDistribution":{"Unavailable":3},"latencyDistribution":null}')).toMatchObject({
      requests: 0,
      errors: 3,
      p99Ms: 0,
    });
    expect(parseH2load('', 1)).toMatchObject({ requests: 0, p99Ms: 0 });
  });
});

describe('arguments of load generators', () => {
  const byId = (id: string): (typeof CASES)[number] => CASES.find((entry) => entry.id === id) as (typeof CASES)[number];

  it('spreads requests evenly at a rate, and does not limit a saturated run', () => {
    expect(fortioArgs(byId('http1-r300'), 'http://x/', 5)).toEqual(expect.arrayContaining(['-qps', '300', '-uniform', '-c', '16']));
    expect(fortioArgs(byId('http1-c32'), 'http://x/', 5)).not.toContain('-uniform');
  });

  it('divides the rate among the clients of h2load', () => {
    expect(h2loadArgs(byId('http2-r1200'), 'http://x/', 5, 'log')).toContain('--rps=300');
  });
});
