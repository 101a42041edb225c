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

/** Makes metric families by name; a second call with one name gives the same family. */
export interface PromMetricFactory {
  counter(name: string, help: string, labelNames: readonly string[]): Counter;
  gauge(name: string, help: string, labelNames: readonly string[]): Gauge;
  histogram(name: string, help: string, labelNames: readonly string[], buckets: readonly number[]): Histogram;
}

/** A factory over a registry, as the control plane's services take it. */
export function promMetricFactory(registry: Registry): PromMetricFactory {
  const find = <F>(name: string, create: () => F): F => (registry.getSingleMetric(name) as F | undefined) ?? create();
  const registers = [registry];
  return {
    counter: (name, help, labelNames) => find(name, () => new Counter({ name, help, labelNames, registers })),
    gauge: (name, help, labelNames) => find(name, () => new Gauge({ name, help, labelNames, registers })),
    histogram: (name, help, labelNames, buckets) =>
      find(name, () => new Histogram({ name, help, labelNames, buckets: [...buckets], registers })),
  };
}
