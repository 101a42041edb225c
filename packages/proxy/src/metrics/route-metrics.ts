// SPDX-License-Identifier: Apache-2.0
/* Per-route families of both sides (proxy-contract §7.2): requests, durations, statuses, frame sizes, by parent, route and backend. */
import type { FieldList } from '@weft/bytes';
import type { Backend, Meta } from '@weft/routing';
import type { Counter, CounterFamily, Histogram, HistogramFamily, MetricRegistry } from '@weft/telemetry';
import type { Outcome } from '../http/exchange.ts';
import { classify } from './classify.ts';

const FRAME_BYTES = [128, 1024, 10_240];
const ROUTE_SECONDS = [0.05, 0.5, 1, 10];
const BACKEND_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 10];
const INBOUND_REQUEST_SECONDS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 10];

/** Labels of a piece of configuration under a prefix, in the order of the reference. */
export function metaLabels(prefix: string, meta: Meta | undefined, withPort: boolean): Record<string, string> {
  const labels: Record<string, string> = {};
  const resource = meta?.kind === 'resource' ? meta.resource : undefined;
  labels[`${prefix}_group`] = resource?.group ?? '';
  labels[`${prefix}_kind`] = resource?.kind ?? (meta === undefined ? '' : 'default');
  labels[`${prefix}_namespace`] = resource?.namespace ?? '';
  labels[`${prefix}_name`] = resource?.name ?? (meta?.kind === 'default' ? meta.name : '');
  if (withPort) {
    labels[`${prefix}_port`] = resource === undefined || resource.port === 0 ? '' : String(resource.port);
    labels[`${prefix}_section_name`] = resource?.section ?? '';
  }
  return labels;
}

interface OutboundFamilies {
  readonly durations: HistogramFamily;
  readonly statuses: CounterFamily;
  readonly requestFrames: HistogramFamily;
  readonly backendRequests: CounterFamily;
  readonly backendDurations: HistogramFamily;
  readonly backendStatuses: CounterFamily;
  readonly backendFrames: HistogramFamily;
  readonly statusLabel: 'http_status' | 'grpc_status';
}

function outboundFamilies(registry: MetricRegistry, protocol: 'http' | 'grpc'): OutboundFamilies {
  const prefix = `outbound_${protocol}_route`;
  const seconds = { unit: 'seconds' } as const;
  const bytes = { unit: 'bytes' } as const;
  return {
    durations: registry.histogram(
      `${prefix}_request_duration_seconds`,
      'The time between request initialization and response completion',
      ROUTE_SECONDS,
      undefined,
      seconds,
    ),
    statuses: registry.counter(`${prefix}_request_statuses_total`, 'Completed request-response streams'),
    requestFrames: registry.histogram(`${prefix}_request_frame_size_bytes`, 'Request data frame sizes', FRAME_BYTES, undefined, bytes),
    backendRequests: registry.counter(`${prefix}_backend_requests_total`, 'The total number of requests dispatched'),
    backendDurations: registry.histogram(
      `${prefix}_backend_response_duration_seconds`,
      'The time between request completion and response completion',
      BACKEND_SECONDS,
      undefined,
      seconds,
    ),
    backendStatuses: registry.counter(`${prefix}_backend_response_statuses_total`, 'Completed responses'),
    backendFrames: registry.histogram(
      `${prefix}_backend_response_frame_size_bytes`,
      'Response data frame sizes',
      FRAME_BYTES,
      undefined,
      bytes,
    ),
    statusLabel: protocol === 'http' ? 'http_status' : 'grpc_status',
  };
}

export class RouteMetrics {
  private readonly http: OutboundFamilies;
  private readonly grpc: OutboundFamilies;

  constructor(registry: MetricRegistry) {
    this.http = outboundFamilies(registry, 'http');
    this.grpc = outboundFamilies(registry, 'grpc');
  }

  route(parent: Meta, route: Meta, isGrpc: boolean): OutboundRouteSeries {
    return new OutboundRouteSeries(isGrpc ? this.grpc : this.http, parent, route);
  }
}

