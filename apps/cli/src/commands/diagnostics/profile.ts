// SPDX-License-Identifier: Apache-2.0
/* `weft diagnostics profile` (features CLI-34): what the destination service says of an address: profile, endpoint, opaqueness. */
import { Option, type Command } from 'commander';
import { destination } from '@weft/proto';
import { CommandFailure, type CommandContext, type GlobalOptions } from '../../command-context.ts';
import { askDestinationPod, DESTINATION_PORT } from '../../inspect/control-plane.ts';
import { CALL_LIMITS, callStream, type CallLimits } from '../../inspect/grpc-call.ts';
import { messageText, type MessageFormat } from '../../inspect/message-text.ts';
import { withCluster } from '../../inspect/with-cluster.ts';
import type { Cluster } from '../../kube/cluster.ts';
import { addDestinationOptions, type DestinationOptions } from './destination-options.ts';

export interface ProfileOptions extends DestinationOptions {
  readonly output: MessageFormat;
}

/** Flags and action. */
export function defineProfile(command: Command, context: CommandContext): void {
  addDestinationOptions(command.argument('<address>', 'IP:PORT or NAME:PORT'))
    .addOption(new Option('-o, --output <format>', 'yaml or json').choices(['yaml', 'json']).default('yaml'))
    .action(async (address: string, options: ProfileOptions) => {
      await withCluster(context, (cluster, globals) => profile(cluster, globals, address, options, context));
    });
}

/** Asks and writes. */
export async function profile(
  cluster: Cluster,
  globals: Pick<GlobalOptions, 'linkerdNamespace' | 'apiAddr'>,
  path: string,
  options: ProfileOptions,
  { out }: Pick<CommandContext, 'out'>,
  limits: CallLimits = CALL_LIMITS,
): Promise<void> {
  const answers = await askDestinationPod(cluster, globals, DESTINATION_PORT, options.destinationPod, (address) =>
    callStream(address, destination.Destination.method.getProfile, { scheme: 'k8s', path, contextToken: options.token ?? '' }, limits),
  );
  const last = answers.at(-1);
  if (last === undefined) throw new CommandFailure(`the destination service says nothing of ${path}`);
  out(messageText(destination.DestinationProfileSchema, last, options.output));
}
