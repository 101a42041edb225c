// SPDX-License-Identifier: Apache-2.0
/* A request on its way into the pod's application: header rules, error texts and metrics of the inbound side (proxy-contract §4.4, §4.5). */
import { type FieldList, hasField } from '@weft/bytes';
import { Exchange, type Outcome } from '../http/exchange.ts';
import type { ProxyError } from '../http/proxy-error.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { ClientFailure, ResponseHead, ServerStream } from '../http/types.ts';
import type { EndpointSeries } from '../metrics/endpoint-metrics.ts';
import type { InboundRouteSeries } from '../metrics/route-metrics.ts';
import type { HttpBackend } from '../outbound/http-backend.ts';
import type { Dispatchable, HttpEndpoint } from '../outbound/http-endpoint.ts';
import type { Clock } from '../runtime.ts';
import { type InboundClient, clientIdentity } from './client.ts';
import type { AccessLog, AccessRecord } from '../metrics/access-log.ts';

const MAX_DISPATCHES = 2;

export interface InboundExchangeDeps {
  readonly clock: Clock;
  /** `ip:port` of this proxy as the client dialled it, for error texts. */
  readonly server: string;
  /** `ip:port` of the application. */
  readonly target: string;
  readonly accessLog: AccessLog | undefined;
  countError(error: ProxyError): void;
  /** Tunnels that are open now: their connections must go once policy says so. */
  readonly tunnels: Set<InboundExchange>;
}

export class InboundExchange extends Exchange implements Dispatchable {
  private readonly deps: InboundExchangeDeps;
  private readonly client_: InboundClient;
  /** The request as it came, before filters; undefined where it was refused. */
  received: ProxyRequestHead | undefined = undefined;
  private endpoint: HttpEndpoint | undefined = undefined;
  private readonly series: EndpointSeries | undefined;
  private readonly routeSeries: InboundRouteSeries | undefined;
  private backend: HttpBackend | undefined = undefined;
  private readonly startedMs: number;
  private dispatchedMs = 0;
  /** How long the application took to begin its answer. */
  private appMs = 0;
  private dispatches = 0;
  private responseBytes = 0;

  constructor(
    head: ProxyRequestHead,
    server: ServerStream,
    end: boolean,
    deps: InboundExchangeDeps,
    client: InboundClient,
    series: EndpointSeries | undefined,
    routeSeries: InboundRouteSeries | undefined,
  ) {
    super(head, server, end);
    this.deps = deps;
    this.client_ = client;
    this.series = series;
    this.routeSeries = routeSeries;
    this.startedMs = deps.clock.now();
  }

  send(backend: HttpBackend): void {
    this.backend = backend;
    this.dispatches += 1;
    if (this.series !== undefined) this.series.requests.value += 1;
    if (this.routeSeries !== undefined) this.routeSeries.request();
    backend.dispatch(this);
  }

  refuses(): undefined {
    return undefined;
  }

  onBound(endpoint: HttpEndpoint): void {
    this.endpoint?.release();
    this.endpoint = endpoint;
    if (this.watch !== undefined) this.head = this.watch.bound(this.head, endpoint.transport);
    this.dispatchedMs = this.deps.clock.now();
  }

  describe(cause: string): string {
    const { authority } = this.head;
    const service = authority === undefined ? '' : `service ${authority}: `;
    return `${this.prefix()}server ${this.deps.target}: ${service}${cause}`;
  }

  /** Text of a refusal by policy. */
  denial(cause: string): string {
    return `${this.prefix()}${cause}`;
  }

  protected override showsDetails(): boolean {
    return clientIdentity(this.client_) !== undefined;
  }

  protected override mapResponse(head: ResponseHead): ResponseHead {
    if (this.isTunnel) this.deps.tunnels.add(this);
    return head;
  }

  /** Ends a tunnel that policy does not allow any more. */
  terminate(): void {
    this.rescue({ kind: 'unauthorized', message: this.denial('unauthorized request on route') });
  }

  get inboundClient(): InboundClient {
    return this.client_;
  }

  protected override mapFailure(failure: ClientFailure): ProxyError {
    switch (failure.kind) {
      case 'connect':
        // Without context, as the reference.
        return { kind: 'connect', message: 'client error (Connect)' };
      case 'connect-timeout':
        return { kind: 'connect-timeout', message: this.describe('connect timed out') };
      case 'closed':
      case 'protocol':
      case 'reset':
        return { kind: 'unexpected', message: 'unexpected error' };
      default:
        return failure.kind satisfies never;
    }
  }

  protected override redispatch(failure: ClientFailure): boolean {
    if (this.backend === undefined || failure.kind !== 'closed' || this.dispatches >= MAX_DISPATCHES) return false;
    this.dispatches += 1;
    this.backend.dispatch(this);
    return true;
  }

  protected override onFirstByte(): void {
    const now = this.deps.clock.now();
    if (this.endpoint !== undefined) {
      this.appMs = now - this.dispatchedMs;
      this.endpoint.load.observe(now - this.dispatchedMs, now);
      this.series?.latency(this.status, now - this.startedMs);
    }
  }

  protected override onRescued(error: ProxyError): void {
    this.deps.countError(error);
  }

  protected override onRequestBytes(bytes: number): void {
    this.routeSeries?.requestFrame(bytes);
  }

  protected override onResponseBytes(bytes: number): void {
    this.responseBytes += bytes;
    this.routeSeries?.responseFrame(bytes);
  }

  protected override onFinish(outcome: Outcome): void {
    if (this.isTunnel) this.deps.tunnels.delete(this);
    this.endpoint?.release();
    const elapsedMs = this.deps.clock.now() - this.startedMs;
    if (this.dispatches > 0) {
      this.series?.finished(outcome, this.responseFields, this.trailers);
      this.routeSeries?.finished(outcome, this.responseFields, this.trailers, elapsedMs);
    }
    const { accessLog } = this.deps;
    if (accessLog !== undefined) {
      const record: AccessRecord = {
        client: this.client_,
        head: this.head,
        status: outcome.status,
        responseBytes: this.responseBytes,
        totalMs: elapsedMs,
        appMs: this.appMs,
        responseFields: this.responseFields,
      };
      accessLog.write(record);
    }
  }

  private prefix(): string {
    return `client ${this.client_.ip}:${this.client_.port}: server: ${this.deps.server}: `;
  }
}

/**
 * Request fields as the application may see them: `l5d-client-id` is what TLS has proved or nothing (§4.4), and from outside of the mesh nobody may
 * tell an ingress where its requests go. The same array comes back where nothing changes.
 */
export function withClientIdentity(fields: Readonly<FieldList>, identity: string | undefined): Readonly<FieldList> {
  const isOutsider = identity === undefined;
  const isClaimed = hasField(fields, 'l5d-client-id') || (isOutsider && hasField(fields, 'l5d-dst-override'));
  if (!isClaimed && isOutsider) return fields;
  const kept: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (isClaimed && (fields[i] === 'l5d-client-id' || (isOutsider && fields[i] === 'l5d-dst-override'))) continue;
    kept.push(fields[i] as string, fields[i + 1] as string);
  }
  if (identity !== undefined) kept.push('l5d-client-id', identity);
  return kept;
}
