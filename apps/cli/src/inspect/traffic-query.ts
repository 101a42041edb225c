// SPDX-License-Identifier: Apache-2.0
/*
 * What a question about traffic means (features CLI-46): which proxies to read, and which row a series counts into. Without `--from` and
 * `--to` a workload's traffic is what arrives at it, seen by its own proxies; towards or from somewhere, and for Services, it is what
 * clients' proxies saw. Pure.
 */
import type { Sample } from '@weft/host-run/view';
import type { ResourceArgument } from './resource-argument.ts';
import type { TrafficRow } from './traffic-rows.ts';
import type { NamedRow } from './traffic-format.ts';
import { type MeshPod, rowName } from './workloads.ts';

/** A resource in a namespace, or in all of them. */
export interface ScopedResource extends ResourceArgument {
  readonly namespace: string | undefined;
}

/** The question. */
export interface TrafficQuery {
  readonly subject: ScopedResource;
  readonly to?: ScopedResource;
  readonly from?: ScopedResource;
}

/** How to answer it from these pods. */
export interface TrafficPlan {
  readonly readers: readonly MeshPod[];
  /** Key of the row, `namespace\nname`; undefined for a series that is not asked for. */
  readonly rowOf: (source: MeshPod, sample: Sample) => string | undefined;
}

/** Whether pods of other namespaces have to be known. */
export function needsAllNamespaces({ subject, to, from }: TrafficQuery): boolean {
  return subject.namespace === undefined || subject.kind === 'service' || to !== undefined || from !== undefined;
}

/** The plan. */
export function planTraffic({ subject, to, from }: TrafficQuery, pods: readonly MeshPod[]): TrafficPlan {
  const readable = pods.filter(({ isMeshed, isRunning }) => isMeshed && isRunning);
  const byName = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  const isOutbound = subject.kind === 'service' || to !== undefined || from !== undefined;
  if (!isOutbound) {
    return {
      readers: readable.filter((pod) => keyOf(pod, subject) !== undefined),
      rowOf: (source, { labels }) => (labels['direction'] === 'inbound' ? keyOf(source, subject) : undefined),
    };
  }
  const source = to === undefined ? from : subject;
  return {
    readers: source === undefined ? readable : readable.filter((pod) => keyOf(pod, source) !== undefined),
    rowOf: (pod, { labels }) => {
      if (labels['direction'] !== 'outbound') return undefined;
      const destination = destinationKey(labels, to ?? subject, byName);
      return destination === undefined || to === undefined ? destination : keyOf(pod, subject);
    },
  };
}

/** Rows with the share of meshed pods, in order of namespace and name. Workloads without any proxy only where they are asked for. */
export function namedRows(
  { subject }: TrafficQuery,
  pods: readonly MeshPod[],
  traffic: ReadonlyMap<string, TrafficRow>,
  showsUnmeshed: boolean,
): NamedRow[] {
  const counts = new Map<string, { count: number; total: number }>();
  for (const pod of pods) {
    const key = keyOf(pod, subject);
    if (key === undefined || !pod.isRunning) continue;
    const meshed = counts.get(key) ?? { count: 0, total: 0 };
    counts.set(key, meshed);
    meshed.total += 1;
    if (pod.isMeshed) meshed.count += 1;
  }
  return [...new Set([...counts.keys(), ...traffic.keys()])]
    .toSorted()
    .map((key) => {
      const [namespace = '', name = ''] = key.split('\n');
      return { namespace, kind: subject.kind, name, meshed: counts.get(key), traffic: traffic.get(key) };
    })
    .filter(({ meshed, traffic: seen }) => showsUnmeshed || seen !== undefined || (meshed?.count ?? 0) > 0);
}

/** Key of a pod's row. */
function keyOf(pod: MeshPod, resource: ScopedResource): string | undefined {
  if (!isInScope(pod.namespace, resource)) return undefined;
  const name = rowName(pod, resource);
  return name === undefined ? undefined : rowKey(pod.namespace, name);
}

function isInScope(namespace: string, resource: ScopedResource): boolean {
  // A namespace is in no namespace.
  return resource.kind === 'namespace' || resource.namespace === undefined || namespace === resource.namespace;
}

/** Key of the row of what a series went to, by the labels that discovery gave it. */
function destinationKey(
  labels: Readonly<Record<string, string>>,
  resource: ScopedResource,
  pods: ReadonlyMap<string, MeshPod>,
): string | undefined {
  const { dst_namespace: namespace = '', dst_service: service = '', dst_pod: podName = '' } = labels;
  if (resource.kind === 'service') {
    const isIt = service !== '' && isInScope(namespace, resource) && (resource.name ?? service) === service;
    return isIt ? rowKey(namespace, service) : undefined;
  }
  const pod = pods.get(`${namespace}/${podName}`);
  return pod === undefined ? undefined : keyOf(pod, resource);
}

function rowKey(namespace: string, name: string): string {
  return `${namespace}\n${name}`;
}
