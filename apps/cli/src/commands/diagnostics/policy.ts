// SPDX-License-Identifier: Apache-2.0
/*
 * `weft diagnostics policy` (features CLI-33): what the policy service tells the proxy of a pod about one of its ports, or clients about a
 * port of a Service.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { inbound, outbound } from '@weft/proto';
import { CommandFailure, type CommandContext, type GlobalOptions } from '../../command-context.ts';
import { namespaceName } from '../../global-options.ts';
import { askDestinationPod, POLICY_PORT } from '../../inspect/control-plane.ts';
import { CALL_LIMITS, callUnary, type CallLimits } from '../../inspect/grpc-call.ts';
import { messageText, type MessageFormat } from '../../inspect/message-text.ts';
import { parseResource } from '../../inspect/resource-argument.ts';
import { withCluster } from '../../inspect/with-cluster.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { readMeshConfig, textAt } from '../../kube/mesh-config.ts';
import { addDestinationOptions, type DestinationOptions } from './destination-options.ts';

export interface PolicyOptions extends DestinationOptions {
  readonly namespace?: string;
  readonly output: MessageFormat;
}

const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';
/** The pod that a question about a Service comes from, where no token says another: policies look at its namespace only. */
const ASKING_POD = 'weft-cli';

/** Flags and action. */
export function definePolicy(command: Command, context: CommandContext): void {
  addDestinationOptions(command.argument('<resource>', 'po/NAME or svc/NAME').argument('<port>', 'port number', parsePort))
    .option('-n, --namespace <namespace>', "namespace; default: that of the kubeconfig's context", namespaceName)
    .addOption(new Option('-o, --output <format>', 'yaml or json').choices(['yaml', 'json']).default('yaml'))
    .action(async (resource: string, port: number, options: PolicyOptions) => {
      await withCluster(context, (cluster, globals) => policy(cluster, globals, resource, port, options, context));
    });
}

/** Asks and writes. */
export async function policy(
  cluster: Cluster,
  globals: Pick<GlobalOptions, 'linkerdNamespace' | 'apiAddr'>,
  resource: string,
  port: number,
  options: PolicyOptions,
  { out }: Pick<CommandContext, 'out'>,
  limits: CallLimits = CALL_LIMITS,
): Promise<void> {
  const { kind, name } = parseResource([resource]);
  if (name === undefined || (kind !== 'pod' && kind !== 'service')) {
    throw new CommandFailure(`${resource} has no policy of its own; write po/NAME for what it admits, svc/NAME for what clients do`);
  }
  const ns = options.namespace ?? cluster.defaultNamespace;
  const text = await askDestinationPod(cluster, globals, POLICY_PORT, options.destinationPod, async (address) => {
    if (kind === 'pod') {
      const workload = options.token ?? JSON.stringify({ ns, pod: name });
      const server = await callUnary(address, inbound.InboundServerPolicies.method.getPort, { workload, port }, limits);
      return messageText(inbound.ServerSchema, server, options.output);
    }
    const sourceWorkload = options.token ?? JSON.stringify({ ns, pod: ASKING_POD });
    const authority = `${name}.${ns}.svc.${await clusterDomain(cluster, globals.linkerdNamespace)}:${port}`;
    const method = outbound.OutboundPolicies.method.get;
    const answer = await callUnary(address, method, { sourceWorkload, target: { case: 'authority', value: authority } }, limits);
    return messageText(outbound.OutboundPolicySchema, answer, options.output);
  });
  out(text);
}

/** The installation's, or the usual one where that cannot be read. */
async function clusterDomain(cluster: Cluster, namespace: string): Promise<string> {
  const config = await readMeshConfig(cluster, namespace).catch(() => undefined);
  return (config === undefined ? '' : textAt(config.values, 'clusterDomain')) || DEFAULT_CLUSTER_DOMAIN;
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('expected a port from 1 to 65535.');
  return port;
}
