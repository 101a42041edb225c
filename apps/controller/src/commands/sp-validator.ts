// SPDX-License-Identifier: Apache-2.0
/*
 * `controller sp-validator`: the webhook that reviews ServiceProfiles (control-contract §4.1, §4.6). It reads no objects; only a certificate
 * that it makes itself needs the API server.
 */
import { Option, type Command } from 'commander';
import { reviewServiceProfile } from '@weft/admission';
import type { ResourceSource } from '@weft/resources';
import { runComponent, type Component, type ComponentFrame } from '../component.ts';
import { parseListenAddress, type ListenAddress } from '../flags.ts';
import { openSource } from '../resource-source.ts';
import {
  addWebhookOptions,
  managedWebhook,
  openCertificate,
  ownNamespace,
  startWebhook,
  TLS_DIRECTORY,
  type WebhookValues,
} from '../webhook.ts';
import { addCommonOptions, createControllerLogger, type CommonValues } from './common-options.ts';

interface SpValidatorValues extends CommonValues, WebhookValues {
  readonly addr: ListenAddress;
  readonly metricsAddr: ListenAddress;
  readonly linkerdNamespace: string | undefined;
  readonly tlsDirectory: string;
}

/** Flags that mean nothing here. */
const ACCEPTED = ['kube-apiclient-qps', 'kube-apiclient-burst', 'enable-pprof', 'trace-collector'];

/** Options and action of the sub-command. */
export function configureSpValidator(command: Command, onExit: (code: number) => void): void {
  addWebhookOptions(addCommonOptions(command, ACCEPTED))
    .addOption(
      new Option('--addr <address>', 'address of the webhook').argParser(parseListenAddress).default(parseListenAddress(':8443'), ':8443'),
    )
    .addOption(
      new Option('--metrics-addr <address>', 'address of the admin server')
        .argParser(parseListenAddress)
        .default(parseListenAddress(':9997'), ':9997'),
    )
    .addOption(new Option('--linkerd-namespace <name>', 'namespace of the Secret and the Service; default: that of this pod, or linkerd'))
    .addOption(new Option('--tls-directory <directory>', 'tls.crt and tls.key, where no Secret is named').default(TLS_DIRECTORY))
    .addOption(new Option('--log-level <level>', 'error, warn, info, debug or trace').default('info'))
    .action(async (values: SpValidatorValues) => {
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

async function startSpValidator(values: SpValidatorValues, { logger, registry }: ComponentFrame): Promise<Component> {
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
