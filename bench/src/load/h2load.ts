// SPDX-License-Identifier: Apache-2.0
/* HTTP/2 with prior knowledge by h2load. Its summary has no percentiles, so they come from its log of every request. */
import type { BenchCase, LoadResult } from '../cases.ts';
import { quantile } from '../statistics.ts';

export function h2loadArgs(benchCase: BenchCase, url: string, seconds: number, logPath: string): string[] {
  const { connections, streams, rate } = benchCase;
  return [
    '-c',
    String(connections),
    '-m',
    String(streams),
    '-D',
    String(seconds),
    '--warm-up-time=0',
    // h2load's rate is that of each client.
    ...(rate === undefined ? [] : [`--rps=${rate / connections}`]),
    `--log-file=${logPath}`,
    url,
  ];
}

/** `log` has a line a request: start in microseconds, status, duration in microseconds. */
export function parseH2load(log: string, seconds: number): LoadResult {
  const durations: number[] = [];
  let errors = 0;
  for (const line of log.split('\n')) {
    const [, status, duration] = line.split('\t');
    if (status === undefined) continue;
    if (status === '200') durations.push(Number(duration));
    else errors += 1;
  }
  const sorted = Float64Array.from(durations).sort();
  return {
    requests: sorted.length,
    errors,
    ratePerSecond: sorted.length / seconds,
    p50Ms: quantile(sorted, 0.5) / 1000,
    p99Ms: quantile(sorted, 0.99) / 1000,
  };
}
