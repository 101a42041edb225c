// SPDX-License-Identifier: Apache-2.0
/*
 * Jobs (batch/v1) and DaemonSets (apps/v1) on the one node that there is: a Job's pods until enough have succeeded or too many have failed, one pod of
 * a DaemonSet, replaced when its template changes.
 */
import { type DaemonSet, DaemonSetKind, type Job, JobKind, PodKind } from '@weft/resources';
import { isPodFinished, isPodReady } from './endpoint-slices.ts';
import { randomSuffix, templateHash } from './template-hash.ts';
import type { WorldWriter } from './world-writer.ts';

const REVISION = 'controller-revision-hash';

/** Makes the pods that a job lacks, and says how far it is. */
export function reconcileJob(world: WorldWriter, job: Job): void {
  const { metadata, spec } = job;
  const pods = world.podsOf(metadata.uid);
  const succeeded = pods.filter((pod) => pod.status?.phase === 'Succeeded').length;
  const failed = pods.filter((pod) => pod.status?.phase === 'Failed').length;
  const active = pods.filter((pod) => !isPodFinished(pod)).length;
  const completions = spec?.completions ?? 1;
  const isComplete = succeeded >= completions;
  const isFailed = failed > (spec?.backoffLimit ?? 6);
  if (!isComplete && !isFailed && spec?.suspend !== true) {
    const wanted = Math.min(spec?.parallelism ?? 1, completions - succeeded);
    for (let count = active; count < wanted; count++) {
      world.createPod(job, spec?.template ?? {}, `${metadata.name}-${randomSuffix(world.options.random)}`, {
        labels: { 'batch.kubernetes.io/job-name': metadata.name, 'job-name': metadata.name },
      });
    }
  }
  const condition = isComplete ? 'Complete' : isFailed ? 'Failed' : undefined;
  world.writeStatus(JobKind, job, {
    active,
    succeeded,
    failed,
    ...(condition === undefined ? {} : { conditions: [{ type: condition, status: 'True' }] }),
  });
}

/** One pod of the current template; an old one goes first, as a DaemonSet has no room for two on a node. */
export function reconcileDaemonSet(world: WorldWriter, set: DaemonSet): void {
  const { metadata, spec } = set;
  const hash = templateHash(spec?.template);
  const all = world.podsOf(metadata.uid, true);
  const live = all.filter((pod) => pod.metadata.deletionTimestamp === undefined && !isPodFinished(pod));
  for (const pod of live) {
    if (pod.metadata.labels[REVISION] !== hash) world.store.delete(PodKind, metadata.namespace, pod.metadata.name);
  }
  if (all.every((pod) => isPodFinished(pod))) {
    world.createPod(set, spec?.template ?? {}, `${metadata.name}-${randomSuffix(world.options.random)}`, { labels: { [REVISION]: hash } });
  }
  const ready = live.filter((pod) => isPodReady(pod)).length;
  world.writeStatus(DaemonSetKind, set, {
    desiredNumberScheduled: 1,
    currentNumberScheduled: live.length,
    numberReady: ready,
    numberAvailable: ready,
  });
}
