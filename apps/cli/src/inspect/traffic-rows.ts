// SPDX-License-Identifier: Apache-2.0
/*
 * From metrics to rows of traffic (features CLI-46; metric names: proxy-contract §7). Two readings of each proxy make increases; each series
 * counts into the row that the caller names for it. Probes and scrapes of proxies do not count. Pure.
 */
import { type Sample, TrafficStats } from '@weft/host-run/view';

/** Numbers of one row over the time between two readings. */
export interface TrafficRow {
  readonly stats: TrafficStats;
  /** Connections open at the second reading. */
  openCount: number;
  readBytes: number;
  writeBytes: number;
}

const COUNTERS: ReadonlySet<string> = new Set([
  'response_total',
  'response_latency_ms_bucket',
  'tcp_read_bytes_total',
  'tcp_write_bytes_total',
]);
const OPEN = 'tcp_open_connections';
const ADMIN_TARGET = '4191';

/** Whether a metric is needed for rows of traffic. */
export function isTrafficMetric(name: string): boolean {
  return name === OPEN || COUNTERS.has(name);
}

/** A row without traffic. */
export function emptyRow(): TrafficRow {
  return { stats: new TrafficStats(), openCount: 0, readBytes: 0, writeBytes: 0 };
}

/** Two readings of one proxy. `before` is undefined for one that could not be read then: its counters are left out. */
export interface ProxyWindow<Source> {
  readonly source: Source;
  readonly before: readonly Sample[] | undefined;
  readonly after: readonly Sample[];
}

/** Adds up windows; `rowOf` names the row of a series, or undefined for one that does not count. */
export function trafficRows<Source>(
  windows: readonly ProxyWindow<Source>[],
  rowOf: (source: Source, sample: Sample) => string | undefined,
): Map<string, TrafficRow> {
  const rows = new Map<string, TrafficRow>();
  for (const { source, before, after } of windows) {
    const earlier = new Map(before?.map(({ series, value }) => [series, value]));
    for (const sample of after) {
      const isLevel = sample.name === OPEN;
      if (!isLevel && before === undefined) continue;
      const previous = earlier.get(sample.series) ?? 0;
      // A counter that went down began anew: the proxy was restarted.
      const amount = isLevel ? sample.value : sample.value - (sample.value < previous ? 0 : previous);
      if (amount <= 0) continue;
      const key = isTraffic(sample) ? rowOf(source, sample) : undefined;
      if (key === undefined) continue;
      let row = rows.get(key);
      if (row === undefined) rows.set(key, (row = emptyRow()));
      add(row, sample, amount);
    }
  }
  return rows;
}

/** Whether a series is about an application's traffic, counted on the side where it has one meaning. */
function isTraffic({ name, labels }: Sample): boolean {
  const isInbound = labels['direction'] === 'inbound';
  if (isInbound && (labels['target_port'] === ADMIN_TARGET || labels['route_name'] === 'probe')) return false;
  return !name.startsWith('tcp_') || labels['peer'] === (isInbound ? 'src' : 'dst');
}

function add(row: TrafficRow, { name, labels }: Sample, amount: number): void {
  switch (name) {
    case 'response_total':
      if (labels['classification'] === 'success') row.stats.successes += amount;
      else row.stats.failures += amount;
      break;
    case 'response_latency_ms_bucket':
      row.stats.addBucket(labels['le'] === '+Inf' ? Infinity : Number(labels['le']), amount);
      break;
    case OPEN:
      row.openCount += amount;
      break;
    case 'tcp_read_bytes_total':
      row.readBytes += amount;
      break;
    case 'tcp_write_bytes_total':
      row.writeBytes += amount;
      break;
    default:
  }
}
