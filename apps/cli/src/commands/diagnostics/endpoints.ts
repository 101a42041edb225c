// SPDX-License-Identifier: Apache-2.0
/* `weft diagnostics endpoints` (features CLI-32): where the destination service sends requests for an authority. */
import { Option, type Command } from 'commander';
import { destination } from '@weft/proto';
import type { CommandContext, GlobalOptions } from '../../command-context.ts';
import { askDestinationPod, DESTINATION_PORT } from '../../inspect/control-plane.ts';
import { endpointRows, endpointTable } from '../../inspect/endpoint-rows.ts';
import { CALL_LIMITS, callStream, type CallLimits } from '../../inspect/grpc-call.ts';
import { withCluster } from '../../inspect/with-cluster.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { addDestinationOptions, type DestinationOptions } from './destination-options.ts';

export interface EndpointsOptions extends DestinationOptions {
  readonly output: 'table' | 'json';
}

/** Flags and action. */
export function defineEndpoints(command: Command, context: CommandContext): void {
  addDestinationOptions(command.argument('<authority...>', 'such as web.shop.svc.cluster.local:80'))
    .addOption(new Option('-o, --output <format>', 'table or json').choices(['table', 'json']).default('table'))
    .action(async (authorities: string[], options: EndpointsOptions) => {
      await withCluster(context, (cluster, globals) => endpoints(cluster, globals, authorities, options, context));
    });
}

/** Asks and writes. */
export async function endpoints(
  cluster: Cluster,
  globals: Pick<GlobalOptions, 'linkerdNamespace' | 'apiAddr'>,
  authorities: readonly string[],
  options: EndpointsOptions,
  { out }: Pick<CommandContext, 'out'>,
  limits: CallLimits = CALL_LIMITS,
): Promise<void> {
  const rows = await askDestinationPod(cluster, globals, DESTINATION_PORT, options.destinationPod, async (address) => {
    const answers = await Promise.all(
      authorities.map((path) =>
        callStream(address, destination.Destination.method.get, { scheme: 'k8s', path, contextToken: options.token ?? '' }, limits),
      ),
    );
    return answers.flatMap(endpointRows);
  });
  if (options.output === 'json') out(`${JSON.stringify(rows, undefined, 2)}\n`);
  else out(rows.length === 0 ? 'No endpoints found.\n' : `${endpointTable(rows)}\n`);
}
