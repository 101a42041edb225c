// SPDX-License-Identifier: Apache-2.0
/*
 * Everything that discovery knows of one cluster: a table per kind that control-contract §1.1 watches, and the indexes over them. A legacy
 * Endpoints object spreads over several slice records, so slices have a table-like face of their own.
 */
import {
  EndpointsKind,
  EndpointSliceKind,
  ExternalWorkloadKind,
  JobKind,
  metadataOnly,
  NodeKind,
  PodKind,
  ReplicaSetKind,
  ServerKind,
  ServiceKind,
  ServiceProfileKind,
  type ResourceSource,
} from '@weft/resources';

import { externalWorkloadRecord, type ExternalWorkloadRecord } from './records/external-workload-record.ts';
import { podRecord, type PodRecord } from './records/pod-record.ts';
import { nodeRecord, ownerRecord, profileRecord, type NodeRecord, type OwnerRecord, type ProfileRecord } from './records/profile-record.ts';
import { recordOf, type ClusterRecord } from './records/record.ts';
import { makesPodPortOpaque, makesWorkloadPortOpaque, serverRecord, type ServerRecord } from './records/server-record.ts';
import { serviceRecord, type ServiceRecord } from './records/service-record.ts';
import { endpointsRecords, sliceRecord, type SliceRecord } from './records/slice-record.ts';
import { Table, TableIndex, type Change, type TableErrorHandler } from './table.ts';

/** The slices that one watched object holds: one for an EndpointSlice, several for an Endpoints object. */
interface SliceSetRecord extends ClusterRecord {
  readonly slices: readonly SliceRecord[];
}

/** A table of any kind. */
export interface WatchedTable {
  readonly size: number;
  readonly synced: Promise<void>;
  onChange(listener: () => void): void;
  close(): void;
}

/** Watches a cluster's resources until closed. */
export class World {
  readonly services: Table<ServiceRecord>;
  readonly pods: Table<PodRecord>;
  readonly externalWorkloads: Table<ExternalWorkloadRecord>;
  readonly servers: Table<ServerRecord>;
  readonly profiles: Table<ProfileRecord>;
  readonly replicaSets: Table<OwnerRecord>;
  readonly jobs: Table<OwnerRecord>;
  readonly nodes: Table<NodeRecord>;
  private readonly sliceSets: Table<SliceSetRecord>;
  private readonly sliceListeners: ((change: Change<SliceRecord>) => void)[] = [];
  private readonly slicesByService = new Map<string, Map<string, SliceRecord>>();
  private readonly servicesByIp: TableIndex<ServiceRecord>;
  private readonly podsByIp: TableIndex<PodRecord>;
  private readonly podsByHostIp: TableIndex<PodRecord>;
  private readonly workloadsByIp: TableIndex<ExternalWorkloadRecord>;
  private readonly opaqueServers: TableIndex<ServerRecord>;

  constructor(source: ResourceSource, usesEndpointSlices: boolean, onError: TableErrorHandler) {
    this.services = Table.watch(source, ServiceKind, serviceRecord, true, onError);
    this.pods = Table.watch(source, PodKind, podRecord, true, onError);
    this.externalWorkloads = Table.watch(source, ExternalWorkloadKind, externalWorkloadRecord, false, onError);
    this.servers = Table.watch(source, ServerKind, serverRecord, false, onError);
    this.profiles = Table.watch(source, ServiceProfileKind, profileRecord, false, onError);
    // Of these only metadata is asked for: they are many, and owners and labels are all that counts.
    this.replicaSets = Table.watch(source, metadataOnly(ReplicaSetKind), ownerRecord, false, onError);
    this.jobs = Table.watch(source, metadataOnly(JobKind), ownerRecord, false, onError);
    this.nodes = Table.watch(source, metadataOnly(NodeKind), nodeRecord, false, onError);
    this.sliceSets = usesEndpointSlices
      ? Table.watch(
          source,
          EndpointSliceKind,
          (slice): SliceSetRecord => {
            const record = sliceRecord(slice);
            return { ...recordOf(slice), slices: record === undefined ? [] : [record] };
          },
          true,
          onError,
        )
      : Table.watch(
          source,
          EndpointsKind,
          (endpoints): SliceSetRecord => ({ ...recordOf(endpoints), slices: endpointsRecords(endpoints) }),
          true,
          onError,
        );
    this.sliceSets.onChange((change) => this.spreadSlices(change));
    this.servicesByIp = new TableIndex(this.services, (service) => service.clusterIps);
    this.podsByIp = new TableIndex(this.pods, (pod) => (pod.isHostNetwork ? [] : pod.podIps));
    this.podsByHostIp = new TableIndex(this.pods, (pod) => (pod.ports.some(({ hostPort }) => hostPort > 0) ? pod.hostIps : []));
    this.workloadsByIp = new TableIndex(this.externalWorkloads, (workload) => workload.ips);
    this.opaqueServers = new TableIndex(this.servers, (server) => (server.isOpaque ? [server.namespace] : []));
  }

