// SPDX-License-Identifier: Apache-2.0
/* All families of the outbound side, and the label sets that its layers ask for (proxy-contract §7). */
import type { SocketAddress } from '@weft/net';
import type { Backend, Meta } from '@weft/routing';
import type { CounterFamily, HistogramFamily, MetricRegistry } from '@weft/telemetry';
import type { DetectedProtocol } from '../http/detect-protocol.ts';
import { type ProxyError, errorLabel } from '../http/proxy-error.ts';
import type { HttpEndpoint } from '../outbound/http-endpoint.ts';
import { BalancerMetrics, type BalancerSeries } from './balancer-metrics.ts';
import type { EndpointMetrics, EndpointSeries } from './endpoint-metrics.ts';
import { countDetection, peerErrorFamily } from './inbound-metrics.ts';
import { RouteMetrics, metaLabels } from './route-metrics.ts';
import { ServerFirstMetrics } from './server-first.ts';
import type { TransportMetrics } from './transport-metrics.ts';

const LEGACY = { layout: 'legacy' } as const;
const DETECT_SECONDS = [0.001, 0.1];

export class OutboundMetrics {
  readonly transport: TransportMetrics;
  readonly routes: RouteMetrics;
  private readonly serverFirsts: ServerFirstMetrics;
  private readonly endpoints: EndpointMetrics;
  private readonly httpErrors: CounterFamily;
  private readonly tcpErrors: CounterFamily;
  private readonly protocols: CounterFamily;
  private readonly detectDuration: HistogramFamily;
  private readonly detectResults: CounterFamily;
  private readonly tcpOpens: CounterFamily;
  private readonly tcpCloses: CounterFamily;
  private readonly tlsOpens: CounterFamily;
  private readonly tlsCloses: CounterFamily;
  private readonly httpBalancers: BalancerMetrics;
  private readonly tcpBalancers: BalancerMetrics;
  private readonly tlsBalancers: BalancerMetrics;
  private readonly hasHostnameLabels: boolean;
  private readonly peerErrorCounts: CounterFamily;
  private readonly seriesByEndpoint = new WeakMap<HttpEndpoint, EndpointSeries>();

  /** `hasHostnameLabels`: OUTBOUND_METRICS_HOSTNAME_LABELS. */
  constructor(registry: MetricRegistry, transport: TransportMetrics, endpoints: EndpointMetrics, hasHostnameLabels = false) {
    this.transport = transport;
    this.endpoints = endpoints;
    this.httpErrors = registry.counter(
      'outbound_http_errors_total',
      'The total number of outbound HTTP requests that could not be processed due to a proxy error.',
      undefined,
      LEGACY,
    );
    this.tcpErrors = registry.counter(
      'outbound_tcp_errors_total',
      'The total number of outbound TCP connections that could not be processed due to a proxy error.',
      undefined,
      LEGACY,
    );
    this.protocols = registry.counter('outbound_tcp_protocol_connections_total', 'Outbound TCP connections by protocol configuration');
    this.detectDuration = registry.histogram(
      'outbound_tcp_detect_http_duration_seconds',
      'Time taken for protocol detection',
      DETECT_SECONDS,
      undefined,
      { unit: 'seconds' },
    );
    this.detectResults = registry.counter('outbound_tcp_detect_http_results_total', 'Results for protocol detection');
    this.peerErrorCounts = peerErrorFamily(registry);
    this.hasHostnameLabels = hasHostnameLabels;
    this.serverFirsts = new ServerFirstMetrics(registry, 'outbound');
    this.routes = new RouteMetrics(registry, hasHostnameLabels);
    this.httpBalancers = new BalancerMetrics(registry, 'outbound_http');
    this.tcpBalancers = new BalancerMetrics(registry, 'outbound_tcp');
    this.tlsBalancers = new BalancerMetrics(registry, 'outbound_tls');
    this.tlsOpens = registry.counter('outbound_tls_route_open_total', 'The total number of connections opened');
    this.tlsCloses = registry.counter('outbound_tls_route_close_total', 'The total number of connections closed');
    this.tcpOpens = registry.counter('outbound_tcp_route_open_total', 'The total number of connections opened');
    this.tcpCloses = registry.counter('outbound_tcp_route_close_total', 'The total number of connections closed');
  }

