// SPDX-License-Identifier: Apache-2.0
/* HTTP/1.1 with keep-alive by fortio: saturated, or at a rate with the connections' requests spread evenly over time. */
import type { BenchCase, LoadResult } from '../cases.ts';

export function fortioArgs(benchCase: BenchCase, url: string, seconds: number): string[] {
  return [
    'load',
    '-quiet',
    '-loglevel',
    'Error',
    '-json',
    '-',
    '-p',
    '50,99',
    // Finer than the default of a millisecond, which could not tell the subjects apart.
    '-r',
    '0.00001',
    '-c',
    String(benchCase.connections),
    '-qps',
    String(benchCase.rate ?? 0),
    // Without it, all connections would send at the same instant.
    ...(benchCase.rate === undefined ? [] : ['-uniform']),
    '-t',
    `${seconds}s`,
    url,
  ];
}

interface FortioReport {
  readonly ActualQPS: number;
  readonly RetCodes: Readonly<Record<string, number>>;
  readonly DurationHistogram: {
    readonly Count: number;
    readonly Percentiles: readonly { readonly Percentile: number; readonly Value: number }[];
  };
}

/** Throws a SyntaxError for what is not fortio's JSON. */
export function parseFortio(output: string): LoadResult {
  const report = JSON.parse(output) as FortioReport;
  const requests = report.RetCodes['200'] ?? 0;
  const percentile = (wanted: number): number =>
    (report.DurationHistogram.Percentiles.find((entry) => entry.Percentile === wanted)?.Value ?? 0) * 1000;
  return {
    requests,
    errors: Object.values(report.RetCodes).reduce((sum, count) => sum + count, 0) - requests,
    ratePerSecond: report.ActualQPS,
    p50Ms: percentile(50),
    p99Ms: percentile(99),
  };
}
