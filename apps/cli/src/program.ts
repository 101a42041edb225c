// SPDX-License-Identifier: Apache-2.0
/*
 * The sub-commands of `weft`. Each is loaded only when it runs, so that `weft --help` answers at once.
 */
import { Command, CommanderError } from 'commander';
import type { RawRunOptions } from './commands/run-options.ts';

/** A command line that cannot be used. */
const EXIT_USAGE = 2;

declare const WEFT_VERSION: string | undefined;
/** The program's version. */
export const VERSION: string = typeof WEFT_VERSION === 'string' ? WEFT_VERSION : '0.0.0-dev';

/** Runs a command line (without interpreter and script) to its end; resolves with the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let code = 0;
  const program = new Command('weft')
    .description('A service mesh for Kubernetes, and for one machine without it')
    .exitOverride()
    .showHelpAfterError('(add --help for the options)');
  program
    .command('run')
    .description('run a mesh from a directory of manifests on this Linux machine')
    .argument('[directory]', 'Kubernetes manifests; containers are local commands')
    .option('--name <name>', 'name of the run; default: made from the directory')
    .option('--for <duration>', 'end after this time (30s, 5m) with a summary; exit 1 if a request failed')
    .option('--output <format>', 'text or json', 'text')
    .option('--pod-network <cidr>', 'network of the pods; default: the first free one of 10.244.0.0/16 and below')
    .option('--settle <duration>', 'between a pod leaving the endpoints and SIGTERM', '1s')
    .option('--default-inbound-policy <policy>', 'for ports that no Server selects', 'all-unauthenticated')
    .option('--proxy-env <name=value...>', 'extra environment of every proxy')
    .option('--install-deps', 'install missing Debian packages, visibly')
    .option('--clean', 'only remove what earlier runs have left behind')
    .option('--no-view', 'plain lines, also in a terminal')
    .action(async (directory: string | undefined, options: RawRunOptions) => {
      const { run } = await import('./commands/run.ts');
      code = await run(directory, options, argv);
    });
  program
    .command('redirect')
    .description('send the traffic of a network namespace through a proxy (flags of the init container; `redirect remove` undoes it)')
    .argument('[arguments...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (args: readonly string[]) => {
      const { redirect } = await import('./commands/redirect.ts');
      code = await redirect(args);
    });
  program
    .command('version')
    .description('print the version')
    .option('--short', 'only the version')
    .action((options: { readonly short?: boolean }) => {
      process.stdout.write(options.short === true ? `${VERSION}\n` : `Client version: ${VERSION}\n`);
    });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : EXIT_USAGE;
  }
  return code;
}
