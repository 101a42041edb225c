// SPDX-License-Identifier: Apache-2.0
/* What discovery keeps of an ExternalWorkload: where it is, its ports, and the identity it presents (control-contract §1.5, §1.6, §1.8). */
import type { ExternalWorkload, OwnerReference } from '@weft/resources';

import { parseIp } from '../ip-address.ts';
import { parsePortSet, type PortSet } from '../port-set.ts';
import { OPAQUE_PORTS_ANNOTATION } from './annotations.ts';
import { recordOf, type ClusterRecord } from './record.ts';

const PROXY_PORT_NAME = 'linkerd-proxy';
const DEFAULT_INBOUND_PORT = 4143;

/** An ExternalWorkload. */
export interface ExternalWorkloadRecord extends ClusterRecord {
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Canonical addresses (`IpAddress.key`). */
  readonly ips: readonly string[];
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  /** Where its proxy listens. */
  readonly inboundPort: number;
  /** Identity as a URI, and the server name of its proxy. */
  readonly identity: string;
  readonly serverName: string;
  /** Ports of the opaque annotation; undefined without one. */
  readonly opaquePorts: PortSet | undefined;
  readonly owners: readonly OwnerReference[];
}

/** Projects an ExternalWorkload. */
export function externalWorkloadRecord(workload: ExternalWorkload): ExternalWorkloadRecord {
  const ports = (workload.spec?.ports ?? []).map(({ name = '', port }) => ({ name, port }));
  const opaque = workload.metadata.annotations[OPAQUE_PORTS_ANNOTATION];
  const portsNamed = (name: string): number[] => ports.filter((port) => port.name === name).map(({ port }) => port);
  return {
    ...recordOf(workload),
    uid: workload.metadata.uid,
    labels: workload.metadata.labels,
    ips: (workload.spec?.workloadIPs ?? []).flatMap(({ ip }) => parseIp(ip)?.key ?? []),
    ports,
    inboundPort: portsNamed(PROXY_PORT_NAME)[0] ?? DEFAULT_INBOUND_PORT,
    identity: workload.spec?.meshTLS.identity ?? '',
    serverName: workload.spec?.meshTLS.serverName ?? '',
    opaquePorts: opaque === undefined ? undefined : parsePortSet(opaque, portsNamed).ports,
    owners: workload.metadata.ownerReferences ?? [],
  };
}
