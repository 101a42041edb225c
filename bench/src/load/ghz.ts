// SPDX-License-Identifier: Apache-2.0
/* Unary gRPC by ghz. */
import type { BenchCase, LoadResult } from '../cases.ts';

export function ghzArgs(benchCase: BenchCase, address: string, seconds: number, protoPath: string): string[] {
  const { connections, streams, rate } = benchCase;
  return [
    '--insecure',
    '--proto',
    protoPath,
    '--call',
    'weft.bench.Echo/Echo',
    '--data',
    JSON.stringify('a message of about a hundred bytes, so that it is neither empty nor larger than what a call often carries'),
    '--connections',
    String(connections),
    '--concurrency',
    String(connections * streams),
    ...(rate === undefined ? [] : ['--rps', String(rate)]),
    '--duration',
    `${seconds}s`,
    // Calls still open at the end are waited for, not counted as errors.
    '--duration-stop',
    'wait',
    '--format',
    'json',
    address,
  ];
}

interface GhzReport {
  readonly count: number;
  readonly rps: number;
  readonly statusCodeDistribution: Readonly<Record<string, number>>;
  readonly latencyDistribution: readonly { readonly percentage: number; readonly latency: number }[] | null;
}

/** Throws a SyntaxError for what is not ghz's JSON. */
export function parseGhz(output: string): LoadResult {
  const report = JSON.parse(output) as GhzReport;
  const requests = report.statusCodeDistribution['OK'] ?? 0;
  const percentile = (wanted: number): number =>
    (report.latencyDistribution?.find((entry) => entry.percentage === wanted)?.latency ?? 0) / 1e6;
  return {
    requests,
    errors: report.count - requests,
    ratePerSecond: report.rps,
    p50Ms: percentile(50),
    p99Ms: percentile(99),
  };
}
