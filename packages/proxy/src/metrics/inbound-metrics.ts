// SPDX-License-Identifier: Apache-2.0
/* All families of the inbound side, and the label sets that its layers ask for (proxy-contract §7). */
import type { TransportHeader } from '@weft/detect';
import type { SocketAddress } from '@weft/net';
import type { InboundPolicy, Meta } from '@weft/routing';
import type { Counter, CounterFamily, HistogramFamily, MetricRegistry } from '@weft/telemetry';
import type { DetectedProtocol } from '../http/detect-protocol.ts';
import { type ProxyError, errorLabel } from '../http/proxy-error.ts';
import { type InboundClient, tlsLabels } from '../inbound/client.ts';
import type { EndpointMetrics, EndpointSeries } from './endpoint-metrics.ts';
import { InboundRouteMetrics, type InboundRouteSeries } from './route-metrics.ts';
import { ServerFirstMetrics } from './server-first.ts';
import type { TransportMetrics } from './transport-metrics.ts';

const LEGACY = { layout: 'legacy' } as const;
const DETECT_SECONDS = [0.001, 0.1];

/** What is counted of an allowed request, kept by connection and route. */
export interface AllowedSeries {
  readonly allow: Counter;
  readonly endpoint: EndpointSeries;
}

export class InboundMetrics {
  readonly transport: TransportMetrics;
  private readonly serverFirsts: ServerFirstMetrics;
  private readonly endpoints: EndpointMetrics;
  private readonly routes: InboundRouteMetrics;
  private readonly httpAllow: CounterFamily;
  private readonly httpDeny: CounterFamily;
  private readonly notFound: CounterFamily;
  private readonly rateLimits: CounterFamily;
  private readonly httpErrors: CounterFamily;
  private readonly tcpAllow: CounterFamily;
  private readonly tcpDeny: CounterFamily;
  private readonly tcpTerminate: CounterFamily;
  private readonly tcpErrors: CounterFamily;
  private readonly detectDuration: HistogramFamily;
  private readonly detectResults: CounterFamily;
  private readonly transportHeaders: CounterFamily;
  private readonly peerErrorCounts: CounterFamily;
  /** Whether requests are told apart by authority (INBOUND_METRICS_AUTHORITY_LABELS). */
  readonly hasAuthorityLabels: boolean;
  private readonly routeSeriesByKey = new Map<string, InboundRouteSeries>();

  constructor(registry: MetricRegistry, transport: TransportMetrics, endpoints: EndpointMetrics, hasAuthorityLabels: boolean) {
    this.transport = transport;
    this.serverFirsts = new ServerFirstMetrics(registry, 'inbound');
    this.endpoints = endpoints;
    this.hasAuthorityLabels = hasAuthorityLabels;
    this.httpAllow = registry.counter(
      'inbound_http_authz_allow_total',
      'The total number of inbound HTTP requests that were authorized',
      undefined,
      LEGACY,
    );
    this.httpDeny = registry.counter(
      'inbound_http_authz_deny_total',
      'The total number of inbound HTTP requests that could not be processed due to being unauthorized',
      undefined,
      LEGACY,
    );
    this.notFound = registry.counter(
      'inbound_http_route_not_found_total',
      'The total number of inbound HTTP requests that could not be associated with a route',
      undefined,
      LEGACY,
    );
    this.rateLimits = registry.counter(
      'inbound_http_local_ratelimit_total',
      'The total number of inbound HTTP requests that were rate-limited',
      undefined,
      LEGACY,
    );
    this.httpErrors = registry.counter(
      'inbound_http_errors_total',
      'The total number of inbound HTTP requests that could not be processed due to a proxy error.',
      undefined,
      LEGACY,
    );
    this.tcpAllow = registry.counter(
      'inbound_tcp_authz_allow_total',
      'The total number of inbound TCP connections that were authorized',
      undefined,
      LEGACY,
    );
    this.tcpDeny = registry.counter(
      'inbound_tcp_authz_deny_total',
      'The total number of inbound TCP connections that were denied',
      undefined,
      LEGACY,
    );
    this.tcpTerminate = registry.counter(
      'inbound_tcp_authz_terminate_total',
      'The total number of inbound TCP connections that were terminated due to an authorization change',
      undefined,
      LEGACY,
    );
    this.tcpErrors = registry.counter(
      'inbound_tcp_errors_total',
      'The total number of inbound TCP connections that could not be processed due to a proxy error.',
      undefined,
      LEGACY,
    );
    this.detectDuration = registry.histogram(
      'inbound_tcp_detect_http_duration_seconds',
      'Time taken for protocol detection',
      DETECT_SECONDS,
      undefined,
      { unit: 'seconds' },
    );
    this.detectResults = registry.counter('inbound_tcp_detect_http_results_total', 'Results for protocol detection');
    this.transportHeaders = registry.counter('inbound_tcp_transport_header_connections_total', 'TCP connections with transport headers');
    this.peerErrorCounts = peerErrorFamily(registry);
    this.routes = new InboundRouteMetrics(registry);
  }

