// SPDX-License-Identifier: Apache-2.0
/* A program as completion sees it: commands, flags, and what a flag or an argument may be followed by. */
import type { Command, Option } from 'commander';

/** Values that the cluster knows, completed by asking kubectl, which the user of a mesh has. */
export type LiveValues = 'namespaces' | 'contexts' | 'resources' | 'files';

/** A flag. */
export interface FlagWord {
  /** `--long`, then `-s` where there is one. */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly live?: LiveValues;
}

/** A command. */
export interface CommandWord {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly FlagWord[];
  /** Fixed words that its arguments may be. */
  readonly choices: readonly string[];
  readonly live?: LiveValues;
  readonly commands: readonly CommandWord[];
}

/** The tree of a whole program; the root's flags are those that every command takes. */
export function describeProgram(program: Command): CommandWord {
  return describe(program);
}

function describe(command: Command): CommandWord {
  const flags = command.options.filter(({ hidden }) => !hidden).map(describeFlag);
  const live = argumentValues(command);
  return {
    name: command.name(),
    description: firstLine(command.description()),
    flags: [...flags, { names: ['--help', '-h'], description: 'help for the command', takesValue: false, choices: [] }],
    choices: command.registeredArguments.flatMap((argument) => argument.argChoices ?? []),
    ...(live === undefined ? {} : { live }),
    commands: command.commands.map(describe),
  };
}

function describeFlag(option: Option): FlagWord {
  const live = flagValues(option);
  return {
    names: [option.long, option.short].filter((name): name is string => name !== undefined && name !== null),
    description: firstLine(option.description),
    takesValue: option.required,
    choices: option.argChoices ?? [],
    ...(live === undefined ? {} : { live }),
  };
}

function flagValues({ long }: Option): LiveValues | undefined {
  if (long === '--context') return 'contexts';
  if (long?.endsWith('namespace') === true) return 'namespaces';
  return /-file$|^--(kubeconfig|values|from-manifests)$/.test(long ?? '') ? 'files' : undefined;
}

/** By the name of the argument, as it stands in the help. */
function argumentValues(command: Command): LiveValues | undefined {
  for (const argument of command.registeredArguments) {
    if (/resource|pod|deploy|workload/i.test(argument.name())) return 'resources';
    if (/file|director|path/i.test(argument.name())) return 'files';
  }
  return undefined;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
