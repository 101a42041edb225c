// SPDX-License-Identifier: Apache-2.0
/*
 * A request on its way out of the pod: the outbound side's header rules (proxy-contract §4.4), its error texts, its metrics, and a
 * second endpoint for requests that the first one certainly did not process.
 */
import { type FieldList, fieldValue } from '@weft/bytes';
import { H2_CODES, h2CodeName } from '@weft/http2';
import type { Backend, Meta } from '@weft/routing';
import { Exchange, type Outcome } from '../http/exchange.ts';
import type { ProxyError } from '../http/proxy-error.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import { type ClientFailure, HTTP_2, type ResponseHead, type ServerStream } from '../http/types.ts';
import type { OutboundRouteSeries } from '../metrics/route-metrics.ts';
import type { EndpointSeries } from '../metrics/endpoint-metrics.ts';
import type { Observation } from '../observe/observation.ts';
import type { Clock } from '../runtime.ts';
import type { HttpBackend } from './http-backend.ts';
import { type Dispatchable, ENDPOINT_REMOVED, type HttpEndpoint } from './http-endpoint.ts';
import { responseFilters } from './route-filters.ts';
import type { Filter } from '@weft/routing';

/** Endpoints tried for one request before giving up, and while it is still young; each earlier one did certainly not process it. */
const MAX_DISPATCHES = 4;
const MAX_QUICK_DISPATCHES = 16;
const QUICK_MS = 10_000;
/**
 * Round-trip time in milliseconds that an endpoint is taken to have once its proxy could not reach the application: such answers are quick, and
 * would otherwise draw requests to a pod that is going.
 */
const UNREACHED_RTT_MS = 1000;
/** What a proxy says whose application refused the connection or did not take it in time (proxy-contract §4.5). */
const UNREACHED = ['client error (Connect)', 'connect timed out'];

export interface OutboundExchangeDeps {
  readonly clock: Clock;
  readonly emitDetails: boolean;
  /** `ip:port` that the application dialled. */
  readonly logical: string;
  /** Taps and traces, where there may be any. */
  readonly observe?: Observation | undefined;
  endpointSeries(endpoint: HttpEndpoint): EndpointSeries;
  countError(error: ProxyError): void;
}

export class OutboundExchange extends Exchange implements Dispatchable {
  private readonly deps: OutboundExchangeDeps;
  private readonly route: Meta | undefined;
  private readonly routeSeries: OutboundRouteSeries | undefined;
  private readonly filters: readonly Filter[];
  /** Lower-case identity that the application asked for with `l5d-require-id`. */
  private readonly requiredId: string | undefined;
  private backend: HttpBackend | undefined = undefined;
  private endpoint: HttpEndpoint | undefined = undefined;
  private endpointSeries: EndpointSeries | undefined = undefined;
  private readonly startedMs: number;
  private dispatchedMs = 0;
  /** Authority that an endpoint put in place of the request's, and the head before that. */
  private override: string | undefined = undefined;
  private ownHead: ProxyRequestHead | undefined = undefined;
  private dispatches = 0;

  constructor(
    head: ProxyRequestHead,
    server: ServerStream,
    end: boolean,
    deps: OutboundExchangeDeps,
    route: { meta: Meta; series: OutboundRouteSeries; filters: readonly Filter[] } | undefined,
    requiredId?: string,
  ) {
    super(head, server, end);
    this.deps = deps;
    this.route = route?.meta;
    this.routeSeries = route?.series;
    this.filters = route?.filters ?? NO_FILTERS;
    this.requiredId = requiredId;
    this.startedMs = deps.clock.now();
  }

  /** Sends the request to one of the backend's endpoints. */
  send(backend: HttpBackend): void {
    this.backend = backend;
    this.dispatches += 1;
    backend.dispatch(this);
  }

  refuses(endpoint: HttpEndpoint): ProxyError | undefined {
    const { requiredId } = this;
    if (requiredId === undefined) return undefined;
    const { tlsStatus } = endpoint.transport;
    const foundId = tlsStatus.tls === 'true' ? tlsStatus.serverId : undefined;
    if (foundId === requiredId) return undefined;
    const found = foundId === undefined ? 'None' : `Some(${serverIdText(foundId)})`;
    return {
      kind: 'identity-required',
      message: this.describe(`required id ${serverIdText(requiredId)}; found ${found}`, this.backend?.backend),
    };
  }

