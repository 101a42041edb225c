// SPDX-License-Identifier: Apache-2.0
/*
 * `controller heartbeat`: tells a server of the operator's choice that an installation exists (control-contract §6.6). Without a URL nothing is
 * sent anywhere: the facts are logged and the job ends well.
 */
import { Option, type Command } from 'commander';
import { installationFacts } from '../heartbeat/installation-facts.ts';
import { prometheusAt, sendFacts } from '../heartbeat/send.ts';
import { openSource } from '../resource-source.ts';
import { addCommonOptions, createControllerLogger, type CommonValues } from './common-options.ts';

interface HeartbeatValues extends CommonValues {
  readonly controllerNamespace: string;
  readonly prometheusUrl: string;
  readonly url: string;
}

/** Flags that mean nothing here. */
const ACCEPTED = ['kube-apiclient-qps', 'kube-apiclient-burst', 'enable-pprof', 'trace-collector'];

/** Options and action of the sub-command. */
export function configureHeartbeat(command: Command, onExit: (code: number) => void): void {
  addCommonOptions(command, ACCEPTED)
    .addOption(new Option('--controller-namespace <name>', 'namespace of the control plane').default('linkerd'))
    .addOption(new Option('--prometheus-url <url>', 'Prometheus that knows the mesh; may be missing').default(''))
    .addOption(new Option('--url <url>', 'who is told; empty: nobody').env('WEFT_HEARTBEAT_URL').default(''))
    .addOption(new Option('--log-level <level>', 'error, warn, info, debug or trace').default('info'))
    .action(async (values: HeartbeatValues) => {
      const logger = createControllerLogger(values, 'linkerd_heartbeat');
      try {
        const { source } = await openSource(values, logger);
        const noPrometheus = (): Promise<undefined> => Promise.resolve(undefined);
        const query = values.prometheusUrl === '' ? noPrometheus : prometheusAt(values.prometheusUrl);
        const facts = await installationFacts(source, values.controllerNamespace, query);
        await source.close();
        if (values.url === '') logger.info('No URL is configured, nothing is sent', Object.fromEntries(facts));
        else {
          await sendFacts(values.url, facts);
          logger.info('Heartbeat sent', Object.fromEntries(facts));
        }
        onExit(0);
      } catch (error) {
        logger.error('heartbeat failed', { error: error instanceof Error ? error.message : String(error) });
        onExit(1);
      }
    });
}
