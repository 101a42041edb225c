// SPDX-License-Identifier: Apache-2.0
/*
 * The balancer set of families (proxy-contract §7.2, set B) for one prefix, and the series of one balancer. Several balancers may share a label set
 * (one for each protocol of a backend), so each adds what is its own to the gauges and takes it away when it closes.
 */
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
  private readonly gateOpenTime: GaugeFamily;
  private readonly gateShutTime: GaugeFamily;
  private readonly gateTimeout: GaugeFamily;
  private readonly wallClock: () => number;

  /** `wallClock`: milliseconds since the epoch. */
  constructor(registry: MetricRegistry, prefix: string, wallClock: () => number = Date.now) {
    const seconds = { unit: 'seconds' } as const;
    const float = { unit: 'seconds', isFloat: true } as const;
    const name = (suffix: string): string => `${prefix}_balancer_${suffix}`;
    this.wallClock = wallClock;
    this.endpoints = registry.gauge(name('endpoints'), 'The number of endpoints currently in the balancer');
    this.p2cEndpoints = registry.gauge(name('p2c_endpoints'), 'The number of endpoints');
    this.updates = registry.counter(name('p2c_updates_total'), 'Updates to the pool of endpoints');
    this.queueLength = registry.gauge(name('queue_length'), 'The number of requests currently in the queue');
    this.queueRequests = registry.counter(name('queue_requests_total'), 'Requests that entered the queue');
    this.queueLatency = registry.histogram(
      name('queue_latency_seconds'),
      'The time that requests spend in the queue',
      QUEUE_SECONDS,
      undefined,
      seconds,
    );
    this.gateOpen = registry.counter(name('queue_gate_open_total'), 'Transitions to the open state');
    this.gateShut = registry.counter(name('queue_gate_shut_total'), 'Transitions to the shut state');
    this.gateOpenTime = registry.gauge(name('queue_gate_open_time_seconds'), 'When the gate was opened; 0 while shut', undefined, float);
    this.gateShutTime = registry.gauge(name('queue_gate_shut_time_seconds'), 'When the gate was shut; 0 while open', undefined, float);
    this.gateTimeout = registry.gauge(name('queue_gate_timeout_seconds'), 'The fail-fast timeout', undefined, float);
  }

  /** Series of a new balancer, whose gate is open. */
  series(labels: Readonly<Record<string, string>>, failfastTimeoutMs: number): BalancerSeries {
    this.gateTimeout.get(labels).value = failfastTimeoutMs / 1000;
    return new BalancerSeries(
      {
        pending: this.endpoints.get({ endpoint_state: 'pending', ...labels }),
        ready: this.endpoints.get({ endpoint_state: 'ready', ...labels }),
        p2c: this.p2cEndpoints.get(labels),
        reset: this.updates.get({ op: 'Reset', ...labels }),
        add: this.updates.get({ op: 'Add', ...labels }),
        remove: this.updates.get({ op: 'Remove', ...labels }),
        queueLength: this.queueLength.get(labels),
        queueRequests: this.queueRequests.get(labels),
        queueLatency: this.queueLatency.get(labels),
        gateOpen: this.gateOpen.get(labels),
        gateShut: this.gateShut.get(labels),
        gateOpenTime: this.gateOpenTime.get(labels),
        gateShutTime: this.gateShutTime.get(labels),
      },
      this.wallClock,
    );
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
  readonly gateOpenTime: Gauge;
  readonly gateShutTime: Gauge;
}

/** What a balancer changed in its endpoints. */
export interface BalancerUpdate {
  readonly isReset: boolean;
  readonly add: readonly unknown[];
  readonly remove: readonly unknown[];
}

export class BalancerSeries {
  private readonly handles: Handles;
  private readonly wallClock: () => number;
  private readyCount = 0;
  private pendingCount = 0;
  private queueCount = 0;

  constructor(handles: Handles, wallClock: () => number) {
    this.handles = handles;
    this.wallClock = wallClock;
    this.gate(false);
  }

  /** A request left for an endpoint without waiting. */
  passed(): void {
    const { queueRequests, queueLatency } = this.handles;
    queueRequests.value += 1;
    queueLatency.counts[0] = (queueLatency.counts[0] as number) + 1;
  }

  /** A request left the queue, for an endpoint or for good. */
  waited(ms: number): void {
    this.handles.queueRequests.value += 1;
    this.handles.queueLatency.observe(ms / 1000);
  }

  queued(length: number): void {
    this.handles.queueLength.value += length - this.queueCount;
    this.queueCount = length;
  }

  updated(update: BalancerUpdate): void {
    if (update.isReset) this.handles.reset.value += 1;
    else if (update.add.length > 0) this.handles.add.value += 1;
    if (update.remove.length > 0) this.handles.remove.value += 1;
  }

  endpoints(ready: number, pending: number): void {
    const { handles } = this;
    handles.ready.value += ready - this.readyCount;
    handles.pending.value += pending - this.pendingCount;
    handles.p2c.value += ready + pending - this.readyCount - this.pendingCount;
    this.readyCount = ready;
    this.pendingCount = pending;
  }

  /** The gate was shut, or opened again. */
  gate(isShut: boolean): void {
    const { gateOpen, gateShut, gateOpenTime, gateShutTime } = this.handles;
    const seconds = this.wallClock() / 1000;
    (isShut ? gateShut : gateOpen).value += 1;
    gateOpenTime.value = isShut ? 0 : seconds;
    gateShutTime.value = isShut ? seconds : 0;
  }

  close(): void {
    this.endpoints(0, 0);
    this.queued(0);
  }
}
