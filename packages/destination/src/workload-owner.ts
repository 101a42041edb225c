// SPDX-License-Identifier: Apache-2.0
/*
 * Which workload a pod counts for in metric labels (control-contract §1.5): the Deployment behind its ReplicaSet, the CronJob behind its Job,
 * else its one owner, else the pod itself. An owner object that has not arrived yet is named, so that the answer can be given again.
 */
import type { OwnerReference } from '@weft/resources';

import type { PodRecord } from './records/pod-record.ts';
import { keyOf } from './records/record.ts';
import type { World } from './world.ts';

/** A workload; `kind` in lower case, '' when there is none (an external workload without owner). */
export interface WorkloadOwner {
  readonly kind: string;
  readonly name: string;
  /** The table and key of an owner object that is not known (yet). */
  readonly missing: { readonly table: 'replicaSets' | 'jobs'; readonly key: string } | undefined;
}

/** Kinds that may stand behind a ReplicaSet. */
const REPLICA_SET_OWNERS: ReadonlySet<string> = new Set(['job', 'statefulset', 'daemonset', 'deployment']);

/** The workload of a pod. */
export function ownerOfPod(world: World, pod: PodRecord): WorkloadOwner {
  const owner = onlyOwner(pod.owners);
  if (owner === undefined) return { kind: 'pod', name: pod.name, missing: undefined };
  const direct = { kind: owner.kind.toLowerCase(), name: owner.name, missing: undefined };
  const key = keyOf(pod.namespace, owner.name);
  switch (direct.kind) {
    case 'replicaset': {
      const replicaSet = world.replicaSets.get(key);
      if (replicaSet === undefined) return { ...direct, missing: { table: 'replicaSets', key } };
      const parent = onlyOwner(replicaSet.owners);
      const kind = parent?.kind.toLowerCase() ?? '';
      return parent !== undefined && REPLICA_SET_OWNERS.has(kind) ? { kind, name: parent.name, missing: undefined } : direct;
    }
    case 'job': {
      const job = world.jobs.get(key);
      if (job === undefined) return { ...direct, missing: { table: 'jobs', key } };
      const parent = onlyOwner(job.owners);
      return parent === undefined ? direct : { kind: parent.kind.toLowerCase(), name: parent.name, missing: undefined };
    }
    default:
      return direct;
  }
}

/** The owner of an external workload, if it has exactly one. */
export function ownerOfWorkload(owners: readonly OwnerReference[]): WorkloadOwner {
  const owner = onlyOwner(owners);
  return { kind: owner?.kind.toLowerCase() ?? '', name: owner?.name ?? '', missing: undefined };
}

/** Name of the metric label for an owner kind: `job` belongs to the scraper, so Jobs are `k8s_job`. */
export function ownerLabel(kind: string): string {
  return kind === 'job' ? 'k8s_job' : kind;
}

function onlyOwner(owners: readonly OwnerReference[]): OwnerReference | undefined {
  return owners.length === 1 ? owners[0] : undefined;
}