  /** Resolves once every table has its initial objects; rejects when a required kind is not served. */
  async synced(): Promise<void> {
    await Promise.all(this.tables().map(([, table]) => table.synced));
  }

  /** Every table with the name that metrics give its kind. */
  tables(): readonly (readonly [kind: string, table: WatchedTable])[] {
    return [
      ['services', this.services],
      ['pods', this.pods],
      ['externalworkload', this.externalWorkloads],
      ['servers', this.servers],
      ['serviceprofiles', this.profiles],
      ['replicasets', this.replicaSets],
      ['jobs', this.jobs],
      ['nodes', this.nodes],
      ['endpointslices', this.sliceSets],
    ];
  }

  close(): void {
    for (const [, table] of this.tables()) table.close();
  }

  /** The slices of a Service by slice key. */
  slicesOf(serviceKey: string): Iterable<SliceRecord> {
    return this.slicesByService.get(serviceKey)?.values() ?? [];
  }

  /** Subscribes to slices, each by its key. */
  onSliceChange(listener: (change: Change<SliceRecord>) => void): void {
    this.sliceListeners.push(listener);
  }

  /** Services with this cluster IP (`IpAddress.key`). */
  servicesWithIp(ip: string): readonly ServiceRecord[] {
    return this.servicesByIp.get(ip);
  }

  /** Pods of the pod network with this address. */
  podsWithIp(ip: string): readonly PodRecord[] {
    return this.podsByIp.get(ip);
  }

  /** Pods with a container that listens on this port of this host. */
  podsWithHostPort(ip: string, port: number): readonly PodRecord[] {
    return this.podsByHostIp.get(ip).filter((pod) => pod.ports.some(({ hostPort }) => hostPort === port));
  }

  /** External workloads with this address that declare this port. */
  workloadsWithPort(ip: string, port: number): readonly ExternalWorkloadRecord[] {
    return this.workloadsByIp.get(ip).filter((workload) => workload.ports.some((declared) => declared.port === port));
  }

  /** Whether a Server makes this port of the pod opaque (control-contract §1.7). */
  hasOpaqueServerForPod(pod: PodRecord, port: number): boolean {
    return this.opaqueServers.get(pod.namespace).some((server) => makesPodPortOpaque(server, pod, port));
  }

  /** Whether a Server makes this port of the workload opaque. */
  hasOpaqueServerForWorkload(workload: ExternalWorkloadRecord, port: number): boolean {
    return this.opaqueServers.get(workload.namespace).some((server) => makesWorkloadPortOpaque(server, workload, port));
  }

  /** Zone of a node, '' when unknown. */
  zoneOf(nodeName: string): string {
    return nodeName === '' ? '' : (this.nodes.get(nodeName)?.zone ?? '');
  }

  private spreadSlices({ before, after }: Change<SliceSetRecord>): void {
    const kept = new Set(after?.slices.map(({ key }) => key));
    for (const slice of before?.slices ?? []) {
      if (!kept.has(slice.key)) this.setSlice({ key: slice.key, before: slice, after: undefined });
    }
    for (const slice of after?.slices ?? []) {
      this.setSlice({ key: slice.key, before: before?.slices.find(({ key }) => key === slice.key), after: slice });
    }
  }

  private setSlice(change: Change<SliceRecord>): void {
    const { key, before, after } = change;
    if (before !== undefined && before.serviceKey !== after?.serviceKey) {
      const slices = this.slicesByService.get(before.serviceKey);
      slices?.delete(key);
      if (slices?.size === 0) this.slicesByService.delete(before.serviceKey);
    }
    if (after !== undefined) {
      const slices = this.slicesByService.get(after.serviceKey);
      if (slices === undefined) this.slicesByService.set(after.serviceKey, new Map([[key, after]]));
      else slices.set(key, after);
    }
    for (const listener of this.sliceListeners) listener(change);
  }
}
