// SPDX-License-Identifier: Apache-2.0
/* Rows of traffic as tables and as JSON, with the reference's columns and field names (features CLI-46). Pure. */
import { formatTable } from '@weft/host-run/view';
import type { TrafficRow } from './traffic-rows.ts';

/** One line of the output. */
export interface NamedRow {
  readonly namespace: string;
  readonly kind: string;
  readonly name: string;
  /** Pods with a proxy, and all that run; undefined where it does not apply. */
  readonly meshed: { readonly count: number; readonly total: number } | undefined;
  /** Undefined where nothing was seen. */
  readonly traffic: TrafficRow | undefined;
}

/** How to write. */
export interface TableStyle {
  readonly hasNamespace: boolean;
  readonly isWide: boolean;
}

const NONE = '-';

/** The table; '' without rows. */
export function trafficTable(rows: readonly NamedRow[], seconds: number, { hasNamespace, isWide }: TableStyle): string {
  const heads = [
    ...(hasNamespace ? ['NAMESPACE'] : []),
    'NAME',
    'MESHED',
    'SUCCESS',
    'RPS',
    'LATENCY_P50',
    'LATENCY_P95',
    'LATENCY_P99',
    'TCP_CONN',
    ...(isWide ? ['READ_BYTES/SEC', 'WRITE_BYTES/SEC'] : []),
  ];
  const lines = rows.map((row) => [
    ...(hasNamespace ? [row.namespace] : []),
    row.name,
    row.meshed === undefined ? NONE : `${row.meshed.count}/${row.meshed.total}`,
    ...trafficCells(row.traffic, seconds),
    row.traffic === undefined ? NONE : String(row.traffic.openCount),
    ...(isWide ? [bytesCell(row.traffic?.readBytes, seconds), bytesCell(row.traffic?.writeBytes, seconds)] : []),
  ]);
  return formatTable(heads, lines);
}

/** SUCCESS, RPS and the three latencies. */
export function trafficCells(traffic: TrafficRow | undefined, seconds: number): string[] {
  const stats = traffic?.stats;
  if (stats === undefined || stats.requests === 0) return [NONE, NONE, NONE, NONE, NONE];
  const latency = (quantile: number): string => {
    const ms = stats.quantileMs(quantile);
    return ms === undefined ? NONE : `${Math.round(ms)}ms`;
  };
  return [
    `${((stats.successRate ?? 0) * 100).toFixed(2)}%`,
    `${(stats.requests / seconds).toFixed(1)}rps`,
    latency(0.5),
    latency(0.95),
    latency(0.99),
  ];
}

/** Rows as `stat -o json` writes them. */
export function trafficJson(rows: readonly NamedRow[], seconds: number): string {
  const values = rows.map(({ namespace, kind, name, meshed, traffic }) => {
    const stats = traffic?.stats;
    const has = stats !== undefined && stats.requests > 0;
    const latency = (quantile: number): number | null => (has ? Math.round(stats.quantileMs(quantile) ?? 0) : null);
    return {
      namespace,
      kind,
      name,
      ...(meshed === undefined ? {} : { meshed: `${meshed.count}/${meshed.total}` }),
      success: has ? (stats.successRate ?? null) : null,
      rps: has ? stats.requests / seconds : null,
      latency_ms_p50: latency(0.5),
      latency_ms_p95: latency(0.95),
      latency_ms_p99: latency(0.99),
      tcp_open_connections: traffic?.openCount ?? null,
      tcp_read_bytes_rate: traffic === undefined ? null : traffic.readBytes / seconds,
      tcp_write_bytes_rate: traffic === undefined ? null : traffic.writeBytes / seconds,
    };
  });
  return `${JSON.stringify(values, undefined, 2)}\n`;
}

const UNITS: readonly string[] = ['B', 'KB', 'MB', 'GB', 'TB'];

function bytesCell(bytes: number | undefined, seconds: number): string {
  if (bytes === undefined) return NONE;
  let rate = bytes / seconds;
  let unit = 0;
  for (; rate >= 1000 && unit < UNITS.length - 1; unit += 1) rate /= 1000;
  return `${rate.toFixed(unit === 0 ? 0 : 1)}${UNITS[unit]}/s`;
}