class BackendSeries {
  readonly requests: Counter;
  readonly duration: Histogram;
  readonly frames: Histogram;
  readonly statuses = new StatusCounters();
  readonly labels: Readonly<Record<string, string>>;

  constructor(families: OutboundFamilies, labels: Readonly<Record<string, string>>) {
    this.labels = labels;
    this.requests = families.backendRequests.get(labels);
    this.duration = families.backendDurations.get(labels);
    this.frames = families.backendFrames.get(labels);
  }
}

/** Counters by status and error; ordinary statuses are an array lookup. */
class StatusCounters {
  private readonly plain: (Counter | undefined)[] = [];
  private readonly special = new Map<string, Counter>();

  count(status: number, text: string, error: string, create: (text: string, error: string) => Counter): void {
    let counter: Counter | undefined;
    if (error === '' && text === '') {
      counter = this.plain[status] ??= create(status === 0 ? '' : String(status), '');
    } else {
      const key = `${status} ${text} ${error}`;
      counter = this.special.get(key);
      if (counter === undefined) {
        counter = create(text === '' && status !== 0 ? String(status) : text, error);
        this.special.set(key, counter);
      }
    }
    counter.value += 1;
  }
}

export class OutboundRouteSeries {
  private readonly families: OutboundFamilies;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly hostLabels: Readonly<Record<string, string>>;
  private readonly duration: Histogram;
  private readonly requestFrames: Histogram;
  private readonly statuses = new StatusCounters();
  private readonly backends = new Map<Backend, BackendSeries>();

  constructor(families: OutboundFamilies, parent: Meta, route: Meta) {
    this.families = families;
    this.labels = { ...metaLabels('parent', parent, true), ...metaLabels('route', route, false) };
    this.hostLabels = { ...this.labels, hostname: '' };
    this.duration = families.durations.get(this.hostLabels);
    this.requestFrames = families.requestFrames.get(this.hostLabels);
  }

  backendRequest(backend: Backend | undefined): void {
    if (backend !== undefined) this.backend(backend).requests.value += 1;
  }

  requestFrame(bytes: number): void {
    this.requestFrames.observe(bytes);
  }

  responseFrame(backend: Backend | undefined, bytes: number): void {
    if (backend !== undefined) this.backend(backend).frames.observe(bytes);
  }

  finished(
    backend: Backend | undefined,
    outcome: Outcome,
    fields: Readonly<FieldList> | undefined,
    trailers: Readonly<FieldList> | undefined,
    elapsedMs: number,
  ): void {
    const { families } = this;
    const isGrpc = families.statusLabel === 'grpc_status';
    const text = isGrpc ? classify(outcome, fields, trailers).grpcStatus : '';
    const error = errorLabelOf(outcome);
    const status = isGrpc ? 0 : outcome.status;
    this.duration.observe(elapsedMs / 1000);
    this.statuses.count(status, text, outcome.error === undefined ? error : '', (value, cause) =>
      families.statuses.get({ ...this.hostLabels, [families.statusLabel]: value, error: cause }),
    );
    if (backend === undefined) return;
    const series = this.backend(backend);
    series.duration.observe(elapsedMs / 1000);
    const isOurs = outcome.error !== undefined && error !== '';
    series.statuses.count(isOurs ? 0 : status, isOurs ? '' : text, error, (value, cause) =>
      families.backendStatuses.get({ ...series.labels, [families.statusLabel]: value, error: cause }),
    );
  }

  private backend(backend: Backend): BackendSeries {
    let series = this.backends.get(backend);
    if (series === undefined) {
      series = new BackendSeries(this.families, { ...this.labels, ...metaLabels('backend', backend.meta, true) });
      this.backends.set(backend, series);
    }
    return series;
  }
}

/** `error` label of the route families (§7.2). */
function errorLabelOf(outcome: Outcome): string {
  switch (outcome.error?.kind) {
    case 'failfast':
      return 'FAIL_FAST';
    case 'load-shed':
      return 'LOAD_SHED';
    case undefined:
      if (!outcome.isAborted) return '';
      return outcome.failure?.kind === 'reset' ? 'RESET' : outcome.failure === undefined ? 'CANCEL' : 'IO';
    default:
      return outcome.error?.kind === 'unexpected' ? 'UNKNOWN' : '';
  }
}

