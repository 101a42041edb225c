// SPDX-License-Identifier: Apache-2.0
/*
 * What discovery keeps of a pod: where it listens, whose mesh it is in, and what its sidecar was told (control-contract §1.5 to §1.8). The
 * proxy's ports are read back from the environment of the injected container, init (native sidecar) or regular.
 */
import type { Container, OwnerReference, Pod } from '@weft/resources';

import { parseIp } from '../ip-address.ts';
import { parsePortSet, type PortSet } from '../port-set.ts';
import { CONTROL_PLANE_NS_LABEL, OPAQUE_PORTS_ANNOTATION, POD_TEMPLATE_HASH_LABEL, SKIP_INBOUND_PORTS_ANNOTATION } from './annotations.ts';
import { recordOf, type ClusterRecord } from './record.ts';

const PROXY_CONTAINER = 'linkerd-proxy';
const INBOUND_LISTEN_ENV = 'LINKERD2_PROXY_INBOUND_LISTEN_ADDR';
const ADMIN_LISTEN_ENV = 'LINKERD2_PROXY_ADMIN_LISTEN_ADDR';
const CONTROL_LISTEN_ENV = 'LINKERD2_PROXY_CONTROL_LISTEN_ADDR';

/** Where the sidecar listens. */
export interface ProxyPorts {
  readonly inbound: number;
  readonly admin: number;
  readonly control: number;
}

/** A port that a container declares; `hostPort` 0 when it has none. */
export interface DeclaredPort {
  readonly name: string;
  readonly containerPort: number;
  readonly hostPort: number;
}

/** A pod. */
export interface PodRecord extends ClusterRecord {
  readonly uid: string;
  /** RFC 3339, seconds. */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The control plane that injected it; undefined when it is not meshed. */
  readonly controlPlaneNamespace: string | undefined;
  readonly podTemplateHash: string | undefined;
  readonly serviceAccount: string;
  readonly nodeName: string;
  readonly isHostNetwork: boolean;
  /** May be found by address: not being deleted, and not over. */
  readonly isLive: boolean;
  readonly isRunning: boolean;
  /** Canonical addresses (`IpAddress.key`). */
  readonly podIps: readonly string[];
  readonly hostIps: readonly string[];
  readonly ports: readonly DeclaredPort[];
  /** Ports of the opaque annotation; undefined without one. */
  readonly opaquePorts: PortSet | undefined;
  readonly skippedInboundPorts: PortSet | undefined;
  /** Undefined when no proxy container says where it listens. */
  readonly proxyPorts: ProxyPorts | undefined;
  readonly owners: readonly OwnerReference[];
}

/** Projects a pod. */
export function podRecord(pod: Pod): PodRecord {
  const { labels, annotations } = pod.metadata;
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const ports = containers.flatMap((container) =>
    (container.ports ?? []).map(({ name = '', containerPort, hostPort = 0 }) => ({ name, containerPort, hostPort })),
  );
  const phase = pod.status?.phase;
  const isTerminating = pod.metadata.deletionTimestamp !== undefined;
  const opaque = annotations[OPAQUE_PORTS_ANNOTATION];
  const skipped = annotations[SKIP_INBOUND_PORTS_ANNOTATION];
  const namedPorts = (name: string): number[] => ports.filter((port) => port.name === name).map((port) => port.containerPort);
  return {
    ...recordOf(pod),
    uid: pod.metadata.uid,
    createdAt: pod.metadata.creationTimestamp,
    labels,
    controlPlaneNamespace: nonEmpty(labels[CONTROL_PLANE_NS_LABEL]),
    podTemplateHash: nonEmpty(labels[POD_TEMPLATE_HASH_LABEL]),
    serviceAccount: nonEmpty(pod.spec?.serviceAccountName) ?? 'default',
    nodeName: pod.spec?.nodeName ?? '',
    isHostNetwork: pod.spec?.hostNetwork === true,
    isLive: !isTerminating && phase !== 'Succeeded' && phase !== 'Failed',
    isRunning: !isTerminating && phase === 'Running',
    podIps: canonicalIps(pod.status?.podIPs, pod.status?.podIP),
    hostIps: canonicalIps(pod.status?.hostIPs, pod.status?.hostIP),
    ports,
    opaquePorts: opaque === undefined ? undefined : parsePortSet(opaque, namedPorts).ports,
    skippedInboundPorts: skipped === undefined ? undefined : parsePortSet(skipped).ports,
    proxyPorts: proxyPorts(containers),
    owners: pod.metadata.ownerReferences ?? [],
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function canonicalIps(list: readonly { readonly ip: string }[] | undefined, single: string | undefined): readonly string[] {
  const keys = new Set<string>();
  for (const text of [...(list ?? []).map(({ ip }) => ip), single ?? '']) {
    const ip = parseIp(text);
    if (ip !== undefined) keys.add(ip.key);
  }
  return [...keys];
}

function proxyPorts(containers: readonly Container[]): ProxyPorts | undefined {
  const proxy = containers.find((container) => container.name === PROXY_CONTAINER);
  const inbound = listenPort(proxy, INBOUND_LISTEN_ENV);
  const admin = listenPort(proxy, ADMIN_LISTEN_ENV);
  const control = listenPort(proxy, CONTROL_LISTEN_ENV);
  return inbound === undefined || admin === undefined || control === undefined ? undefined : { inbound, admin, control };
}

function listenPort(container: Container | undefined, name: string): number | undefined {
  const value = container?.env?.find((variable) => variable.name === name)?.value;
  const match = value === undefined ? null : /:([0-9]{1,5})$/.exec(value);
  const port = Number(match?.[1] ?? 0);
  return port >= 1 && port <= 65_535 ? port : undefined;
}
