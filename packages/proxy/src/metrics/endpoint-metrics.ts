// SPDX-License-Identifier: Apache-2.0
/*
 * `request_total`, `response_total` and `response_latency_ms` (proxy-contract §7.1). A series object is made once for an endpoint (or an
 * inbound port, client and route) and kept; per request it adds to numbers.
 */
import type { FieldList } from '@weft/bytes';
import {
  type Counter,
  type CounterFamily,
  type Histogram,
  type HistogramFamily,
  LATENCY_MS_BUCKETS,
  type MetricRegistry,
  formatLabels,
} from '@weft/telemetry';
import type { Outcome } from '../http/exchange.ts';
import { classify } from './classify.ts';

const LEGACY = { layout: 'legacy' } as const;

export class EndpointMetrics {
  private readonly requests: CounterFamily;
  private readonly responses: CounterFamily;
  private readonly latencies: HistogramFamily;
  private readonly series = new Map<string, EndpointSeries>();

  constructor(registry: MetricRegistry) {
    this.requests = registry.counter('request_total', 'Total count of HTTP requests.', undefined, LEGACY);
    this.latencies = registry.histogram(
      'response_latency_ms',
      'Elapsed times between a request being received and its response stream beginning',
      LATENCY_MS_BUCKETS,
      undefined,
      LEGACY,
    );
    this.responses = registry.counter('response_total', 'Total count of HTTP responses.', undefined, LEGACY);
  }

  /** The series of a label set; `labels` come in the contract's order, `direction` first. */
  get(labels: Readonly<Record<string, string>>): EndpointSeries {
    // As text of the page: what a peer has put in is escaped and cut, also where it is a key.
    const key = formatLabels(labels);
    let series = this.series.get(key);
    if (series === undefined) {
      if (this.series.size > MAX_CACHED_SERIES) this.series.clear();
      series = new EndpointSeries(labels, this.requests.get(labels), this.responses, this.latencies);
      this.series.set(key, series);
    }
    return series;
  }
}

/** Cached handles; beyond it the cache starts afresh (the families keep their counts). */
const MAX_CACHED_SERIES = 10_000;

export class EndpointSeries {
  readonly requests: Counter;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly responses: CounterFamily;
  private readonly latencies: HistogramFamily;
  /** Ordinary answers by status: `response_total` without gRPC status or error. */
  private readonly plain: (Counter | undefined)[] = [];
  private readonly special = new Map<string, Counter>();
  private readonly byStatus: (Histogram | undefined)[] = [];

  constructor(labels: Readonly<Record<string, string>>, requests: Counter, responses: CounterFamily, latencies: HistogramFamily) {
    this.labels = labels;
    this.requests = requests;
    this.responses = responses;
    this.latencies = latencies;
  }

  latency(status: number, ms: number): void {
    const histogram = (this.byStatus[status] ??= this.latencies.get({ ...this.labels, status_code: String(status) }));
    histogram.observe(Math.floor(ms));
  }

  finished(outcome: Outcome, fields: Readonly<FieldList> | undefined, trailers: Readonly<FieldList> | undefined): void {
    const { isFailure, grpcStatus, error } = classify(outcome, fields, trailers);
    if (grpcStatus === '' && error === '') {
      const counter = (this.plain[outcome.status] ??= this.response(outcome.status, isFailure, '', ''));
      counter.value += 1;
      return;
    }
    const key = `${outcome.status} ${grpcStatus} ${error} ${isFailure}`;
    let counter = this.special.get(key);
    if (counter === undefined) {
      counter = this.response(outcome.status, isFailure, grpcStatus, error);
      this.special.set(key, counter);
    }
    counter.value += 1;
  }

  /** The endpoint was reached in vain: the request goes on elsewhere. */
  failed(): void {
    const key = 'failed';
    let counter = this.special.get(key);
    if (counter === undefined) {
      counter = this.response(0, true, '', 'unprocessed');
      this.special.set(key, counter);
    }
    counter.value += 1;
  }

  private response(status: number, isFailure: boolean, grpcStatus: string, error: string): Counter {
    return this.responses.get({
      ...this.labels,
      ...(status === 0 ? {} : { status_code: String(status) }),
      classification: isFailure ? 'failure' : 'success',
      grpc_status: grpcStatus,
      error,
    });
  }
}