  /** The counters of authorized requests of a connection on a route. `authority` is undefined unless it is to be a label. */
  allowedRequest(
    target: SocketAddress,
    server: Readonly<Record<string, string>>,
    client: InboundClient,
    route: Meta,
    authorization: Meta,
    authority: string | undefined,
  ): AllowedSeries {
    const targets = targetLabels(target);
    const tls = tlsLabels(client.tls);
    const routeAndAuthz = { ...gkn('route', route), ...gkn('authz', authorization) };
    return {
      allow: this.httpAllow.get({ ...targets, ...server, ...routeAndAuthz, ...tls }),
      endpoint: this.endpoints.get({
        direction: 'inbound',
        ...(authority === undefined ? {} : { authority }),
        ...targets,
        ...tls,
        ...server,
        ...routeAndAuthz,
      }),
    };
  }

  /** A request over a limit of the policy `limit`. */
  rateLimited(
    target: SocketAddress,
    server: Readonly<Record<string, string>>,
    client: InboundClient,
    limit: Meta | undefined,
    scope: string,
  ): void {
    const labels = gkn('ratelimit', limit ?? { kind: 'default', name: '' });
    this.rateLimits.get({
      ...targetLabels(target),
      ...server,
      ...labels,
      ratelimit_scope: scope,
      ...tlsLabels(client.tls),
    }).value += 1;
  }

  deniedRequest(target: SocketAddress, server: Readonly<Record<string, string>>, client: InboundClient, route: Meta): void {
    this.httpDeny.get({ ...targetLabels(target), ...server, ...gkn('route', route), ...tlsLabels(client.tls) }).value += 1;
  }

  /** Counters of `inbound_grpc_*` where the policy says gRPC, of `inbound_http_*` elsewhere, also for gRPC requests (§7.2). */
  routeSeries({ meta: server, protocol }: InboundPolicy, port: number, route: Meta): InboundRouteSeries {
    const grpc = protocol === 'grpc';
    const key = `${grpc ? 'g' : 'h'} ${server.group} ${server.kind} ${server.name} ${port} ${metaKey(route)}`;
    let series = this.routeSeriesByKey.get(key);
    if (series === undefined) {
      series = this.routes.get(
        {
          parent_group: server.group,
          parent_kind: server.kind,
          parent_name: server.name,
          parent_port: String(port),
          ...gkn('route', route),
        },
        grpc,
      );
      this.routeSeriesByKey.set(key, series);
    }
    return series;
  }

  routeNotFound(target: SocketAddress, server: Readonly<Record<string, string>>, client: InboundClient): void {
    this.notFound.get({ ...targetLabels(target), ...server, ...tlsLabels(client.tls) }).value += 1;
  }

