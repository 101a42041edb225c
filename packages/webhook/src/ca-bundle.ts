// SPDX-License-Identifier: Apache-2.0
/*
 * The `caBundle` of a webhook configuration (control-contract §4.1): which webhooks of it are ours, and the merge patch that gives them the
 * bundle. A merge patch replaces the list as a whole, so it carries the resourceVersion of what was read: a change in between is a
 * conflict, never lost. Pure.
 */
import { Buffer } from 'node:buffer';
import type { Webhook, WebhookConfiguration } from '@weft/resources';

/** The Service behind the webhooks. */
export interface WebhookService {
  readonly namespace: string;
  readonly name: string;
}

/** A merge patch that gives the service's webhooks this bundle; undefined when they have it, or when there is none of them. */
export function caBundlePatch(
  configuration: WebhookConfiguration,
  service: WebhookService,
  caBundlePem: string,
): Readonly<Record<string, unknown>> | undefined {
  const caBundle = Buffer.from(caBundlePem).toString('base64');
  const webhooks = Array.isArray(configuration.webhooks) ? configuration.webhooks : [];
  const isOurs = ({ clientConfig }: Webhook): boolean =>
    clientConfig?.url !== undefined ||
    (clientConfig?.service?.name === service.name && clientConfig.service.namespace === service.namespace);
  if (!webhooks.some((webhook) => isOurs(webhook) && webhook.clientConfig?.caBundle !== caBundle)) return undefined;
  return {
    metadata: { resourceVersion: configuration.metadata.resourceVersion },
    webhooks: webhooks.map((webhook) => (isOurs(webhook) ? { ...webhook, clientConfig: { ...webhook.clientConfig, caBundle } } : webhook)),
  };
}
