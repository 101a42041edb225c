// SPDX-License-Identifier: Apache-2.0
/*
 * Live objects of an installation, by their label: for prune and uninstall (features CLI-19, CLI-20). Pods, ReplicaSets and other things
 * that belong to listed ones are left to Kubernetes.
 */
import {
  ConfigMapKind,
  CronJobKind,
  DeploymentKind,
  isResourceError,
  LeaseKind,
  NamespaceKind,
  SecretKind,
  ServiceAccountKind,
  ServiceKind,
} from '@weft/resources';
import type { Resource, ResourceKind } from '@weft/resources';
import type { ClusterReader } from '../kube/cluster.ts';
import {
  ApiServiceKind,
  ClusterRoleBindingKind,
  ClusterRoleKind,
  CustomResourceDefinitionKind,
  MutatingWebhookKind,
  PodDisruptionBudgetKind,
  RoleBindingKind,
  RoleKind,
  ValidatingWebhookKind,
} from '../kube/kinds.ts';
import { CONTROL_PLANE_NS_LABEL, EXTENSION_LABEL } from '../kube/mesh-config.ts';

/** Kinds that an installation has, in the order in which they go: webhooks first, so that nothing waits for one that is gone. */
export const INSTALLED_KINDS: readonly ResourceKind[] = [
  MutatingWebhookKind,
  ValidatingWebhookKind,
  ApiServiceKind,
  CronJobKind,
  DeploymentKind,
  PodDisruptionBudgetKind,
  ServiceKind,
  ConfigMapKind,
  SecretKind,
  LeaseKind,
  RoleBindingKind,
  RoleKind,
  ServiceAccountKind,
  ClusterRoleBindingKind,
  ClusterRoleKind,
  CustomResourceDefinitionKind,
  NamespaceKind,
];

/** What processes of the control plane make for themselves, in its namespace. */
export const RUNTIME_OBJECTS: readonly (readonly [ResourceKind, readonly string[]])[] = [
  [SecretKind, ['linkerd-proxy-injector-k8s-tls', 'linkerd-sp-validator-k8s-tls', 'linkerd-policy-validator-k8s-tls']],
  [LeaseKind, ['policy-controller-write', 'linkerd-destination-endpoint-write']],
];

/** Objects labelled with this control plane, in order of kinds; extensions and the CNI plugin have their own commands. */
export async function labelledObjects(reader: ClusterReader, namespace: string): Promise<readonly Resource[]> {
  const objects: Resource[] = [];
  for (const kind of INSTALLED_KINDS) {
    const found = await reader.list(kind, { labelSelector: `${CONTROL_PLANE_NS_LABEL}=${namespace}` }).catch(nothingServed);
    objects.push(...found.filter(isControlPlane));
  }
  return objects;
}

/** Those that its processes made. */
export async function runtimeObjects(reader: ClusterReader, namespace: string): Promise<readonly Resource[]> {
  const objects: Resource[] = [];
  for (const [kind, names] of RUNTIME_OBJECTS) {
    const found = await reader.list(kind, { namespace }).catch(nothingServed);
    objects.push(...found.filter(({ metadata }) => names.includes(metadata.name)));
  }
  return objects;
}

function nothingServed(error: unknown): readonly Resource[] {
  if (isResourceError(error, 'ERR_NOT_FOUND')) return [];
  throw error;
}

function isControlPlane({ metadata }: Resource): boolean {
  const { labels, ownerReferences = [] } = metadata;
  return !(EXTENSION_LABEL in labels) && !('linkerd.io/cni-resource' in labels) && ownerReferences.length === 0;
}
