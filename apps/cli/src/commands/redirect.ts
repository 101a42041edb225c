// SPDX-License-Identifier: Apache-2.0
/*
 * `weft redirect`: the init container's work by hand (proxy-contract §10.1), with its flags; `remove` as first word takes the rules out again.
 */
import type { Command } from 'commander';
import { applyRedirect, parseRedirectFlags, RedirectError, removeRedirect, runCommand } from '@weft/redirect';
import type { CommandContext } from '../command-context.ts';

/** The flags are the init container's, parsed where they are used. */
export function define(command: Command, context: CommandContext): void {
  command
    .argument('[arguments...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (args: readonly string[]) => {
      context.finish(await redirect(args));
    });
}

/** Runs it; resolves with the exit code. */
export async function redirect(args: readonly string[]): Promise<number> {
  const isRemoval = args[0] === 'remove';
  const words = isRemoval || args[0] === 'apply' ? args.slice(1) : args;
  if (words.length === 0 || words.includes('--help')) {
    process.stdout.write(HELP);
    return words.length === 0 && !isRemoval ? 2 : 0;
  }
  try {
    const { options, isSimulation } = parseRedirectFlags(withDefaults(words));
    const outcome = isRemoval
      ? await removeRedirect(options, runCommand)
      : await applyRedirect(options, isSimulation ? undefined : runCommand);
    for (const warning of outcome.warnings) process.stderr.write(`warning: ${warning}\n`);
    for (const command of outcome.commands) process.stdout.write(`${command.join(' ')}\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return error.code === 'ERR_REDIRECT_OPTION' ? 2 : 1;
  }
}

/** The mesh's ports and user, unless the command line says otherwise. */
function withDefaults(words: readonly string[]): string[] {
  const defaults = ['--incoming-proxy-port=4143', '--outgoing-proxy-port=4140', '--proxy-uid=2102', '--iptables-mode=nft'];
  return [...defaults, ...words];
}

const HELP = `Usage: weft redirect [apply|remove] [flags]

Sends the TCP traffic of a network namespace through a proxy, or undoes it. Prints the commands.

  --netns <name or path>             network namespace; default: the current one
  --incoming-proxy-port <port>       default 4143
  --outgoing-proxy-port <port>       default 4140
  --proxy-uid <uid>                  whose own traffic is left alone; default 2102
  --inbound-ports-to-ignore <ports>  ports and ranges, comma-separated
  --outbound-ports-to-ignore <ports>
  --subnets-to-ignore <cidrs>
  --iptables-mode <mode>             nft (default), plain or legacy
  --ipv6=false                       IPv4 only
  --dry-run                          print the commands, run nothing
`;
