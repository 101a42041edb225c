// SPDX-License-Identifier: Apache-2.0
/*
 * StatefulSets (apps/v1): pods with names and host names that stay, made one after the other, replaced from the last to the first.
 */
import { type Pod, PodKind, type StatefulSet, StatefulSetKind } from '@weft/resources';
import { isPodReady } from './endpoint-slices.ts';
import { templateHash } from './template-hash.ts';
import type { WorldWriter } from './world-writer.ts';

/** Which template a pod was made from. */
const REVISION = 'controller-revision-hash';

/** Brings one set a step nearer to its spec. */
export function reconcileStatefulSet(world: WorldWriter, set: StatefulSet): void {
  const { metadata, spec } = set;
  const desired = spec?.replicas ?? 1;
  const hash = templateHash(spec?.template);
  const all = world.podsOf(metadata.uid, true);
  const byName = new Map(all.map((pod) => [pod.metadata.name, pod]));
  const isParallel = spec?.['podManagementPolicy'] === 'Parallel';
  for (let ordinal = 0; ordinal < desired; ordinal++) {
    const name = `${metadata.name}-${ordinal}`;
    const pod = byName.get(name);
    if (pod === undefined) {
      world.createPod(set, spec?.template ?? {}, name, {
        labels: { [REVISION]: hash, 'statefulset.kubernetes.io/pod-name': name, 'apps.kubernetes.io/pod-index': String(ordinal) },
        spec: { hostname: name, ...(spec?.serviceName === undefined ? {} : { subdomain: spec.serviceName }) },
      });
    }
    if (!isParallel && (pod === undefined || !isPodReady(pod) || pod.metadata.deletionTimestamp !== undefined)) break;
  }
  const live = all.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const surplus = live.filter((pod) => ordinalOf(pod) >= desired).sort((a, b) => ordinalOf(b) - ordinalOf(a));
  const isSettled = live.length === all.length && live.every((pod) => isPodReady(pod));
  const outdated = live.filter((pod) => pod.metadata.labels[REVISION] !== hash).sort((a, b) => ordinalOf(b) - ordinalOf(a));
  const victim = surplus[0] ?? (isSettled && live.length === desired ? outdated[0] : undefined);
  if (victim !== undefined) world.store.delete(PodKind, metadata.namespace, victim.metadata.name);
  const ready = live.filter((pod) => isPodReady(pod)).length;
  world.writeStatus(StatefulSetKind, set, {
    observedGeneration: metadata.generation ?? 1,
    replicas: live.length,
    readyReplicas: ready,
    availableReplicas: ready,
    updatedReplicas: live.length - outdated.length,
  });
}

function ordinalOf(pod: Pod): number {
  return Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? 0);
}
