// SPDX-License-Identifier: Apache-2.0
/*
 * The tables that a run shows: as values for `--output json`, as text for people. Pure.
 */
import { ALL_ROUTES } from './sample-rows.ts';
import type { TrafficTables } from './traffic-monitor.ts';
import type { TrafficStats } from './traffic-stats.ts';

/** One row of requests. Rates are per second, latencies in milliseconds, shares 0 to 1; null where there was nothing. */
export interface TrafficRow {
  readonly name: string;
  /** Of a route: route and backend; '' for a workload. */
  readonly route: string;
  readonly backend: string;
  readonly requests: number;
  readonly failures: number;
  readonly successRate: number | null;
  readonly requestsPerSecond: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** Connections open at the end; 0 for a route. */
  readonly open: number;
  readonly mtlsShare: number | null;
}

export interface TcpRow {
  readonly name: string;
  readonly connections: number;
  readonly failures: number;
}

export interface TrafficSummary {
  readonly seconds: number;
  readonly failures: number;
  readonly workloads: readonly TrafficRow[];
  readonly routes: readonly TrafficRow[];
  readonly tcp: readonly TcpRow[];
}

/** Rows in order of their names. */
export function summarise(tables: TrafficTables, spanMs: number, failures: number): TrafficSummary {
  const seconds = spanMs / 1000;
  const rows = (table: ReadonlyMap<string, TrafficStats>): TrafficRow[] =>
    [...table]
      .filter(([name, stats]) => name !== ALL_ROUTES && stats.requests + stats.secured + stats.unsecured + stats.open + stats.bytes > 0)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, stats]) => rowOf(name, stats, seconds, tables.backend.get(name.split('\t')[2] ?? '') ?? stats));
  return {
    seconds,
    failures,
    workloads: rows(tables.workload),
    routes: rows(tables.route),
    tcp: [...tables.tcp]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, stats]) => ({ name, connections: stats.connections, failures: stats.failures })),
  };
}

/** `detail` has the latencies and the share of mTLS: a route's are those of its backend. */
function rowOf(key: string, stats: TrafficStats, seconds: number, detail: TrafficStats): TrafficRow {
  const [name = '', route = '', backend = ''] = key.split('\t');
  return {
    name,
    route,
    backend,
    requests: stats.requests,
    failures: stats.failures,
    successRate: stats.successRate ?? null,
    requestsPerSecond: seconds > 0 ? stats.requests / seconds : 0,
    p50Ms: detail.quantileMs(0.5) ?? null,
    p95Ms: detail.quantileMs(0.95) ?? null,
    p99Ms: detail.quantileMs(0.99) ?? null,
    open: stats.open,
    mtlsShare: detail.securedShare ?? null,
  };
}

/** The tables as text. */
export function formatSummary(summary: TrafficSummary): string {
  const percent = (share: number | null): string => (share === null ? '-' : `${(share * 100).toFixed(share < 1 ? 2 : 0)}%`);
  const ms = (value: number | null): string => (value === null ? '-' : value < 10 ? `${value.toFixed(1)}ms` : `${Math.round(value)}ms`);
  const cells = (row: TrafficRow): string[] => [
    percent(row.successRate),
    row.requestsPerSecond.toFixed(1),
    ms(row.p50Ms),
    ms(row.p95Ms),
    ms(row.p99Ms),
  ];
  const parts = [
    formatTable(
      ['WORKLOAD', 'SUCCESS', 'RPS', 'P50', 'P95', 'P99', 'CONNS', 'MTLS'],
      summary.workloads.map((row) => [row.name, ...cells(row), String(row.open), percent(row.mtlsShare)]),
    ),
    formatTable(
      ['SERVICE', 'ROUTE', 'BACKEND', 'SUCCESS', 'RPS', 'P50', 'P95', 'P99', 'MTLS'],
      summary.routes.map((row) => [row.name, row.route, row.backend, ...cells(row), percent(row.mtlsShare)]),
    ),
    formatTable(
      ['TCP SERVICE', 'CONNECTIONS', 'FAILED'],
      summary.tcp.map((row) => [row.name, String(row.connections), String(row.failures)]),
    ),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Columns as wide as their longest cell; '' without rows. */
export function formatTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => (row[column] ?? '').length)));
  return [heads, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
