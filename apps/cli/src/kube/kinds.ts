// SPDX-License-Identifier: Apache-2.0
/* Kinds that only the command line reads: roles, webhook configurations, definitions, API services, and reviews of access. */
import type { Resource, ResourceKind } from '@weft/resources';

const RBAC = 'rbac.authorization.k8s.io';

/** Who may do what (rbac/v1). */
export interface Role extends Resource {
  readonly rules?: readonly unknown[];
}

/** One webhook of a configuration (admissionregistration/v1). */
export interface Webhook {
  readonly name: string;
  readonly clientConfig?: {
    /** Base64 of PEM. */
    readonly caBundle?: string;
    readonly service?: { readonly name: string; readonly namespace: string; readonly path?: string; readonly port?: number };
    readonly url?: string;
  };
  readonly failurePolicy?: string;
}

/** Webhooks that an API server calls (admissionregistration/v1). */
export interface WebhookConfiguration extends Resource {
  readonly webhooks?: readonly Webhook[];
}

/** A custom resource's definition (apiextensions/v1). */
export type CustomResourceDefinition = Resource<
  {
    readonly group?: string;
    readonly names?: { readonly kind?: string; readonly plural?: string };
    readonly versions?: readonly { readonly name: string; readonly served?: boolean; readonly schema?: unknown }[];
  },
  { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
>;

/** Answer to "may I?" (authorization/v1). */
export type SelfSubjectAccessReview = Resource<unknown, { readonly allowed?: boolean; readonly reason?: string }>;

function kind<R extends Resource>(group: string, name: string, plural: string, isNamespaced: boolean): ResourceKind<R> {
  return { group, version: 'v1', kind: name, plural, isNamespaced };
}

export const ClusterRoleKind: ResourceKind<Role> = kind(RBAC, 'ClusterRole', 'clusterroles', false);
export const ClusterRoleBindingKind: ResourceKind<Role> = kind(RBAC, 'ClusterRoleBinding', 'clusterrolebindings', false);
export const RoleKind: ResourceKind<Role> = kind(RBAC, 'Role', 'roles', true);
export const RoleBindingKind: ResourceKind<Role> = kind(RBAC, 'RoleBinding', 'rolebindings', true);
export const MutatingWebhookKind: ResourceKind<WebhookConfiguration> = kind(
  'admissionregistration.k8s.io',
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
  false,
);
export const ValidatingWebhookKind: ResourceKind<WebhookConfiguration> = kind(
  'admissionregistration.k8s.io',
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
  false,
);
export const CustomResourceDefinitionKind: ResourceKind<CustomResourceDefinition> = kind(
  'apiextensions.k8s.io',
  'CustomResourceDefinition',
  'customresourcedefinitions',
  false,
);
export const ApiServiceKind: ResourceKind = kind('apiregistration.k8s.io', 'APIService', 'apiservices', false);
export const PodDisruptionBudgetKind: ResourceKind = kind('policy', 'PodDisruptionBudget', 'poddisruptionbudgets', true);
export const SelfSubjectAccessReviewKind: ResourceKind<SelfSubjectAccessReview> = kind(
  'authorization.k8s.io',
  'SelfSubjectAccessReview',
  'selfsubjectaccessreviews',
  false,
);
