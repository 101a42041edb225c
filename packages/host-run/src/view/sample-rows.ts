// SPDX-License-Identifier: Apache-2.0
/*
 * Which row of the view a proxy's sample counts into (metric names: proxy-contract §7, features MET): what arrives at a workload from its inbound
 * metrics, what its routes do from the outbound ones of their callers. Probes and scrapes of the run itself do not count.
 */
import { ADMIN_PORT } from '../pod/proxy-settings.ts';
import type { Sample } from './prometheus-text.ts';
import type { TrafficStats } from './traffic-stats.ts';

/**
 * Tables of the view: what arrives at a workload, what a route sends to a backend, what a backend's callers see (finer latencies than a route has),
 * connections to a service.
 */
export type RowTable = 'workload' | 'route' | 'backend' | 'tcp';

/** Where a sample's increase goes. */
export interface SampleTarget {
  readonly table: RowTable;
  readonly row: string;
  /** A level, not a count: the value itself is given to `apply`, and only the latest reading counts. */
  readonly isLevel?: true;
  apply(stats: TrafficStats, amount: number): void;
}

const WANTED: ReadonlySet<string> = new Set([
  'response_total',
  'response_latency_ms_bucket',
  'request_total',
  'outbound_http_route_backend_response_statuses_total',
  'outbound_http_route_request_statuses_total',
  'outbound_grpc_route_backend_response_statuses_total',
  'outbound_grpc_route_request_statuses_total',
  'outbound_tcp_route_open_total',
  'outbound_tcp_route_close_total',
  'tcp_open_connections',
  'tcp_read_bytes_total',
  'tcp_write_bytes_total',
]);

export function isWantedMetric(name: string): boolean {
  return WANTED.has(name);
}

/** Row that a request is counted in by its caller's proxy as a whole, over all backends: what decides whether a run has failed. */
export const ALL_ROUTES = '*';

/** Where a sample of a pod of `workload` belongs; undefined for one that no row counts. */
export function targetOf({ name, labels }: Sample, workload: string): SampleTarget | undefined {
  switch (name) {
    case 'response_total':
      if (!isInboundTraffic(labels)) return undefined;
      return { table: 'workload', row: workload, apply: labels['classification'] === 'success' ? addSuccess : addFailure };
    case 'request_total':
      if (labels['direction'] === 'outbound') return { table: 'backend', row: backendRow(labels), apply: tlsCount(labels) };
      return isInboundTraffic(labels) ? { table: 'workload', row: workload, apply: tlsCount(labels) } : undefined;
    case 'response_latency_ms_bucket':
      if (labels['direction'] === 'outbound') return { table: 'backend', row: backendRow(labels), apply: addBucket(labels['le']) };
      return isInboundTraffic(labels) ? { table: 'workload', row: workload, apply: addBucket(labels['le']) } : undefined;
    case 'outbound_http_route_backend_response_statuses_total':
    case 'outbound_grpc_route_backend_response_statuses_total':
      return { table: 'route', row: routeRow(labels), apply: isFailure(labels) ? addFailure : addSuccess };
    case 'outbound_http_route_request_statuses_total':
    case 'outbound_grpc_route_request_statuses_total':
      return { table: 'route', row: ALL_ROUTES, apply: isFailure(labels) ? addFailure : addSuccess };
    case 'outbound_tcp_route_open_total':
      return { table: 'tcp', row: parentRow(labels), apply: addConnection };
    case 'outbound_tcp_route_close_total':
      return { table: 'tcp', row: parentRow(labels), apply: (labels['error'] ?? '') === '' ? addSuccess : addFailure };
    case 'tcp_open_connections':
      if (!isInboundConnection(labels)) return undefined;
      return { table: 'workload', row: workload, isLevel: true, apply: labels['tls'] === 'true' ? addOpenSecured : addOpenUnsecured };
    case 'tcp_read_bytes_total':
    case 'tcp_write_bytes_total':
      return isInboundConnection(labels) ? { table: 'workload', row: workload, apply: addBytes } : undefined;
    default:
      return undefined;
  }
}

function isInboundTraffic(labels: Readonly<Record<string, string>>): boolean {
  return labels['direction'] === 'inbound' && labels['target_port'] !== String(ADMIN_PORT) && labels['route_name'] !== 'probe';
}

function isInboundConnection(labels: Readonly<Record<string, string>>): boolean {
  return labels['direction'] === 'inbound' && labels['peer'] === 'src' && labels['target_port'] !== String(ADMIN_PORT);
}

function isFailure(labels: Readonly<Record<string, string>>): boolean {
  if ((labels['error'] ?? '') !== '') return true;
  const grpc = labels['grpc_status'];
  if (grpc !== undefined && grpc !== '') return grpc !== 'OK' && grpc !== '0';
  return Number(labels['http_status'] ?? '0') >= 500;
}

function parentRow(labels: Readonly<Record<string, string>>): string {
  const { parent_namespace: namespace = '', parent_name: name = '', parent_port: port = '' } = labels;
  return `${namespace === '' ? '' : `${namespace}/`}${name}${port === '' ? '' : `:${port}`}`;
}

/** `namespace/service`, or the address of what is no service. */
function backendRow(labels: Readonly<Record<string, string>>): string {
  const { dst_namespace: namespace = '', dst_service: service = '', target_addr: address = '' } = labels;
  return service === '' ? address : `${namespace}/${service}`;
}

function routeRow(labels: Readonly<Record<string, string>>): string {
  const { route_name: route = '', backend_name: backend = '', backend_namespace: namespace = '' } = labels;
  return `${parentRow(labels)}\t${route}\t${namespace === '' ? '' : `${namespace}/`}${backend}`;
}

type Apply = SampleTarget['apply'];
const addSuccess: Apply = (stats, increase) => void (stats.successes += increase);
const addFailure: Apply = (stats, increase) => void (stats.failures += increase);
const addOpenSecured: Apply = (stats, count) => void (stats.openSecured += count);
const addOpenUnsecured: Apply = (stats, count) => void (stats.openUnsecured += count);
const addSecured: Apply = (stats, increase) => void (stats.secured += increase);
const addUnsecured: Apply = (stats, increase) => void (stats.unsecured += increase);
const addConnection: Apply = (stats, increase) => void (stats.connections += increase);
const addBytes: Apply = (stats, increase) => void (stats.bytes += increase);

function tlsCount(labels: Readonly<Record<string, string>>): Apply {
  return labels['tls'] === 'true' ? addSecured : addUnsecured;
}

function addBucket(le: string | undefined): Apply {
  const bound = le === undefined || le === '+Inf' ? Infinity : Number(le);
  return (stats, increase) => stats.addBucket(bound, increase);
}
