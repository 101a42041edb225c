// SPDX-License-Identifier: Apache-2.0
/* The bars: what the medians must satisfy for the bench to succeed. */
import type { CaseSummary, Results } from './results.ts';

export interface Bar {
  readonly name: string;
  readonly limit: string;
  readonly measured: string;
  readonly isMet: boolean;
}

const MAX_RATIO_AT_32 = 0.55;
const MAX_LOADED_RSS_ANON_MB = 35;
/** "No worse" within the noise of a p99 on a shared machine. */
const P99_TOLERANCE = 1.1;
/** p99 is compared where both sides carry the same load: at given rates, and saturated with the connections of a usual client. */
const P99_CASES = ['http1-c32', 'http1-r300', 'http1-r1200', 'http1-r5000'];

/** Bars whose figures were not measured are left out. */
export function judge(results: Pick<Results, 'cases' | 'memory'>): Bar[] {
  const bars: Bar[] = [];
  const ratio = results.cases.find(({ id }) => id === 'http1-c32')?.cpuRatio?.median;
  if (ratio !== undefined)
    bars.push({
      name: 'CPU per request at 32 connections, Weft ÷ Envoy',
      limit: `≤ ${MAX_RATIO_AT_32}`,
      measured: ratio.toFixed(2),
      isMet: ratio <= MAX_RATIO_AT_32,
    });
  for (const summary of results.cases) {
    const bar = P99_CASES.includes(summary.id) ? p99Bar(summary) : undefined;
    if (bar !== undefined) bars.push(bar);
  }
  const errors = results.cases.reduce((sum, { subjects }) => sum + (subjects.weft?.errors ?? 0), 0);
  if (results.cases.length > 0)
    bars.push({ name: 'failed requests through Weft', limit: '0', measured: String(errors), isMet: errors === 0 });
  const loaded = results.memory?.weft?.loadedRssAnonMb.median;
  if (loaded !== undefined)
    bars.push({
      name: 'RssAnon at 1,200 requests/s',
      limit: `≤ ${MAX_LOADED_RSS_ANON_MB} MiB`,
      measured: `${loaded.toFixed(1)} MiB`,
      isMet: loaded <= MAX_LOADED_RSS_ANON_MB,
    });
  return bars;
}

function p99Bar({ title, subjects: { weft, envoy } }: CaseSummary): Bar | undefined {
  if (weft === undefined || envoy === undefined) return undefined;
  const limitMs = envoy.p99Ms.median * P99_TOLERANCE;
  return {
    name: `p99, ${title}`,
    limit: `≤ ${limitMs.toFixed(2)} ms (Envoy's + 10 %)`,
    measured: `${weft.p99Ms.median.toFixed(2)} ms`,
    isMet: weft.p99Ms.median <= limitMs,
  };
}
