// SPDX-License-Identifier: Apache-2.0
/*
 * Running the application as a child: signals go through to it, its end gives the exit code, as a shell would give it.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import process from 'node:process';

/** Signals that a container is sent to end, reload or report; others keep their default. */
const FORWARDED: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'];

/** As shells have it. */
const EXIT_NOT_FOUND = 127;
const EXIT_NOT_EXECUTABLE = 126;
const EXIT_SIGNAL_BASE = 128;

/** What became of the child; `problem` when it never ran. */
export interface ChildOutcome {
  readonly exitCode: number;
  readonly problem?: string;
}

/** Runs the command with this process's standard streams to its end. */
export function runChild(command: readonly string[]): Promise<ChildOutcome> {
  const { promise, resolve } = Promise.withResolvers<ChildOutcome>();
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of FORWARDED) process.on(signal, forward);
  child.on('error', (error: NodeJS.ErrnoException) => {
    if (child.pid !== undefined) return;
    const exitCode = error.code === 'ENOENT' ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    resolve({ exitCode, problem: `cannot run ${file}: ${error.message}` });
  });
  child.on('close', (code, signal) => {
    resolve({ exitCode: code ?? EXIT_SIGNAL_BASE + (signal === null ? 0 : constants.signals[signal]) });
  });
  return promise.finally(() => {
    for (const signal of FORWARDED) process.removeListener(signal, forward);
  });
}