  onBound(endpoint: HttpEndpoint): void {
    this.endpoint?.release();
    this.endpoint = endpoint;
    if (endpoint.authorityOverride !== this.override) this.overrideAuthority(endpoint.authorityOverride);
    // HTTP/1.0 may come without Host; as HTTP/2 it needs an authority all the same (§4.3: the original destination).
    if (endpoint.mode === 'h2' && this.head.authority === undefined && this.head.version !== HTTP_2) {
      this.head = this.head.with({ authority: this.deps.logical });
    }
    if (this.watch !== undefined) this.head = this.watch.bound(this.head, endpoint.transport);
    this.dispatchedMs = this.deps.clock.now();
    const series = this.deps.endpointSeries(endpoint);
    this.endpointSeries = series;
    series.requests.value += 1;
    this.routeSeries?.backendRequest(this.backend?.backend);
  }

  /** The endpoint is the gateway of another cluster, which knows the service by another name (§4.4). */
  private overrideAuthority(authority: string | undefined): void {
    this.override = authority;
    const head = (this.ownHead ??= this.head);
    this.head = authority === undefined ? head : withAuthority(head, authority);
  }

  describe(cause: string, backend: Backend | undefined): string {
    const route = this.route === undefined ? '' : ` route ${metaText(this.route)}:`;
    const name = backend === undefined ? '' : ` backend ${metaText(backend.meta)}: ${metaText(backend.meta)}:`;
    return `logical service ${this.deps.logical}:${route}${name} ${cause}`;
  }

  protected override showsDetails(): boolean {
    return this.deps.emitDetails;
  }

  protected override mapResponse(head: ResponseHead): ResponseHead {
    let { fields } = head;
    if (fieldValue(fields, 'l5d-proxy-connection') === 'close' && this.backend?.backend.target.kind === 'forward') {
      this.server.closeAfterResponse();
    }
    fields = withoutProxyFields(fields);
    for (const filter of this.filters) fields = responseFilters(filter, fields);
    return fields === head.fields ? head : { ...head, fields };
  }

  protected override mapFailure(failure: ClientFailure): ProxyError {
    const { endpoint } = this;
    const at = endpoint === undefined ? '' : `endpoint ${endpoint.transport.labels['target_addr'] ?? ''}: `;
    switch (failure.kind) {
      case 'connect':
        return { kind: 'connect', message: `${at}client error (Connect)` };
      case 'connect-timeout':
        return { kind: 'connect-timeout', message: `${at}connect timed out` };
      case 'reset':
        return { kind: 'bad-gateway', message: `${at}upgraded connection failed with HTTP/2 reset: ${resetText(failure.h2Code)}` };
      case 'closed':
      case 'protocol':
        return endpoint?.mode === 'h1'
          ? { kind: 'unexpected', message: 'unexpected error' }
          : { kind: 'bad-gateway', message: `${at}${failure.message}` };
      default:
        return failure.kind satisfies never;
    }
  }

  protected override redispatch(failure: ClientFailure): boolean {
    const { backend, endpoint } = this;
    // Nobody has failed where an endpoint was only taken back while the request waited there.
    if (backend === undefined || (failure !== ENDPOINT_REMOVED && this.isEnough(failure.kind !== 'reset'))) return false;
    if (failure.kind === 'connect' || failure.kind === 'connect-timeout') {
      // Told at once where no other endpoint could do better; connections that keep themselves up are waited for, until fail-fast.
      if (backend.backend.target.kind === 'forward') return false;
      if (endpoint?.mode === 'h1' && !backend.hasReady) return false;
    }
    this.endpointSeries?.failed();
    this.endpointSeries = undefined;
    if (failure !== ENDPOINT_REMOVED) this.dispatches += 1;
    backend.dispatch(this);
    return true;
  }

  /** `isUnreached` = it was no peer's answer that failed, so that nobody is burdened by another try. */
  private isEnough(isUnreached: boolean): boolean {
    if (this.dispatches < MAX_DISPATCHES) return false;
    return !isUnreached || this.dispatches >= MAX_QUICK_DISPATCHES || this.deps.clock.now() - this.startedMs > QUICK_MS;
  }

