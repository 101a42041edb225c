// SPDX-License-Identifier: Apache-2.0
/*
 * One resolved endpoint of a service port, and how a slice becomes some (control-contract §1.5): the port by name, the target's records, the
 * identity of each endpoint over time, and which changes of it are worth sending.
 */
import type { IpAddress } from '../ip-address.ts';
import type { ExternalWorkloadRecord } from '../records/external-workload-record.ts';
import type { PodRecord } from '../records/pod-record.ts';
import type { ServiceRecord } from '../records/service-record.ts';
import type { EndpointRecord, SliceRecord } from '../records/slice-record.ts';
import { isMeshedPort } from '../weighted-addr.ts';
import { ownerOfPod, ownerOfWorkload, type WorkloadOwner } from '../workload-owner.ts';
import type { World } from '../world.ts';

/** What stands behind an endpoint. */
export type EndpointWorkload =
  | { readonly kind: 'pod'; readonly pod: PodRecord; readonly owner: WorkloadOwner }
  | { readonly kind: 'external-workload'; readonly workload: ExternalWorkloadRecord; readonly owner: WorkloadOwner }
  | { readonly kind: 'service-ref'; readonly identity: string | undefined; readonly authorityOverride: string | undefined };

/** An endpoint of one service port. */
export interface ServiceEndpoint {
  /** The same endpoint over time: a pod and family, an external workload, or an address of the slice itself. */
  readonly id: string;
  /** Key of the slice that it comes from. */
  readonly sliceKey: string;
  /** `address:port`, as the proxies tell endpoints apart. */
  readonly socket: string;
  readonly ip: IpAddress;
  readonly port: number;
  /** '' when unknown. */
  readonly zone: string;
  readonly hintZones: readonly string[] | undefined;
  /** Whether a Server makes the port opaque. */
  readonly hasOpaqueServer: boolean;
  readonly workload: EndpointWorkload;
}

/** What a slice contributes, and what it would contribute more if some objects were known. */
export interface ResolvedSlice {
  readonly endpoints: ReadonlyMap<string, ServiceEndpoint>;
  /** Objects that were looked up in vain, as `table:key`. */
  readonly missing: readonly string[];
  /** Pods that claim to be meshed without saying where their proxy listens; they are left out. */
  readonly undialable: readonly string[];
}

/** The id of the other family's endpoint of the same pod; undefined for other endpoints. */
export function siblingId(endpoint: ServiceEndpoint): string | undefined {
  return endpoint.workload.kind === 'pod' ? podId(endpoint.workload.pod, endpoint.ip.family === 4 ? 6 : 4) : undefined;
}

/** Whether a client that knows `before` must be told `after` (§1.5, diff rules). */
export function isWorthSending(before: ServiceEndpoint, after: ServiceEndpoint): boolean {
  return (
    before.socket !== after.socket ||
    before.hasOpaqueServer !== after.hasOpaqueServer ||
    before.zone !== after.zone ||
    !sameHints(before.hintZones, after.hintZones) ||
    !sameWorkload(before.workload, after.workload)
  );
}

/**
 * The slice port that a requested service port means: by name where the Service has the port, verbatim where it has not. Undefined when the
 * slice does not offer it.
 */
export function targetPort(service: ServiceRecord, slice: SliceRecord, port: number): number | undefined {
  if (slice.ports === undefined) return undefined;
  const declared = service.ports.filter((candidate) => candidate.port === port);
  const servicePort = declared.find(({ isTcp }) => isTcp) ?? declared[0];
  if (servicePort === undefined) return port;
  return slice.ports.find(({ name }) => name === servicePort.name)?.port;
}

