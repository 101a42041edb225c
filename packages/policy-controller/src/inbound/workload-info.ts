// SPDX-License-Identifier: Apache-2.0
/*
 * What inbound policy reads of a workload, pod or external (control-contract §3.2): its labels, its TCP ports by name, the HTTP paths that a
 * kubelet probes per port, and the annotations that set its defaults.
 */
import type { Container, ExternalWorkload, Pod, Probe } from '@weft/resources';
import { type Parsed, valid } from '../parse/parsed.ts';
import { PortSet, isPort, parsePortSet } from '../parse/port-set.ts';
import { type DefaultPolicy, parseDefaultPolicy } from './default-policy.ts';

export interface WorkloadInfo {
  readonly kind: 'pod' | 'external-workload';
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** A name may stand for several ports, one per container. */
  readonly portsByName: ReadonlyMap<string, readonly number[]>;
  /** Probed paths by port, sorted, without query. */
  readonly probePaths: ReadonlyMap<number, readonly string[]>;
  readonly opaquePorts: PortSet;
  readonly requireIdentityPorts: PortSet;
  /** Undefined: the cluster's. */
  readonly defaultPolicy: DefaultPolicy | undefined;
}

/** The policy-relevant part of a pod. */
export function podInfo(pod: Pod): Parsed<WorkloadInfo> {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const portsByName = new Map<string, number[]>();
  for (const container of containers) {
    for (const { name, port } of tcpPorts(container)) append(portsByName, name, port);
  }
  return valid({ ...commonInfo('pod', pod.metadata), portsByName, probePaths: probePaths(containers) });
}

/** The policy-relevant part of an external workload; it has no probes, and one port per name. */
export function externalWorkloadInfo(workload: ExternalWorkload): Parsed<WorkloadInfo> {
  const portsByName = new Map<string, number[]>();
  for (const { name, port, protocol } of workload.spec?.ports ?? []) {
    if (name !== undefined && (protocol ?? 'TCP') === 'TCP' && isPort(port)) portsByName.set(name, [port]);
  }
  return valid({ ...commonInfo('external-workload', workload.metadata), portsByName, probePaths: new Map() });
}

function commonInfo(kind: WorkloadInfo['kind'], metadata: Pod['metadata']): Omit<WorkloadInfo, 'portsByName' | 'probePaths'> {
  const { namespace, name, labels, annotations } = metadata;
  return {
    kind,
    namespace,
    name,
    labels,
    opaquePorts: annotatedPorts(annotations['config.linkerd.io/opaque-ports']),
    requireIdentityPorts: annotatedPorts(annotations['config.linkerd.io/proxy-require-identity-inbound-ports']),
    defaultPolicy: parseDefaultPolicy(annotations['config.linkerd.io/default-inbound-policy']),
  };
}

/** An invalid list is an empty one, as in the reference: a port name in it, for instance, voids it all. */
function annotatedPorts(text: string | undefined): PortSet {
  if (text === undefined) return PortSet.EMPTY;
  const parsed = parsePortSet(text);
  return parsed.ok ? parsed.value : PortSet.EMPTY;
}

function* tcpPorts(container: Container): Iterable<{ readonly name: string; readonly port: number }> {
  for (const { name, containerPort, protocol } of container.ports ?? []) {
    if (name !== undefined && (protocol ?? 'TCP') === 'TCP' && isPort(containerPort)) yield { name, port: containerPort };
  }
}

function probePaths(containers: readonly Container[]): Map<number, readonly string[]> {
  const paths = new Map<number, string[]>();
  for (const container of containers) {
    for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
      const port = probePort(probe, container);
      if (port !== undefined) append(paths, port, probePath(probe?.httpGet?.path));
    }
  }
  return new Map([...paths].map(([port, list]) => [port, [...new Set(list)].sort()]));
}

function probePort(probe: Probe | undefined, container: Container): number | undefined {
  const port = probe?.httpGet?.port;
  if (typeof port !== 'string') return port !== undefined && isPort(port) ? port : undefined;
  for (const declared of tcpPorts(container)) if (declared.name === port) return declared.port;
  return undefined;
}

function probePath(path: string | undefined): string {
  const [bare = ''] = (path ?? '/').split('?');
  return bare.startsWith('/') ? bare : `/${bare}`;
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