  /**
   * The far proxy could not connect to its application, which so has seen nothing of the request: a pod that ends before the news of it has
   * come. Only an authenticated proxy is believed, and where nobody else is ready its answer is what the client gets.
   */
  protected override goesElsewhere(head: ResponseHead): boolean {
    const { backend, endpoint } = this;
    if (head.status !== 502 && head.status !== 504 && head.status !== 200) return false;
    if (endpoint?.mode !== 'h2' || endpoint.transport.tlsStatus.tls !== 'true' || this.head.upgrade !== undefined) return false;
    if (backend === undefined || this.isEnough(false) || !backend.hasOther(endpoint)) return false;
    const error = fieldValue(head.fields, 'l5d-proxy-error');
    return error !== undefined && UNREACHED.some((text) => error.endsWith(text));
  }

  protected override dispatchElsewhere(head: ResponseHead): void {
    const { backend, endpoint } = this;
    if (backend === undefined || endpoint === undefined) return;
    const now = this.deps.clock.now();
    endpoint.load.observe(UNREACHED_RTT_MS, now);
    this.endpointSeries?.latency(head.status, now - this.dispatchedMs);
    this.endpointSeries?.finished({ status: head.status, error: undefined, isAborted: false, failure: undefined }, head.fields, undefined);
    this.endpointSeries = undefined;
    this.dispatches += 1;
    backend.dispatch(this);
  }

  protected override onFirstByte(): void {
    const { endpoint } = this;
    if (endpoint === undefined) return;
    const now = this.deps.clock.now();
    const rttMs = now - this.dispatchedMs;
    endpoint.load.observe(rttMs, now);
    this.endpointSeries?.latency(this.status, rttMs);
  }

  protected override onRescued(error: ProxyError): void {
    this.deps.countError(error);
  }

  protected override onRequestBytes(bytes: number): void {
    this.routeSeries?.requestFrame(bytes, this.head.authority);
  }

  protected override onResponseBytes(bytes: number): void {
    this.routeSeries?.responseFrame(this.backend?.backend, bytes);
  }

  protected override onFinish(outcome: Outcome): void {
    this.endpoint?.release();
    this.endpointSeries?.finished(outcome, this.responseFields, this.trailers);
    this.routeSeries?.finished(
      this.backend?.backend,
      outcome,
      this.responseFields,
      this.trailers,
      this.deps.clock.now() - this.startedMs,
      this.head.authority,
    );
  }
}

/** Host and `l5d-dst-canonical` speak of the old name, so they go. */
function withAuthority(head: ProxyRequestHead, authority: string): ProxyRequestHead {
  const fields: FieldList = [];
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i] as string;
    if (name !== 'host' && name !== 'l5d-dst-canonical') fields.push(name, head.fields[i + 1] as string);
  }
  return head.with({ authority, isAuthorityInTarget: true, fields });
}

const NO_FILTERS: readonly Filter[] = [];

/** Resets of a carried HTTP/1 request in the words of the reference where they were seen, else by RFC 9113's name. */
function resetText(h2Code: number): string {
  if (h2Code === H2_CODES.INTERNAL_ERROR) return 'unexpected internal error encountered';
  if (h2Code === H2_CODES.ENHANCE_YOUR_CALM) return 'detected excessive load generating behavior';
  return h2CodeName(h2Code);
}

/** An identity as error texts of the reference show it. */
function serverIdText(identity: string): string {
  return identity.includes('://') ? `ServerId(Uri("${identity}"))` : `ServerId(Dns(Name("${identity}")))`;
}

/** `default.http`, `HTTPRoute.ns.name`: how the reference names configuration in error texts. */
export function metaText(meta: Meta): string {
  if (meta.kind === 'default') return `default.${meta.name}`;
  const { kind, namespace, name, port } = meta.resource;
  return `${kind}.${namespace}.${name}${port > 0 ? `:${port}` : ''}`;
}

/** The peer proxy's informational fields are for us, never for the application. */
function withoutProxyFields(fields: Readonly<FieldList>): Readonly<FieldList> {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (name.charCodeAt(0) === 0x6c && (name === 'l5d-proxy-error' || name === 'l5d-proxy-connection')) {
      const kept: FieldList = [];
      for (let k = 0; k < fields.length; k += 2) {
        const other = fields[k] as string;
        if (other !== 'l5d-proxy-error' && other !== 'l5d-proxy-connection') kept.push(other, fields[k + 1] as string);
      }
      return kept;
    }
  }
  return fields;
}
