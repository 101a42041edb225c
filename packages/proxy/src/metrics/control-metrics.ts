// SPDX-License-Identifier: Apache-2.0
/*
 * What the channels to the control plane count (proxy-contract §7.1, §7.2): requests, answers, latency, and the balancer families, in which a
 * channel's addresses are the endpoints and the one that it is connected to is ready.
 */
import { type Counter, type CounterFamily, type HistogramFamily, LATENCY_MS_BUCKETS, type MetricRegistry } from '@weft/telemetry';
import type { ControlAddress } from '../config/types.ts';
import { BalancerMetrics, type BalancerSeries } from './balancer-metrics.ts';

const LEGACY = { layout: 'legacy' } as const;

export class ControlFamilies {
  private readonly requests: CounterFamily;
  private readonly responses: CounterFamily;
  private readonly latencies: HistogramFamily;
  private readonly registry: MetricRegistry;

  constructor(registry: MetricRegistry) {
    this.registry = registry;
    this.requests = registry.counter('control_request_total', 'Total count of HTTP requests.', undefined, LEGACY);
    this.latencies = registry.histogram(
      'control_response_latency_ms',
      'Elapsed times between a request being received and its response stream beginning',
      LATENCY_MS_BUCKETS,
      undefined,
      LEGACY,
    );
    this.responses = registry.counter('control_response_total', 'Total count of HTTP responses.', undefined, LEGACY);
  }

  /** `component`: destination, policy or identity. */
  channel(address: ControlAddress, component: string, failfastTimeoutMs: number): ControlMetrics {
    const addr = `${address.host.replace(/\.$/, '')}:${address.port}`;
    const labels = {
      addr,
      ...(address.identity === undefined
        ? { tls: 'no_identity', no_tls_reason: 'loopback' }
        : { tls: 'true', server_id: address.identity }),
    };
    const balancer = new BalancerMetrics(this.registry, `control_${component}`).series({ addr }, failfastTimeoutMs);
    return new ControlMetrics(labels, this.requests.get(labels), this.responses, this.latencies, balancer);
  }
}

export class ControlMetrics {
  private readonly labels: Readonly<Record<string, string>>;
  private readonly requests: Counter;
  private readonly responses: CounterFamily;
  private readonly latencies: HistogramFamily;
  readonly balancer: BalancerSeries;

  constructor(
    labels: Readonly<Record<string, string>>,
    requests: Counter,
    responses: CounterFamily,
    latencies: HistogramFamily,
    balancer: BalancerSeries,
  ) {
    this.labels = labels;
    this.requests = requests;
    this.responses = responses;
    this.latencies = latencies;
    this.balancer = balancer;
  }

  request(): void {
    this.requests.value += 1;
  }

  /** The head of an answer came after `elapsedMs`. */
  head(elapsedMs: number): void {
    this.latencies.get({ ...this.labels, status_code: '200' }).observe(Math.floor(elapsedMs));
  }

  /** A call was answered and ended with a gRPC status: a success of HTTP, whatever the status, as the reference has it. */
  answered(grpcStatus: number): void {
    this.responses.get({
      ...this.labels,
      status_code: '200',
      classification: 'success',
      grpc_status: String(grpcStatus),
      error: '',
    }).value += 1;
  }

  /** A call ended without an answer. */
  failed(): void {
    this.responses.get({ ...this.labels, classification: 'failure', grpc_status: '', error: 'unclassified' }).value += 1;
  }
}
