// SPDX-License-Identifier: Apache-2.0
/* Options of the processes that are a webhook and nothing else: proxy-injector and sp-validator (control-contract §4.1). */
import { Option, type Command } from 'commander';
import { parseListenAddress, type ListenAddress } from '../flags.ts';
import { addWebhookOptions, TLS_DIRECTORY, type WebhookValues } from '../webhook.ts';
import { addCommonOptions, type CommonValues } from './common-options.ts';

/** Values of these options. */
export interface WebhookProcessValues extends CommonValues, WebhookValues {
  readonly addr: ListenAddress;
  readonly metricsAddr: ListenAddress;
  readonly linkerdNamespace: string | undefined;
  readonly tlsDirectory: string;
}

/** Flags that mean nothing here. */
const ACCEPTED = ['kube-apiclient-qps', 'kube-apiclient-burst', 'enable-pprof', 'trace-collector'];

/** Adds them; `metricsAddress` is where the admin server listens unless told otherwise. */
export function addWebhookProcessOptions(command: Command, metricsAddress: string): Command {
  return addWebhookOptions(addCommonOptions(command, ACCEPTED))
    .addOption(
      new Option('--addr <address>', 'address of the webhook').argParser(parseListenAddress).default(parseListenAddress(':8443'), ':8443'),
    )
    .addOption(
      new Option('--metrics-addr <address>', 'address of the admin server')
        .argParser(parseListenAddress)
        .default(parseListenAddress(metricsAddress), metricsAddress),
    )
    .addOption(new Option('--linkerd-namespace <name>', 'namespace of the control plane; default: that of this pod, or linkerd'))
    .addOption(new Option('--tls-directory <directory>', 'tls.crt and tls.key, where no Secret is named').default(TLS_DIRECTORY))
    .addOption(new Option('--log-level <level>', 'error, warn, info, debug or trace').default('info'));
}