interface InboundFamilies {
  readonly requests: CounterFamily;
  readonly requestFrames: HistogramFamily;
  readonly requestDurations: HistogramFamily;
  readonly responseFrames: HistogramFamily;
  readonly responseDurations: HistogramFamily;
  readonly statuses: CounterFamily;
}

function inboundFamilies(registry: MetricRegistry, protocol: 'http' | 'grpc'): InboundFamilies {
  const prefix = `inbound_${protocol}`;
  const seconds = { unit: 'seconds' } as const;
  const bytes = { unit: 'bytes' } as const;
  return {
    requests: registry.counter(`${prefix}_requests_total`, 'The number of requests received'),
    requestFrames: registry.histogram(`${prefix}_request_frame_size_bytes`, 'Request data frame sizes', FRAME_BYTES, undefined, bytes),
    requestDurations: registry.histogram(
      `${prefix}_request_duration_seconds`,
      'The time between request initialization and response completion',
      INBOUND_REQUEST_SECONDS,
      undefined,
      seconds,
    ),
    responseFrames: registry.histogram(`${prefix}_response_frame_size_bytes`, 'Response data frame sizes', FRAME_BYTES, undefined, bytes),
    responseDurations: registry.histogram(
      `${prefix}_response_duration_seconds`,
      'The time between request completion and response completion',
      ROUTE_SECONDS,
      undefined,
      seconds,
    ),
    statuses: registry.counter(`${prefix}_statuses_total`, 'Completed request-response streams'),
  };
}

export class InboundRouteMetrics {
  private readonly http: InboundFamilies;
  private readonly grpc: InboundFamilies;

  constructor(registry: MetricRegistry) {
    this.http = inboundFamilies(registry, 'http');
    this.grpc = inboundFamilies(registry, 'grpc');
  }

  get(labels: Readonly<Record<string, string>>, isGrpc: boolean): InboundRouteSeries {
    return new InboundRouteSeries(isGrpc ? this.grpc : this.http, labels, isGrpc);
  }
}

export class InboundRouteSeries {
  private readonly families: InboundFamilies;
  private readonly labels: Readonly<Record<string, string>>;
  private readonly isGrpc: boolean;
  private readonly requests: Counter;
  private readonly requestFrames: Histogram;
  private readonly responseFrames: Histogram;
  private readonly requestDuration: Histogram;
  private readonly responseDuration: Histogram;
  private readonly statuses = new StatusCounters();

  constructor(families: InboundFamilies, labels: Readonly<Record<string, string>>, isGrpc: boolean) {
    this.families = families;
    this.labels = labels;
    this.isGrpc = isGrpc;
    this.requests = families.requests.get(labels);
    this.requestFrames = families.requestFrames.get(labels);
    this.responseFrames = families.responseFrames.get(labels);
    this.requestDuration = families.requestDurations.get(labels);
    this.responseDuration = families.responseDurations.get(labels);
  }

  request(): void {
    this.requests.value += 1;
  }

  requestFrame(bytes: number): void {
    this.requestFrames.observe(bytes);
  }

  responseFrame(bytes: number): void {
    this.responseFrames.observe(bytes);
  }

  finished(outcome: Outcome, fields: Readonly<FieldList> | undefined, trailers: Readonly<FieldList> | undefined, elapsedMs: number): void {
    this.requestDuration.observe(elapsedMs / 1000);
    this.responseDuration.observe(elapsedMs / 1000);
    const text = this.isGrpc ? classify(outcome, fields, trailers).grpcStatus : '';
    this.statuses.count(this.isGrpc ? 0 : outcome.status, text, errorLabelOf(outcome), (value, error) =>
      this.families.statuses.get({ ...this.labels, status: value, ...(error === '' ? {} : { error }) }),
    );
  }
}