/** Resolves the endpoints of a slice for a requested `port`; `hostname` '' takes all of them. */
export function resolveSlice(world: World, service: ServiceRecord, slice: SliceRecord, port: number, hostname: string): ResolvedSlice {
  const endpoints = new Map<string, ServiceEndpoint>();
  const missing: string[] = [];
  const undialable: string[] = [];
  const resolvedPort = targetPort(service, slice, port);
  if (resolvedPort === undefined) return { endpoints, missing, undialable };
  for (const endpoint of slice.endpoints) {
    if (hostname !== '' && endpoint.hostname !== hostname) continue;
    for (const ip of endpoint.addresses) {
      const found = resolveWorkload(world, slice, endpoint, port, missing);
      if (found === undefined) continue;
      if (found.kind === 'pod' && found.pod.proxyPorts === undefined && isMeshedPort(found.pod, resolvedPort)) {
        undialable.push(found.pod.key);
        continue;
      }
      const resolved: ServiceEndpoint = {
        id: endpointId(service, slice, endpoint, ip, resolvedPort, found),
        sliceKey: slice.key,
        socket: `${ip.key}:${resolvedPort}`,
        ip,
        port: resolvedPort,
        // An address that stands for itself has no zone, whatever the slice says; its hints count (§1.5).
        zone: found.kind === 'service-ref' ? '' : endpoint.zone,
        hintZones: endpoint.hintZones,
        hasOpaqueServer: hasOpaqueServer(world, found, resolvedPort),
        workload: found,
      };
      endpoints.set(resolved.id, resolved);
    }
  }
  return { endpoints, missing, undialable };
}

/** The same endpoint after Servers changed; the very same object when nothing changed. */
export function withServers(world: World, endpoint: ServiceEndpoint): ServiceEndpoint {
  const isOpaque = hasOpaqueServer(world, endpoint.workload, endpoint.port);
  return isOpaque === endpoint.hasOpaqueServer ? endpoint : { ...endpoint, hasOpaqueServer: isOpaque };
}

function resolveWorkload(
  world: World,
  slice: SliceRecord,
  endpoint: EndpointRecord,
  requestedPort: number,
  missing: string[],
): EndpointWorkload | undefined {
  const target = endpoint.target;
  if (target === undefined) {
    const authorityOverride = slice.remoteServiceFqName === undefined ? undefined : `${slice.remoteServiceFqName}:${requestedPort}`;
    return { kind: 'service-ref', identity: slice.gatewayIdentity, authorityOverride };
  }
  const record = target.kind === 'pod' ? world.pods.get(target.key) : world.externalWorkloads.get(target.key);
  // A pod of the same name with another uid is its predecessor: its successor is on the way.
  if (record === undefined || (target.uid !== '' && record.uid !== '' && record.uid !== target.uid)) {
    missing.push(`${target.kind}:${target.key}`);
    return undefined;
  }
  if ('ips' in record) return { kind: 'external-workload', workload: record, owner: ownerOfWorkload(record.owners) };
  const owner = ownerOfPod(world, record);
  if (owner.missing !== undefined) missing.push(`${owner.missing.table}:${owner.missing.key}`);
  return { kind: 'pod', pod: record, owner };
}

function endpointId(
  service: ServiceRecord,
  slice: SliceRecord,
  endpoint: EndpointRecord,
  ip: IpAddress,
  port: number,
  workload: EndpointWorkload,
): string {
  switch (workload.kind) {
    case 'pod':
      return podId(workload.pod, slice.family);
    case 'external-workload':
      return `external-workload:${workload.workload.key}`;
    case 'service-ref':
      return `service-ref:${service.name}-${ip.key}-${port}-${endpoint.hostname}`;
  }
}

function podId(pod: PodRecord, family: 4 | 6): string {
  return `pod:${pod.key}/${family}`;
}

function hasOpaqueServer(world: World, workload: EndpointWorkload, port: number): boolean {
  switch (workload.kind) {
    case 'pod':
      return world.hasOpaqueServerForPod(workload.pod, port);
    case 'external-workload':
      return world.hasOpaqueServerForWorkload(workload.workload, port);
    case 'service-ref':
      return false;
  }
}

function sameHints(before: readonly string[] | undefined, after: readonly string[] | undefined): boolean {
  if (before === undefined || after === undefined) return before === after;
  return before.length === after.length && before.every((zone) => after.includes(zone));
}

function sameWorkload(before: EndpointWorkload, after: EndpointWorkload): boolean {
  if (before.kind === 'pod' && after.kind === 'pod') {
    return before.pod.resourceVersion === after.pod.resourceVersion && sameOwner(before.owner, after.owner);
  }
  if (before.kind === 'external-workload' && after.kind === 'external-workload') {
    const [old, now] = [before.workload, after.workload];
    return old.identity === now.identity && old.serverName === now.serverName && old.inboundPort === now.inboundPort;
  }
  if (before.kind === 'service-ref' && after.kind === 'service-ref') {
    return before.identity === after.identity && before.authorityOverride === after.authorityOverride;
  }
  return false;
}

function sameOwner(before: WorkloadOwner, after: WorkloadOwner): boolean {
  return before.kind === after.kind && before.name === after.name;
}
