// SPDX-License-Identifier: Apache-2.0
/*
 * The traffic of a run from its proxies' own metrics: every second each proxy is read, and what has grown since the last reading is added to a
 * window of some seconds and to a total that begins when the mesh stands. A pod that goes takes its last second of counts with it.
 */
import { request } from 'node:http';
import { ADMIN_PORT } from '../pod/proxy-settings.ts';
import { parseSamples } from './prometheus-text.ts';
import { ALL_ROUTES, isWantedMetric, type RowTable, targetOf, type SampleTarget } from './sample-rows.ts';
import { TrafficStats } from './traffic-stats.ts';

/** A proxy to read. */
export interface MonitoredPod {
  readonly uid: string;
  readonly ip: string;
  /** `namespace/workload`. */
  readonly workload: string;
}

/** Rows of the three tables by name. */
export type TrafficTables = Readonly<Record<RowTable, ReadonlyMap<string, TrafficStats>>>;

/** Readings that make up the window. */
export const WINDOW_READINGS = 10;
/** A proxy that does not answer in this time is read again next time, in milliseconds. */
const READ_TIMEOUT_MS = 900;

type Tables = Record<RowTable, Map<string, TrafficStats>>;

interface Reading {
  readonly tables: Tables;
  readonly spanMs: number;
}

/** Reads the metrics of one proxy; resolves with '' when it does not answer. */
export type ReadMetrics = (ip: string) => Promise<string>;

/** Adds up what the proxies count. */
export class TrafficMonitor {
  private readonly read: ReadMetrics;
  private readonly last = new Map<string, Map<string, number>>();
  private readonly targets = new Map<string, SampleTarget | undefined>();
  private readonly readings: Reading[] = [];
  private totals = emptyTables();
  private totalSince: number | undefined = undefined;
  private lastReadMs: number | undefined = undefined;
  private counts = false;

  constructor(read: ReadMetrics = readMetrics) {
    this.read = read;
  }

  /** From now on readings count into the total. */
  startTotal(nowMs: number): void {
    this.totals = emptyTables();
    this.totalSince = nowMs;
    this.counts = true;
  }

  /** Reads all proxies once. */
  async update(pods: readonly MonitoredPod[], nowMs: number): Promise<void> {
    const tables = emptyTables();
    const texts = await Promise.all(pods.map((pod) => this.read(pod.ip)));
    for (const [index, pod] of pods.entries()) {
      const text = texts[index];
      if (text !== undefined && text !== '') this.take(pod, text, tables);
    }
    const alive = new Set(pods.map(({ uid }) => uid));
    for (const uid of this.last.keys()) if (!alive.has(uid)) this.last.delete(uid);
    this.readings.push({ tables, spanMs: nowMs - (this.lastReadMs ?? nowMs) });
    if (this.readings.length > WINDOW_READINGS) this.readings.shift();
    this.lastReadMs = nowMs;
    if (this.counts) merge(this.totals, tables);
  }

  /** Rows over the window and how long it is, in milliseconds. */
  get window(): { readonly tables: TrafficTables; readonly spanMs: number } {
    const tables = emptyTables();
    let spanMs = 0;
    for (const reading of this.readings) {
      merge(tables, reading.tables);
      spanMs += reading.spanMs;
    }
    return { tables, spanMs };
  }

  /** Rows since `startTotal`, and how long that is. */
  total(nowMs: number): { readonly tables: TrafficTables; readonly spanMs: number } {
    return { tables: this.totals, spanMs: this.totalSince === undefined ? 0 : nowMs - this.totalSince };
  }

  /** Requests and connections that failed since `startTotal`, as callers' proxies and then servers' saw them. */
  get failures(): number {
    let failures = this.totals.route.get(ALL_ROUTES)?.failures ?? 0;
    for (const stats of this.totals.tcp.values()) failures += stats.failures;
    let atServers = 0;
    for (const stats of this.totals.workload.values()) atServers += stats.failures;
    // The same request may be counted on both sides.
    return Math.max(failures, atServers);
  }

  private take(pod: MonitoredPod, text: string, tables: Tables): void {
    const before = this.last.get(pod.uid);
    const now = new Map<string, number>();
    for (const sample of parseSamples(text, isWantedMetric)) {
      now.set(sample.series, sample.value);
      const key = `${pod.workload} ${sample.series}`;
      if (!this.targets.has(key)) this.targets.set(key, targetOf(sample, pod.workload));
      const target = this.targets.get(key);
      if (target === undefined) continue;
      // A series that appears later began at nothing; one of a pod seen for the first time began before, unless the pod is new.
      const amount = target.isLevel === true ? sample.value : sample.value - (before?.get(sample.series) ?? 0);
      if (amount <= 0) continue;
      const rows = tables[target.table];
      let stats = rows.get(target.row);
      if (stats === undefined) rows.set(target.row, (stats = new TrafficStats()));
      target.apply(stats, amount);
    }
    this.last.set(pod.uid, now);
  }
}

function emptyTables(): Tables {
  return { workload: new Map(), route: new Map(), backend: new Map(), tcp: new Map() };
}

function merge(into: Tables, from: TrafficTables): void {
  for (const table of ['workload', 'route', 'backend', 'tcp'] as const) {
    // A row that is not in the later reading has nothing open any more.
    for (const own of into[table].values()) {
      own.openSecured = 0;
      own.openUnsecured = 0;
    }
    for (const [row, stats] of from[table]) {
      let own = into[table].get(row);
      if (own === undefined) into[table].set(row, (own = new TrafficStats()));
      own.add(stats);
    }
  }
}

/** Reads one proxy over its admin port. */
export const readMetrics: ReadMetrics = (ip) =>
  new Promise((resolve) => {
    const attempt = request({ host: ip, port: ADMIN_PORT, path: '/metrics', agent: false, timeout: READ_TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('end', () => resolve(text));
      response.on('error', () => resolve(''));
    });
    attempt.on('timeout', () => attempt.destroy());
    attempt.on('error', () => resolve(''));
    attempt.end();
  });
