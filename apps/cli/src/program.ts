// SPDX-License-Identifier: Apache-2.0
/*
 * The command line: global flags, built-in commands (command-table.ts), then programs on PATH (external-command.ts). Exit codes: 0, 1 when
 * the work failed, 2 for a command line that cannot be used; an extension's own.
 */
import { Command, CommanderError } from 'commander';
import { CommandFailure, EXIT_USAGE } from './command-context.ts';
import type { CommandContext, CommandOutput } from './command-context.ts';
import { COMMANDS } from './command-table.ts';
import { EXTENSION_PREFIXES, findExtension, runExtension, subCommandIndex, VIZ_WORDS } from './external-command.ts';
import { addGlobalOptions, readGlobalOptions } from './global-options.ts';

const PROCESS_OUTPUT: CommandOutput = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
};

/** Runs a command line (without interpreter and script) to its end; resolves with the exit code. */
export async function runProgram(argv: readonly string[], output: CommandOutput = PROCESS_OUTPUT): Promise<number> {
  let code = 0;
  const program = emptyProgram(output);
  const context: CommandContext = {
    ...output,
    argv,
    globals: () => readGlobalOptions(program),
    finish: (exitCode) => {
      code = exitCode;
    },
    describeAll: async () => {
      const whole = emptyProgram(output);
      await addCommands(whole, context, () => true);
      return whole;
    },
  };
  const at = subCommandIndex(argv, program);
  const name = at === undefined ? undefined : argv[at];
  const wanted = name === 'help' ? argv[(at as number) + 1] : name;
  await addCommands(program, context, (entryName) => entryName === wanted);
  if (name !== undefined && name !== 'help' && !isCommand(name)) {
    const file = findExtension(name);
    if (file !== undefined) return runExtension(file, argv.toSpliced(at as number, 1));
    if (VIZ_WORDS.has(name)) return runViz(name, argv, output);
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    const message = failureMessage(error);
    if (message === undefined) throw error;
    output.err(`Error: ${message}\n`);
    return error instanceof CommandFailure ? error.exitCode : 1;
  }
  return code;
}

/** A word of the extension `viz`, without saying so: the command line is the same, but for the word before it. */
function runViz(name: string, argv: readonly string[], { err }: CommandOutput): Promise<number> {
  err(`weft ${name} is deprecated, use weft viz ${name}\n`);
  const file = findExtension('viz');
  if (file !== undefined) return runExtension(file, argv);
  const programs = EXTENSION_PREFIXES.map((prefix) => `${prefix}viz`).join(' nor ');
  err(`Error: the extension viz is not installed: neither ${programs} is on the PATH\n`);
  return Promise.resolve(1);
}

/** Whether a built-in command has this name or alias. */
function isCommand(name: string): boolean {
  return COMMANDS.some((entry) => entry.name === name || entry.alias === name);
}

function emptyProgram({ out, err }: CommandOutput): Command {
  const program = new Command('weft')
    .description('A service mesh for Kubernetes, and for one machine without it')
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: err })
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', '\nOther words run weft-<word> or linkerd-<word> from PATH.');
  return addGlobalOptions(program);
}

/** Adds all commands, and the flags of those that are wanted. */
async function addCommands(program: Command, context: CommandContext, isWanted: (name: string) => boolean): Promise<void> {
  for (const entry of COMMANDS) {
    const command = program.command(entry.name).description(entry.description);
    if (entry.alias !== undefined) command.alias(entry.alias);
    if (isWanted(entry.name) || (entry.alias !== undefined && isWanted(entry.alias))) (await entry.load()).define(command, context);
  }
}

/** What a user is told of an error that is not ours; undefined for our own mistakes. */
function failureMessage(error: unknown): string | undefined {
  if (error instanceof CommandFailure) return error.message;
  // By name: the class is in a package that must not be loaded for this.
  return error instanceof Error && error.name === 'ResourceError' ? error.message : undefined;
}
