// SPDX-License-Identifier: Apache-2.0
/* The balancer set of families (proxy-contract §7.2, set B) for one prefix, and the series of one balancer. */
import type { Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, MetricRegistry } from '@weft/telemetry';

const QUEUE_SECONDS = [0.0005, 0.005, 0.05, 0.5, 1, 3];

export class BalancerMetrics {
  private readonly endpoints: GaugeFamily;
  private readonly p2cEndpoints: GaugeFamily;
  private readonly updates: CounterFamily;
  private readonly queueLength: GaugeFamily;
  private readonly queueRequests: CounterFamily;
  private readonly queueLatency: HistogramFamily;
  private readonly gateOpen: CounterFamily;
  private readonly gateShut: CounterFamily;
  private readonly gateTimeout: GaugeFamily;

  constructor(registry: MetricRegistry, prefix: string) {
    const seconds = { unit: 'seconds' } as const;
    this.endpoints = registry.gauge(`${prefix}_balancer_endpoints`, 'The number of endpoints currently in the balancer');
    this.p2cEndpoints = registry.gauge(`${prefix}_balancer_p2c_endpoints`, 'The number of endpoints');
    this.updates = registry.counter(`${prefix}_balancer_p2c_updates_total`, 'Updates to the pool of endpoints');
    this.queueLength = registry.gauge(`${prefix}_balancer_queue_length`, 'The number of requests currently in the queue');
    this.queueRequests = registry.counter(`${prefix}_balancer_queue_requests_total`, 'Requests that entered the queue');
    this.queueLatency = registry.histogram(
      `${prefix}_balancer_queue_latency_seconds`,
      'The time that requests spend in the queue',
      QUEUE_SECONDS,
      undefined,
      seconds,
    );
    this.gateOpen = registry.counter(`${prefix}_balancer_queue_gate_open_total`, 'Transitions to the open state');
    this.gateShut = registry.counter(`${prefix}_balancer_queue_gate_shut_total`, 'Transitions to the shut state');
    this.gateTimeout = registry.gauge(`${prefix}_balancer_queue_gate_timeout_seconds`, 'The fail-fast timeout', undefined, seconds);
  }

  series(labels: Readonly<Record<string, string>>, failfastTimeoutMs: number): BalancerSeries {
    const gateTimeout = this.gateTimeout.get(labels);
    gateTimeout.value = failfastTimeoutMs / 1000;
    return new BalancerSeries({
      ready: this.endpoints.get({ ...labels, endpoint_state: 'ready' }),
      pending: this.endpoints.get({ ...labels, endpoint_state: 'pending' }),
      p2c: this.p2cEndpoints.get(labels),
      reset: this.updates.get({ ...labels, op: 'Reset' }),
      add: this.updates.get({ ...labels, op: 'Add' }),
      remove: this.updates.get({ ...labels, op: 'Remove' }),
      queueLength: this.queueLength.get(labels),
      queueRequests: this.queueRequests.get(labels),
      queueLatency: this.queueLatency.get(labels),
      gateOpen: this.gateOpen.get(labels),
      gateShut: this.gateShut.get(labels),
    });
  }
}

interface Handles {
  readonly ready: Gauge;
  readonly pending: Gauge;
  readonly p2c: Gauge;
  readonly reset: Counter;
  readonly add: Counter;
  readonly remove: Counter;
  readonly queueLength: Gauge;
  readonly queueRequests: Counter;
  readonly queueLatency: Histogram;
  readonly gateOpen: Counter;
  readonly gateShut: Counter;
}

export class BalancerSeries {
  private readonly handles: Handles;

  constructor(handles: Handles) {
    this.handles = handles;
  }

  /** A request was dispatched after waiting `waitedMs` (0 = at once). */
  dispatched(waitedMs: number): void {
    this.handles.queueRequests.value += 1;
    this.handles.queueLatency.observe(waitedMs / 1000);
  }

  queued(length: number): void {
    this.handles.queueLength.value = length;
  }

  updated(update: { readonly isReset: boolean; readonly add: readonly unknown[]; readonly remove: readonly unknown[] }): void {
    if (update.isReset) this.handles.reset.value += 1;
    else if (update.add.length > 0) this.handles.add.value += update.add.length;
    if (update.remove.length > 0) this.handles.remove.value += update.remove.length;
  }

  endpoints(ready: number, pending: number): void {
    this.handles.ready.value = ready;
    this.handles.pending.value = pending;
    this.handles.p2c.value = ready + pending;
  }

  shut(isShut: boolean): void {
    if (isShut) this.handles.gateShut.value += 1;
    else this.handles.gateOpen.value += 1;
  }

  close(): void {
    this.endpoints(0, 0);
    this.handles.queueLength.value = 0;
  }
}
