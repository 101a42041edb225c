// SPDX-License-Identifier: Apache-2.0
/* Flags of the commands that ask a destination pod as a proxy would. */
import { Option, type Command } from 'commander';

/** Values of the flags. */
export interface DestinationOptions {
  readonly token?: string;
  readonly destinationPod?: string;
}

/** Adds them. */
export function addDestinationOptions(command: Command): Command {
  return command
    .addOption(new Option('--token <token>', 'who asks, as a proxy says it: {"ns":"shop","nodeName":"node-1","pod":"web-1"}'))
    .addOption(new Option('--destination-pod <name>', 'the pod to ask; default: any that runs'));
}
