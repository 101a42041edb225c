// SPDX-License-Identifier: Apache-2.0
/*
 * What discovery keeps of a Service (control-contract §1.4, §1.5, §1.7, §1.8): its ports, its addresses, which of them are opaque, and whether
 * its endpoints are of this cluster.
 */
import type { Service } from '@weft/resources';

import { parseIp } from '../ip-address.ts';
import { parsePortSet, type PortSet } from '../port-set.ts';
import { LOCAL_DISCOVERY_ANNOTATION, OPAQUE_PORTS_ANNOTATION, REMOTE_DISCOVERY, REMOTE_SERVICE_LABEL } from './annotations.ts';
import { recordOf, type ClusterRecord } from './record.ts';

/** One port of a service; `name` '' when it has none. */
export interface ServicePortRecord {
  readonly name: string;
  readonly port: number;
  readonly isTcp: boolean;
}

/** A Service. */
export interface ServiceRecord extends ClusterRecord {
  readonly isExternalName: boolean;
  readonly ports: readonly ServicePortRecord[];
  /** Canonical addresses (`IpAddress.key`); none for a headless service. */
  readonly clusterIps: readonly string[];
  /** `internalTrafficPolicy: Local`. */
  readonly isNodeLocal: boolean;
  /** Ports of the opaque annotation; undefined without one, or while none ever parsed. */
  readonly opaquePorts: PortSet | undefined;
  /** Set: the service's endpoints are those of another cluster (control-contract §1.4 item 3). */
  readonly remoteCluster: string | undefined;
  readonly remoteService: string | undefined;
  /** Whether endpoints of several clusters are joined (control-contract §1.11). */
  readonly isFederated: boolean;
}

/** Projects a Service. `before` is its previous record: an opaque annotation that does not parse keeps the last good value (§1.7). */
export function serviceRecord(service: Service, before: ServiceRecord | undefined): ServiceRecord {
  const { annotations, labels } = service.metadata;
  const spec = service.spec;
  const ports = (spec?.ports ?? []).map(({ name = '', port, protocol = 'TCP' }) => ({ name, port, isTcp: protocol === 'TCP' }));
  const clusterIps = new Set<string>();
  for (const text of [...(spec?.clusterIPs ?? []), spec?.clusterIP ?? '']) {
    const ip = parseIp(text);
    if (ip !== undefined) clusterIps.add(ip.key);
  }
  return {
    ...recordOf(service),
    isExternalName: spec?.type === 'ExternalName',
    ports,
    clusterIps: [...clusterIps],
    isNodeLocal: spec?.internalTrafficPolicy === 'Local',
    opaquePorts: opaquePorts(annotations[OPAQUE_PORTS_ANNOTATION], ports, before),
    remoteCluster: labels[REMOTE_DISCOVERY],
    remoteService: labels[REMOTE_SERVICE_LABEL],
    isFederated: annotations[REMOTE_DISCOVERY] !== undefined || annotations[LOCAL_DISCOVERY_ANNOTATION] !== undefined,
  };
}

function opaquePorts(
  annotation: string | undefined,
  ports: readonly ServicePortRecord[],
  before: ServiceRecord | undefined,
): PortSet | undefined {
  if (annotation === undefined) return undefined;
  const parsed = parsePortSet(annotation, (name) => ports.filter((port) => port.name === name).map(({ port }) => port));
  return parsed.invalid.length === 0 ? parsed.ports : before?.opaquePorts;
}
