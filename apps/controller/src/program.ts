// SPDX-License-Identifier: Apache-2.0
/*
 * The `controller` program: one binary whose sub-commands run as separate processes in the reference's containers (design §2). Exit codes:
 * 0 after a signal or when there is nothing to do, 1 when the component fails, 2 for a command line that cannot be used, as Go and Rust
 * programs have it.
 */
import { Command, CommanderError } from 'commander';
import { addDestinationCommand } from './commands/destination.ts';
import { addIdentityCommand } from './commands/identity.ts';
import { addPolicyCommand } from './commands/policy.ts';
import { normaliseArguments } from './flags.ts';

/** A command line that cannot be used. */
const EXIT_USAGE = 2;

/** Runs a command line (without interpreter and script) to its end; resolves with the exit code. */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let code = 0;
  const onExit = (exitCode: number): void => {
    code = exitCode;
  };
  // Settings before sub-commands: each copies them when it is made.
  const program = new Command('controller').exitOverride().showHelpAfterError('(add --help for the flags)');
  addDestinationCommand(program, onExit);
  addPolicyCommand(program, onExit);
  addIdentityCommand(program, onExit);
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
