// SPDX-License-Identifier: Apache-2.0
/*
 * The order in which Helm creates objects, by kind. Kinds that it does not know come last, by name.
 */

const KINDS: readonly string[] = [
  'PriorityClass',
  'Namespace',
  'NetworkPolicy',
  'ResourceQuota',
  'LimitRange',
  'PodSecurityPolicy',
  'PodDisruptionBudget',
  'ServiceAccount',
  'Secret',
  'SecretList',
  'ConfigMap',
  'StorageClass',
  'PersistentVolume',
  'PersistentVolumeClaim',
  'CustomResourceDefinition',
  'ClusterRole',
  'ClusterRoleList',
  'ClusterRoleBinding',
  'ClusterRoleBindingList',
  'Role',
  'RoleList',
  'RoleBinding',
  'RoleBindingList',
  'Service',
  'DaemonSet',
  'Pod',
  'ReplicationController',
  'ReplicaSet',
  'Deployment',
  'HorizontalPodAutoscaler',
  'StatefulSet',
  'Job',
  'CronJob',
  'IngressClass',
  'Ingress',
  'APIService',
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
];

const RANK = new Map(KINDS.map((kind, index) => [kind, index]));

/** Negative where objects of kind `a` are created before those of `b`. */
export function compareKinds(a: string, b: string): number {
  const [left, right] = [RANK.get(a) ?? KINDS.length, RANK.get(b) ?? KINDS.length];
  if (left !== right) return left - right;
  return left < KINDS.length || a === b ? 0 : a < b ? -1 : 1;
}
