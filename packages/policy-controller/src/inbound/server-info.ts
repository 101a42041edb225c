// SPDX-License-Identifier: Apache-2.0
/*
 * Servers: which ports of which workloads they claim, and what they say of them (control-contract §3.2, features AZ-01, AZ-17, AZ-18,
 * AZ-20). Of several Servers that claim a port the oldest wins, then the first by name.
 */
import { type LabelSelector, type Server, matchesLabelSelector } from '@weft/resources';
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import { isPort } from '../parse/port-set.ts';
import { type DefaultPolicy, parseDefaultPolicy } from './default-policy.ts';
import type { WorkloadInfo } from './workload-info.ts';

/** What `proxyProtocol` may say. */
export const SERVER_PROTOCOLS = ['unknown', 'HTTP/1', 'HTTP/2', 'gRPC', 'opaque', 'TLS'] as const;

export type ServerProtocol = (typeof SERVER_PROTOCOLS)[number];

export interface ServerInfo {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** RFC 3339, seconds. */
  readonly creationTimestamp: string;
  readonly workloadKind: WorkloadInfo['kind'];
  readonly selector: LabelSelector;
  readonly port: number | string;
  readonly protocol: ServerProtocol;
  readonly accessPolicy: DefaultPolicy;
}

/** Reads a Server; an unknown protocol makes it invalid, hence ignored. */
export function serverInfo(server: Server): Parsed<ServerInfo> {
  const { namespace, name, labels, creationTimestamp } = server.metadata;
  const spec = server.spec;
  const selector = spec?.podSelector ?? spec?.externalWorkloadSelector;
  if (spec === undefined || selector === undefined) return invalid('no selector');
  if (typeof spec.port === 'number' ? !isPort(spec.port) : typeof spec.port !== 'string') return invalid('invalid port');
  const protocol = SERVER_PROTOCOLS.find((known) => known === (spec.proxyProtocol ?? 'unknown'));
  if (protocol === undefined) return invalid(`unknown proxyProtocol '${spec.proxyProtocol}'`);
  return valid({
    namespace,
    name,
    labels,
    creationTimestamp,
    workloadKind: spec.podSelector === undefined ? 'external-workload' : 'pod',
    selector,
    port: spec.port,
    protocol,
    // An unknown word must not open a port.
    accessPolicy: parseDefaultPolicy(spec.accessPolicy) ?? 'deny',
  });
}

/** Whether a Server claims this port of this workload. */
export function claimsPort(server: ServerInfo, workload: WorkloadInfo, port: number): boolean {
  if (server.workloadKind !== workload.kind || !matchesLabelSelector(workload.labels, server.selector)) return false;
  if (typeof server.port === 'number') return server.port === port;
  return workload.portsByName.get(server.port)?.includes(port) ?? false;
}

/** The Servers of one namespace that claim a port, the one in force first. */
export function serversOfPort(servers: Iterable<ServerInfo>, workload: WorkloadInfo, port: number): ServerInfo[] {
  const claiming: ServerInfo[] = [];
  for (const server of servers) if (claimsPort(server, workload, port)) claiming.push(server);
  return claiming.sort(byAgeAndName);
}

/** Oldest first, then by name. */
export function byAgeAndName(
  a: { readonly creationTimestamp: string; readonly name: string },
  b: { readonly creationTimestamp: string; readonly name: string },
): number {
  return compareText(a.creationTimestamp, b.creationTimestamp) || compareText(a.name, b.name);
}

/** Order by code units, as the API server's names sort. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