  httpError(error: ProxyError, target: string, server: Readonly<Record<string, string>>): void {
    const label = errorLabel(error.kind);
    if (label === undefined) return;
    const colon = target.lastIndexOf(':');
    this.httpErrors.get({
      error: label,
      target_addr: target,
      target_ip: target.slice(0, colon),
      target_port: target.slice(colon + 1),
      ...server,
    }).value += 1;
  }

  tcpAuthorized(
    target: SocketAddress,
    server: Readonly<Record<string, string>>,
    client: InboundClient,
    authorization: Meta | undefined,
  ): void {
    const targets = targetLabels(target);
    const tls = tlsLabels(client.tls);
    if (authorization === undefined) this.tcpDeny.get({ ...targets, ...server, ...tls }).value += 1;
    else this.tcpAllow.get({ ...targets, ...server, ...gkn('authz', authorization), ...tls }).value += 1;
  }

  tcpTerminated(target: SocketAddress, server: Readonly<Record<string, string>>, client: InboundClient): void {
    this.tcpTerminate.get({ ...targetLabels(target), ...server, ...tlsLabels(client.tls) }).value += 1;
  }

  tcpError(target: SocketAddress, error: string): void {
    this.tcpErrors.get({ error, ...targetLabels(target) }).value += 1;
  }

  /** A client broke HTTP. */
  peerErrors(kind: string, count: number): void {
    this.peerErrorCounts.get({ direction: 'inbound', kind }).value += count;
  }

  /** A connection waited in vain for its client to speak; `server` are the `srv_*` labels. */
  serverFirst(server: Readonly<Record<string, string>>): void {
    this.serverFirsts.of(server).value += 1;
  }

  detected(server: InboundPolicy['meta'], port: number, protocol: DetectedProtocol, elapsedMs: number): void {
    const labels = { srv_group: server.group, srv_kind: server.kind, srv_name: server.name, srv_port: String(port) };
    this.detectDuration.get(labels).observe(elapsedMs / 1000);
    countDetection(this.detectResults, labels, protocol);
  }

  transportHeader(header: TransportHeader, clientId: string): void {
    this.transportHeaders.get({
      session_protocol: header.sessionProtocol === undefined ? '' : header.sessionProtocol === 'http1' ? 'http/1' : 'http/2',
      target_port: String(header.port),
      target_name: header.name ?? '',
      client_id: clientId,
    }).value += 1;
  }
}

const DETECTION_RESULTS = ['http/1', 'http/2', 'not_http', 'read_timeout', 'error'] as const;

/** One result of detection. The others are there from the first one on, at 0, so that rates of them can be asked for. */
export function countDetection(family: CounterFamily, labels: Readonly<Record<string, string>>, protocol: string): void {
  for (const result of DETECTION_RESULTS) {
    const counter = family.get({ result, ...labels });
    if (result === protocol) counter.value += 1;
  }
}

/** Messages and connections refused because they are no proper HTTP; both directions share it. */
export function peerErrorFamily(registry: MetricRegistry): CounterFamily {
  return registry.counter('weft_http_peer_errors_total', 'Violations of HTTP by clients, by kind');
}

function targetLabels(target: SocketAddress): Record<string, string> {
  const addr = target.ip.includes(':') ? `[${target.ip}]:${target.port}` : `${target.ip}:${target.port}`;
  return { target_addr: addr, target_ip: target.ip, target_port: String(target.port) };
}

/** Labels group, kind, name under a prefix. */
function gkn(prefix: string, meta: Meta): Record<string, string> {
  return meta.kind === 'default'
    ? { [`${prefix}_group`]: '', [`${prefix}_kind`]: 'default', [`${prefix}_name`]: meta.name }
    : { [`${prefix}_group`]: meta.resource.group, [`${prefix}_kind`]: meta.resource.kind, [`${prefix}_name`]: meta.resource.name };
}

function metaKey(meta: Meta): string {
  return meta.kind === 'default' ? `d/${meta.name}` : `${meta.resource.group}/${meta.resource.kind}/${meta.resource.name}`;
}
