// SPDX-License-Identifier: Apache-2.0
/*
 * `@weft/telemetry/prom`: the control plane's registry, prom-client's own (control-contract §6.1, features MET-30). A separate entry
 * because the proxy must not load it: its metrics are plain numbers in `MetricRegistry`. Default metrics are collected at each
 * scrape; nothing runs between scrapes.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

export { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry as PromRegistry };

/** A fresh registry with the `process_*` and `nodejs_*` families. One for each process; tests make their own. */
export function promRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
