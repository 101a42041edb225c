// SPDX-License-Identifier: Apache-2.0
/* The results as text for a terminal. */
import type { Bar } from '../bars.ts';
import type { Results } from '../results.ts';
import type { Spread } from '../statistics.ts';

export function resultTable(results: Results): string {
  const rows: string[][] = [
    ['case', 'subject', 'requests/s', 'CPU out + in, µs', 'sum (min–max)', '÷ Envoy', 'p50 ms', 'p99 ms (min–max)', 'errors'],
  ];
  for (const { id, subjects, cpuRatio } of results.cases) {
    for (const [subject, summary] of Object.entries(subjects)) {
      rows.push([
        id,
        subject,
        summary.ratePerSecond.median.toFixed(0),
        subject === 'direct' ? '' : `${summary.outboundCpuUs.median.toFixed(1)} + ${summary.inboundCpuUs.median.toFixed(1)}`,
        subject === 'direct' ? '' : range(summary.cpuUs, 1),
        subject === 'weft' && cpuRatio !== undefined ? range(cpuRatio, 2) : '',
        summary.p50Ms.median.toFixed(2),
        range(summary.p99Ms, 2),
        String(summary.errors),
      ]);
    }
  }
  const memory = Object.entries(results.memory ?? {}).map(([subject, summary]) => [
    subject,
    range(summary.idleRssAnonMb, 1),
    range(summary.loadedRssAnonMb, 1),
    range(summary.saturatedRssAnonMb, 1),
    range(summary.afterRssAnonMb, 1),
    range(summary.idleCpuPercent, 3),
  ]);
  const parts = results.cases.length > 0 ? [aligned(rows)] : [];
  if (memory.length > 0)
    parts.push(aligned([['RssAnon, MiB', 'idle', '1,200 requests/s', '256 connections', '70 s later', 'idle CPU, %'], ...memory]));
  return parts.join('\n\n');
}

export function barTable(bars: readonly Bar[]): string {
  return `\n${aligned([['bar', 'limit', 'measured', ''], ...bars.map((bar) => [bar.name, bar.limit, bar.measured, bar.isMet ? 'met' : 'NOT MET'])])}`;
}

/** `12.3 (11.9–12.8)`. */
export function range(spread: Spread, digits: number): string {
  return `${spread.median.toFixed(digits)} (${spread.min.toFixed(digits)}–${spread.max.toFixed(digits)})`;
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
