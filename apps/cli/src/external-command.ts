// SPDX-License-Identifier: Apache-2.0
/*
 * `weft foo` runs `weft-foo`, or else `linkerd-foo`, from PATH (features CLI-02, EX-01), with the global flags that stood before the word
 * and everything after it. Built-in commands win.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';

/** Prefixes of the programs that extend the command, in the order in which they are looked for. */
export const EXTENSION_PREFIXES: readonly string[] = ['weft-', 'linkerd-'];

/** Words that once were commands of their own, and mean those of the extension `viz` (features CLI-03). `stat`, `top` and `edges` are built in. */
export const VIZ_WORDS: ReadonlySet<string> = new Set(['dashboard', 'routes']);

/** Conventional exit codes of a shell: not to be run, and ended by a signal. */
const EXIT_CANNOT_RUN = 126;
const EXIT_SIGNAL = 128;

/** The sub-command that a command line names, as an index into it; undefined when there is none. */
export function subCommandIndex(argv: readonly string[], program: Command): number | undefined {
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] as string;
    if (word === '--') return undefined;
    if (!word.startsWith('-') || word === '-') return index;
    const option = program.options.find(({ long, short }) => word === long || word === short);
    if (option === undefined ? false : option.required) index += 1;
  }
  return undefined;
}

/** The program on PATH that serves `name`, or undefined. */
export function findExtension(name: string, path: string = process.env['PATH'] ?? ''): string | undefined {
  // Anything else could leave the directories of PATH.
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return undefined;
  for (const prefix of EXTENSION_PREFIXES) {
    for (const directory of path.split(delimiter)) {
      const file = join(directory === '' ? '.' : directory, `${prefix}${name}`);
      if (isProgram(file)) return file;
    }
  }
  return undefined;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** Runs it with this process's streams; resolves with the exit code, 128 and the number of the signal that ended it. */
export function runExtension(file: string, args: readonly string[]): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const child = spawn(file, args, { stdio: 'inherit' });
  child.on('error', (error) => {
    process.stderr.write(`Error: cannot run ${file}: ${error.message}\n`);
    resolve(EXIT_CANNOT_RUN);
  });
  child.on('exit', (code, signal) => resolve(code ?? EXIT_SIGNAL + signalNumber(signal)));
  return promise;
}

const SIGNALS: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGPIPE: 13, SIGTERM: 15 };

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (SIGNALS[signal] ?? 0);
}
