// SPDX-License-Identifier: Apache-2.0
/*
 * Pods and whom they belong to: a pod counts for itself, its ReplicaSet and Deployment or its Job and CronJob, and its namespace. Owners of
 * owners are read from the cluster, never guessed from names.
 */
import { JobKind, PodKind, ReplicaSetKind } from '@weft/resources';
import type { Pod, Resource } from '@weft/resources';
import type { ClusterReader } from '../kube/cluster.ts';
import { CONTROL_PLANE_NS_LABEL, proxyContainer } from '../kube/mesh-config.ts';
import type { ResourceArgument, TrafficKind } from './resource-argument.ts';

/** A pod that runs or may. */
export interface MeshPod {
  readonly namespace: string;
  readonly name: string;
  readonly isMeshed: boolean;
  readonly isRunning: boolean;
  readonly serviceAccount: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What it counts for, by kind. */
  readonly owners: ReadonlyMap<TrafficKind, string>;
}

/** The pods of a namespace or of all; those that have ended are left out. */
export async function readPods(cluster: ClusterReader, controlPlane: string, namespace?: string): Promise<MeshPod[]> {
  const scope = namespace === undefined ? {} : { namespace };
  const [pods, replicaSets, jobs] = await Promise.all([
    cluster.list(PodKind, scope),
    cluster.list(ReplicaSetKind, scope),
    cluster.list(JobKind, scope),
  ]);
  const middle = new Map([...replicaSets, ...jobs].map((object) => [ownerKey(object.kind, object), object]));
  return pods
    .filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed')
    .map((pod) => meshPod(pod, controlPlane, middle));
}

function meshPod(pod: Pod, controlPlane: string, middle: ReadonlyMap<string, Resource>): MeshPod {
  const { namespace, name, labels } = pod.metadata;
  const owners = new Map<TrafficKind, string>([
    ['namespace', namespace],
    ['pod', name],
  ]);
  let owner = controllerOf(pod);
  // Deployment → ReplicaSet → pod is the longest chain that there is.
  for (let steps = 0; owner !== undefined && steps < 3; steps += 1) {
    const kind = OWNER_KINDS[owner.kind];
    if (kind !== undefined) owners.set(kind, owner.name);
    const object = middle.get(`${owner.kind}/${namespace}/${owner.name}`);
    owner = object === undefined ? undefined : controllerOf(object);
  }
  return {
    namespace,
    name,
    isMeshed: proxyContainer(pod) !== undefined && labels[CONTROL_PLANE_NS_LABEL] === controlPlane,
    isRunning: pod.status?.phase === 'Running',
    serviceAccount: pod.spec?.serviceAccountName ?? 'default',
    labels,
    owners,
  };
}

const OWNER_KINDS: Readonly<Record<string, TrafficKind>> = {
  CronJob: 'cronjob',
  DaemonSet: 'daemonset',
  Deployment: 'deployment',
  Job: 'job',
  ReplicaSet: 'replicaset',
  ReplicationController: 'replicationcontroller',
  StatefulSet: 'statefulset',
};

function controllerOf(object: Resource): { readonly kind: string; readonly name: string } | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

function ownerKey(kind: string, { metadata: { namespace, name } }: Resource): string {
  return `${kind}/${namespace}/${name}`;
}

/** The name of the object that a pod counts for among objects of a kind; undefined where there is none, or another is asked for. */
export function rowName(pod: MeshPod, { kind, name }: ResourceArgument): string | undefined {
  const owner = pod.owners.get(kind);
  return name === undefined || owner === name ? owner : undefined;
}

/** The top of a pod's chain of owners: `deploy/web`, or the pod itself. */
export function topWorkload(pod: MeshPod): { readonly kind: TrafficKind; readonly name: string } {
  const last = [...pod.owners].at(-1);
  return last === undefined ? { kind: 'pod', name: pod.name } : { kind: last[0], name: last[1] };
}
