// SPDX-License-Identifier: Apache-2.0
/*
 * Where the pod is in an object (feature INJ-18): the kinds that injection knows, by group, so that a custom resource of the same name is left
 * alone, and a copy of the object with another pod in it.
 */
import { objectOf, textOf, type JsonObject } from '../json-object.ts';

/** What injection does with an object. */
export type ManifestKind = 'workload' | 'namespace' | 'service' | 'list' | 'unsupported';

const TEMPLATE: readonly string[] = ['spec', 'template'];
const WORKLOADS: Readonly<Record<string, { readonly groups: readonly string[]; readonly path: readonly string[] }>> = {
  Pod: { groups: [''], path: [] },
  ReplicationController: { groups: [''], path: TEMPLATE },
  Deployment: { groups: ['apps', 'extensions'], path: TEMPLATE },
  ReplicaSet: { groups: ['apps', 'extensions'], path: TEMPLATE },
  DaemonSet: { groups: ['apps', 'extensions'], path: TEMPLATE },
  StatefulSet: { groups: ['apps'], path: TEMPLATE },
  Job: { groups: ['batch'], path: TEMPLATE },
  CronJob: { groups: ['batch'], path: ['spec', 'jobTemplate', 'spec', 'template'] },
};

/** What injection does with this object. */
export function manifestKind(object: JsonObject): ManifestKind {
  const [kind, group] = [textOf(object['kind']), groupOf(object)];
  if (Object.hasOwn(WORKLOADS, kind) && WORKLOADS[kind]?.groups.includes(group) === true) return 'workload';
  if (group !== '') return 'unsupported';
  if (kind === 'Namespace') return 'namespace';
  if (kind === 'Service') return 'service';
  return kind === 'List' && Array.isArray(object['items']) ? 'list' : 'unsupported';
}

/** The pod, or the template of pods, of a workload. */
export function podOf(workload: JsonObject): JsonObject {
  let pod = workload;
  for (const part of pathOf(workload)) pod = objectOf(pod[part]);
  return pod;
}

/** The workload with another pod. The given one is not changed. */
export function withPod(workload: JsonObject, pod: JsonObject): JsonObject {
  return replaced(workload, pathOf(workload), pod);
}

function replaced(object: JsonObject, [part, ...rest]: readonly string[], value: JsonObject): JsonObject {
  return part === undefined ? value : { ...object, [part]: replaced(objectOf(object[part]), rest, value) };
}

function pathOf(workload: JsonObject): readonly string[] {
  return WORKLOADS[textOf(workload['kind'])]?.path ?? [];
}

function groupOf(object: JsonObject): string {
  const apiVersion = textOf(object['apiVersion']);
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}
