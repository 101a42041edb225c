// SPDX-License-Identifier: Apache-2.0
/* `weft completion bash|zsh|fish` (features CLI-04): the script of one shell, from the program's own commands and flags. */
import type { Command } from 'commander';
import { Argument } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { completionScript, SHELLS } from '../completion/scripts.ts';
import type { Shell } from '../completion/scripts.ts';
import { describeProgram } from '../completion/word-tree.ts';

/** Argument and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .addArgument(new Argument('<shell>', 'whose script').choices(SHELLS))
    .addHelpText('after', '\nFor example, in ~/.bashrc: source <(weft completion bash)')
    .action(async (shell: Shell) => {
      context.out(completionScript(shell, describeProgram(await context.describeAll())));
    });
}
