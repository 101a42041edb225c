// SPDX-License-Identifier: Apache-2.0
/* Asks a question about traffic of a cluster, once over a window or again and again. */
import { parseSamples, type Sample } from '@weft/host-run/view';
import type { Cluster } from '../kube/cluster.ts';
import { ProxyReadings, type ReadablePod } from './proxy-readings.ts';
import { isTrafficMetric, type ProxyWindow, type TrafficRow, trafficRows } from './traffic-rows.ts';
import { needsAllNamespaces, planTraffic, type TrafficPlan, type TrafficQuery } from './traffic-query.ts';
import { type MeshPod, readPods } from './workloads.ts';

/** Rows between two readings. */
export interface TrafficAnswer {
  readonly pods: readonly MeshPod[];
  readonly rows: ReadonlyMap<string, TrafficRow>;
  readonly seconds: number;
}

/** Time, given by whoever runs this: a test does not wait. */
export interface WatchClock {
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

export const SYSTEM_CLOCK: WatchClock = {
  now: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

interface Reading {
  readonly atMs: number;
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
}

/** Reads the proxies that answer a question. `next` gives what happened since the reading before. */
export class TrafficWatch {
  private readonly readings: ProxyReadings;
  private readonly clock: WatchClock;
  private readonly onError: (pod: ReadablePod, message: string) => void;
  private readonly pods: readonly MeshPod[];
  private readonly plan: TrafficPlan;
  private last: Reading | undefined = undefined;

  private constructor(
    cluster: Cluster,
    pods: readonly MeshPod[],
    plan: TrafficPlan,
    clock: WatchClock,
    onError: (pod: ReadablePod, message: string) => void,
  ) {
    this.readings = new ProxyReadings(cluster);
    this.pods = pods;
    this.plan = plan;
    this.clock = clock;
    this.onError = onError;
  }

  /** Finds the proxies and reads them a first time. */
  static async start(
    cluster: Cluster,
    controlPlane: string,
    query: TrafficQuery,
    clock: WatchClock,
    onError: (pod: ReadablePod, message: string) => void,
    rowOf: (plan: TrafficPlan) => TrafficPlan['rowOf'] = (plan) => plan.rowOf,
  ): Promise<TrafficWatch> {
    const pods = await readPods(cluster, controlPlane, needsAllNamespaces(query) ? undefined : query.subject.namespace);
    const plan = planTraffic(query, pods);
    const watch = new TrafficWatch(cluster, pods, { ...plan, rowOf: rowOf(plan) }, clock, onError);
    watch.last = await watch.read();
    return watch;
  }

  /** Waits, reads again, and answers. */
  async next(windowMs: number): Promise<TrafficAnswer> {
    const before = this.last ?? (await this.read());
    await this.clock.sleep(Math.max(0, windowMs - (this.clock.now() - before.atMs)));
    const after = await this.read();
    this.last = after;
    const windows = this.plan.readers.flatMap((source): ProxyWindow<MeshPod>[] => {
      const key = `${source.namespace}/${source.name}`;
      const samples = after.samples.get(key);
      return samples === undefined ? [] : [{ source, before: before.samples.get(key), after: samples }];
    });
    return { pods: this.pods, rows: trafficRows(windows, this.plan.rowOf), seconds: Math.max(0.001, (after.atMs - before.atMs) / 1000) };
  }

  close(): void {
    this.readings.close();
  }

  private async read(): Promise<Reading> {
    const atMs = this.clock.now();
    const samples = new Map<string, readonly Sample[]>();
    for (const [key, text] of await this.readings.read(this.plan.readers, this.onError))
      samples.set(key, parseSamples(text, isTrafficMetric));
    return { atMs, samples };
  }
}
