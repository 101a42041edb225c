// SPDX-License-Identifier: Apache-2.0
/*
 * `controller proxy-injector`: the webhook that puts proxies into pods (control-contract §4.1 to §4.5), with the reference's flags. It is ready
 * when it can answer: a certificate is loaded and the namespaces are known.
 */
import { Option, type Command } from 'commander';
import { createEventRecorder } from '@weft/identity';
import { createInjectorMetrics, createInjectorReview, createInstallationReader, INSTALLATION_PATHS } from '@weft/injector/review';
import { promMetricFactory } from '@weft/telemetry/prom';
import { runComponent, type Component, type ComponentFrame } from '../component.ts';
import { openSource } from '../resource-source.ts';
import { managedWebhook, openCertificate, ownNamespace, startWebhook } from '../webhook.ts';
import { createControllerLogger } from './common-options.ts';
import { addWebhookProcessOptions, type WebhookProcessValues } from './webhook-options.ts';

interface InjectorFlags extends WebhookProcessValues {
  readonly valuesFile: string;
  readonly trustAnchorsFile: string;
}

/** Name under which the reference's injector writes events. */
const COMPONENT = 'linkerd-proxy-injector';

/** Options and action of the sub-command. */
export function configureProxyInjector(command: Command, onExit: (code: number) => void): void {
  addWebhookProcessOptions(command, ':9995')
    .addOption(new Option('--values-file <file>', 'values of the installation').default(INSTALLATION_PATHS.valuesFile))
    .addOption(new Option('--trust-anchors-file <file>', 'trust anchors of the mesh').default(INSTALLATION_PATHS.trustAnchorsFile))
    .action(async (values: InjectorFlags) => {
      const logger = createControllerLogger(values, 'linkerd_proxy_injector');
      managedWebhook(values);
      onExit(
        await runComponent({
          name: 'proxy-injector',
          adminAddress: values.metricsAddr,
          logger,
          start: (frame) => startProxyInjector(values, frame),
        }),
      );
    });
}

async function startProxyInjector(values: InjectorFlags, { logger, registry }: ComponentFrame): Promise<Component> {
  const managed = managedWebhook(values);
  const { source } = await openSource(values, logger);
  const namespace = values.linkerdNamespace ?? (await ownNamespace('linkerd'));
  const certificates = openCertificate(
    managed === undefined ? { directory: values.tlsDirectory } : { ...managed, source, namespace, kind: 'MutatingWebhookConfiguration' },
    logger,
  );
  const injector = createInjectorReview({
    source,
    installation: createInstallationReader({ valuesFile: values.valuesFile, trustAnchorsFile: values.trustAnchorsFile }),
    controlPlaneNamespace: namespace,
    events: createEventRecorder(source, logger, Date.now, COMPONENT),
    metrics: createInjectorMetrics(promMetricFactory(registry)),
    logger,
  });
  const webhook = await startWebhook({ listen: values.addr, certificates, review: injector.review, logger, registry });
  return {
    get isReady(): boolean {
      return webhook.isReady && injector.isSynced;
    },
    failed: new Promise<never>(() => undefined),
    async close(): Promise<void> {
      await webhook.close();
      injector.close();
      await source.close();
    },
  };
}
