// SPDX-License-Identifier: Apache-2.0
/*
 * The `controller` program: one binary whose sub-commands run as separate processes in the reference's containers (design §2). Exit codes:
 * 0 after a signal or when there is nothing to do, 1 when the component fails, 2 for a command line that cannot be used, as Go and Rust
 * programs have it.
 */
import { Command, CommanderError } from 'commander';
import { normaliseArguments } from './flags.ts';

/** A command line that cannot be used. */
const EXIT_USAGE = 2;

/** Adds options and action to a sub-command; `onExit` gets its exit code. */
export type ConfigureCommand = (command: Command, onExit: (code: number) => void) => void;

interface SubCommand {
  readonly name: string;
  readonly description: string;
  /** Loaded only when it is the one that runs: identity need not hold the policy index's code in memory. */
  readonly load: () => Promise<ConfigureCommand>;
}

const SUB_COMMANDS: readonly SubCommand[] = [
  {
    name: 'destination',
    description: 'service discovery for proxies',
    load: async () => (await import('./commands/destination.ts')).configureDestination,
  },
  {
    name: 'policy',
    description: 'inbound and outbound policy for proxies',
    load: async () => (await import('./commands/policy.ts')).configurePolicy,
  },
  {
    name: 'identity',
    description: 'certificate authority of the mesh',
    load: async () => (await import('./commands/identity.ts')).configureIdentity,
  },
  {
    name: 'proxy-injector',
    description: 'webhook that puts proxies into pods',
    load: async () => (await import('./commands/proxy-injector.ts')).configureProxyInjector,
  },
  {
    name: 'heartbeat',
    description: 'tells a server of your choice that the installation exists',
    load: async () => (await import('./commands/heartbeat.ts')).configureHeartbeat,
  },
  {
    name: 'sp-validator',
    description: 'webhook that reviews ServiceProfiles',
    load: async () => (await import('./commands/sp-validator.ts')).configureSpValidator,
  },
];

/** Runs a command line (without interpreter and script) to its end; resolves with the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let code = 0;
  // Settings before sub-commands: each copies them when it is made.
  const program = new Command('controller').exitOverride().showHelpAfterError('(add --help for the flags)');
  for (const { name, description, load } of SUB_COMMANDS) {
    const command = program.command(name).description(description);
    if (argv[0] === name) (await load())(command, (exitCode) => (code = exitCode));
  }
  try {
    await program.parseAsync(normaliseArguments(argv), { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return EXIT_USAGE;
  }
  return code;
}
