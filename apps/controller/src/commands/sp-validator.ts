// SPDX-License-Identifier: Apache-2.0
/*
 * `controller sp-validator`: the webhook that reviews ServiceProfiles (control-contract §4.1, §4.6). It reads no objects; only a certificate
 * that it makes itself needs the API server.
 */
import type { Command } from 'commander';
import { reviewServiceProfile } from '@weft/admission';
import type { ResourceSource } from '@weft/resources';
import { runComponent, type Component, type ComponentFrame } from '../component.ts';
import { openSource } from '../resource-source.ts';
import { managedWebhook, openCertificate, ownNamespace, startWebhook } from '../webhook.ts';
import { createControllerLogger } from './common-options.ts';
import { addWebhookProcessOptions, type WebhookProcessValues } from './webhook-options.ts';

/** Options and action of the sub-command. */
export function configureSpValidator(command: Command, onExit: (code: number) => void): void {
  addWebhookProcessOptions(command, ':9997').action(async (values: WebhookProcessValues) => {
    const logger = createControllerLogger(values, 'linkerd_sp_validator');
    managedWebhook(values);
    onExit(
      await runComponent({
        name: 'sp-validator',
        adminAddress: values.metricsAddr,
        logger,
        start: (frame) => startSpValidator(values, frame),
      }),
    );
  });
}

async function startSpValidator(values: WebhookProcessValues, { logger, registry }: ComponentFrame): Promise<Component> {
  const managed = managedWebhook(values);
  let source: ResourceSource | undefined;
  if (managed !== undefined) ({ source } = await openSource(values, logger));
  const namespace = values.linkerdNamespace ?? (await ownNamespace('linkerd'));
  const certificates = openCertificate(
    managed === undefined || source === undefined
      ? { directory: values.tlsDirectory }
      : { ...managed, source, namespace, kind: 'ValidatingWebhookConfiguration' },
    logger,
  );
  const webhook = await startWebhook({ listen: values.addr, certificates, review: reviewServiceProfile, logger, registry });
  return {
    get isReady(): boolean {
      return webhook.isReady;
    },
    failed: new Promise<never>(() => undefined),
    async close(): Promise<void> {
      await webhook.close();
      await source?.close();
    },
  };
}
