// SPDX-License-Identifier: Apache-2.0
/* Per-route families of both sides (proxy-contract §7.2): requests, durations, statuses, frame sizes, by parent, route and backend. */
import type { FieldList } from '@weft/bytes';
import { H2_CODES } from '@weft/http2';
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
  private readonly hasHostnameLabels: boolean;

  constructor(registry: MetricRegistry, hasHostnameLabels: boolean) {
    this.hasHostnameLabels = hasHostnameLabels;
    this.http = outboundFamilies(registry, 'http');
    this.grpc = outboundFamilies(registry, 'grpc');
  }

  route(parent: Meta, route: Meta, isGrpc: boolean): OutboundRouteSeries {
    return new OutboundRouteSeries(isGrpc ? this.grpc : this.http, parent, route, this.hasHostnameLabels);
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

/** Names of hosts that a route tells apart; requests for others count without a name. */
const MAX_HOSTNAMES = 100;
/** RFC 1035 §2.3.4. */
const MAX_HOSTNAME_LENGTH = 253;

/** The host of an authority, lower case, without port. */
function hostLabel(authority: string): string {
  const cut = authority.slice(0, MAX_HOSTNAME_LENGTH + 6);
  return cut.replace(/:\d*$/, '').slice(0, MAX_HOSTNAME_LENGTH).toLowerCase();
}

/** What is counted for a route, or for one host of it. */
class HostSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly duration: Histogram;
  readonly requestFrames: Histogram;
  readonly statuses: StatusCounters = new StatusCounters();

  constructor(families: OutboundFamilies, labels: Readonly<Record<string, string>>) {
    this.labels = labels;
    this.duration = families.durations.get(labels);
    this.requestFrames = families.requestFrames.get(labels);
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
  private readonly hasHostnameLabels: boolean;
  /** Series of requests whose host is not told apart. */
  private readonly anyHost: HostSeries;
  private readonly hosts = new Map<string, HostSeries>();
  private readonly backends = new Map<Backend, BackendSeries>();

  constructor(families: OutboundFamilies, parent: Meta, route: Meta, hasHostnameLabels: boolean) {
    this.families = families;
    this.hasHostnameLabels = hasHostnameLabels;
    this.labels = { ...metaLabels('parent', parent, true), ...metaLabels('route', route, false) };
    this.anyHost = new HostSeries(families, { ...this.labels, hostname: '' });
  }

  backendRequest(backend: Backend | undefined): void {
    if (backend !== undefined) this.backend(backend).requests.value += 1;
  }

  /** `hostname`: authority of the request. */
  requestFrame(bytes: number, hostname?: string): void {
    this.host(hostname).requestFrames.observe(bytes);
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
    hostname?: string,
  ): void {
    const { families } = this;
    const isGrpc = families.statusLabel === 'grpc_status';
    const text = isGrpc ? classify(outcome, fields, trailers).grpcStatus : '';
    const error = errorLabelOf(outcome);
    // What the route itself could not do has a name and no status; the answer is made up further out (vectors).
    const isOurs = outcome.error !== undefined && error !== '';
    const status = isGrpc || isOurs ? 0 : outcome.status;
    const code = isOurs ? '' : text;
    const host = this.host(hostname);
    host.duration.observe(elapsedMs / 1000);
    host.statuses.count(status, code, error, (value, cause) =>
      families.statuses.get({ ...host.labels, [families.statusLabel]: value, error: cause }),
    );
    if (backend === undefined) return;
    const series = this.backend(backend);
    series.duration.observe(elapsedMs / 1000);
    series.statuses.count(status, code, error, (value, cause) =>
      families.backendStatuses.get({ ...series.labels, [families.statusLabel]: value, error: cause }),
    );
  }

  private host(hostname: string | undefined): HostSeries {
    if (!this.hasHostnameLabels || hostname === undefined) return this.anyHost;
    const name = hostLabel(hostname);
    const known = this.hosts.get(name);
    if (known !== undefined) return known;
    if (this.hosts.size >= MAX_HOSTNAMES) return this.anyHost;
    const series = new HostSeries(this.families, { ...this.labels, hostname: name });
    this.hosts.set(name, series);
    return series;
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

/** `error` label of the route families (§7.2); '' where the status tells it all. */
function errorLabelOf({ error, isAborted, failure }: Outcome): string {
  switch (error?.kind) {
    case 'failfast':
      return 'FAIL_FAST';
    case 'load-shed':
      return 'LOAD_SHED';
    case 'no-dispatcher':
    case 'identity-required':
      return 'UNKNOWN';
    default:
      break;
  }
  if (!isAborted) return '';
  if (failure === undefined) return 'CANCEL';
  return failure.kind === 'reset' ? resetLabel(failure.h2Code) : 'IO';
}

function resetLabel(h2Code: number): string {
  switch (h2Code) {
    case H2_CODES.CANCEL:
      return 'CANCEL';
    case H2_CODES.REFUSED_STREAM:
      return 'REFUSED';
    case H2_CODES.ENHANCE_YOUR_CALM:
      return 'ENHANCE_YOUR_CALM';
    default:
      return 'RESET';
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