  /** The series of an endpoint; `authority` is its backend's logical name. */
  endpointSeries(endpoint: HttpEndpoint): EndpointSeries {
    let series = this.seriesByEndpoint.get(endpoint);
    if (series === undefined) {
      series = this.endpoints.get(withAuthority(endpoint.transport.labels));
      this.seriesByEndpoint.set(endpoint, series);
    }
    return series;
  }

  httpBalancer(parent: Meta, backend: Backend, failfastTimeoutMs: number): BalancerSeries {
    return this.httpBalancers.series(
      { ...metaLabels('parent', parent, true), ...metaLabels('backend', backend.meta, true) },
      failfastTimeoutMs,
    );
  }

  /** The balancer of an opaque route, or of a TLS route. */
  tcpBalancer(parent: Meta, backend: Backend, isTls: boolean, failfastTimeoutMs: number): BalancerSeries | undefined {
    const { target } = backend;
    if (target.kind !== 'balance') return undefined;
    const labels = { ...metaLabels('parent', parent, true), ...metaLabels('backend', backend.meta, true) };
    return isTls
      ? this.tlsBalancers.series({ ...labels, concrete: target.path }, failfastTimeoutMs)
      : this.tcpBalancers.series({ ...labels, logical: target.path, concrete: target.path }, failfastTimeoutMs);
  }

  httpError(error: ProxyError): void {
    const label = errorLabel(error.kind);
    if (label !== undefined) this.httpErrors.get({ error: label }).value += 1;
  }

  tcpError(target: SocketAddress, error: string): void {
    this.tcpErrors.get({
      target_addr: target.ip.includes(':') ? `[${target.ip}]:${target.port}` : `${target.ip}:${target.port}`,
      target_ip: target.ip,
      target_port: String(target.port),
      error,
    }).value += 1;
  }

  /** A client broke HTTP. */
  peerErrors(kind: string, count: number): void {
    this.peerErrorCounts.get({ direction: 'outbound', kind }).value += count;
  }

  protocolConnection(parent: Meta | undefined, protocol: string): void {
    this.protocols.get({ protocol, ...metaLabels('parent', parent, true) }).value += 1;
  }

  /** A connection waited in vain for its client to speak. */
  serverFirst(parent: Meta | undefined): void {
    this.serverFirsts.of(metaLabels('parent', parent, true)).value += 1;
  }

  detected(parent: Meta | undefined, protocol: DetectedProtocol, elapsedMs: number): void {
    const labels = metaLabels('parent', parent, true);
    this.detectDuration.get(labels).observe(elapsedMs / 1000);
    countDetection(this.detectResults, labels, protocol);
  }

  /** `sni` is given for TLS routes, which are told apart by it and not by address. */
  tcpRoute(event: 'open' | 'close', target: SocketAddress, parent: Meta, route: Meta | undefined, error: string, sni?: string): void {
    const labels = {
      ...metaLabels('parent', parent, true),
      ...metaLabels('route', route, false),
      ...(sni === undefined
        ? { target_ip: target.ip, target_port: String(target.port) }
        : { hostname: this.hasHostnameLabels ? sni.toLowerCase() : '' }),
    };
    if (event === 'open') (sni === undefined ? this.tcpOpens : this.tlsOpens).get(labels).value += 1;
    else (sni === undefined ? this.tcpCloses : this.tlsCloses).get({ ...labels, error }).value += 1;
  }
}

/** Endpoint labels with `direction` in front, `authority` second. */
function withAuthority(labels: Readonly<Record<string, string>>): Record<string, string> {
  const { authority, ...rest } = labels;
  return { direction: 'outbound', ...(authority === undefined ? {} : { authority }), ...rest };
}
