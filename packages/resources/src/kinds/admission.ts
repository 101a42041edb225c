// SPDX-License-Identifier: Apache-2.0
/*
 * The webhook configurations of admissionregistration.k8s.io/v1, whose `caBundle` the control plane keeps equal to the certificate that its
 * webhooks serve with (control-contract §4.1). Only what is read for that is typed.
 */
import type { Resource, ResourceKind } from '../types.ts';
import { clusterKind } from './meta.ts';

/** One webhook of a configuration. */
export interface Webhook {
  readonly name: string;
  readonly clientConfig?: {
    readonly service?: { readonly namespace: string; readonly name: string; readonly path?: string; readonly port?: number };
    readonly url?: string;
    /** PEM in base64. */
    readonly caBundle?: string;
  };
  readonly [field: string]: unknown;
}

export interface WebhookConfiguration extends Resource {
  readonly webhooks?: readonly Webhook[];
}

/** admissionregistration.k8s.io/v1 MutatingWebhookConfiguration. */
export const MutatingWebhookConfigurationKind: ResourceKind<WebhookConfiguration> = clusterKind(
  'admissionregistration.k8s.io',
  'v1',
  'MutatingWebhookConfiguration',
  'mutatingwebhookconfigurations',
);
/** admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration. */
export const ValidatingWebhookConfigurationKind: ResourceKind<WebhookConfiguration> = clusterKind(
  'admissionregistration.k8s.io',
  'v1',
  'ValidatingWebhookConfiguration',
  'validatingwebhookconfigurations',
);
