// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of the repair controller (proxy-contract §10.4, features NET-11), in the reference's names.
 */
import type { RepairMetrics } from '@weft/cni';
import { PromCounter, PromHistogram, type PromRegistry } from '@weft/telemetry/prom';

const PREFIX = 'linkerd_cni_repair_controller_';

const COUNTERS: Readonly<Record<Parameters<RepairMetrics['inc']>[0], string>> = {
  queue_overflow: 'Pods that did not fit into the queue',
  pods_deleted: 'Pods deleted',
  pods_delete_errors: 'Deletions that failed',
  pods_delete_timeout: 'Deletions that were not answered in time',
  events_publish_errors: 'Events that could not be published',
  events_publish_timeout: 'Events whose publication was not answered in time',
};

const LATENCIES: Readonly<Record<Parameters<RepairMetrics['observe']>[0], string>> = {
  pods_delete_latency_seconds: 'Time that deletions took',
  events_publish_latency_seconds: 'Time that publications of events took',
};

/** Upper bounds in seconds. */
const BUCKETS = [0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The families, in a registry. */
export function repairMetrics(registry: PromRegistry): RepairMetrics {
  const counters = new Map(
    Object.entries(COUNTERS).map(([name, help]) => [
      name,
      new PromCounter({ name: `${PREFIX}${name}_total`, help, registers: [registry] }),
    ]),
  );
  const latencies = new Map(
    Object.entries(LATENCIES).map(([name, help]) => [
      name,
      new PromHistogram({ name: `${PREFIX}${name}`, help, buckets: BUCKETS, registers: [registry] }),
    ]),
  );
  return {
    inc: (name) => counters.get(name)?.inc(),
    observe: (name, seconds) => latencies.get(name)?.observe(seconds),
  };
}
