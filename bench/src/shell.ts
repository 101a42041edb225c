// SPDX-License-Identifier: Apache-2.0
/* Processes and commands of a bench, each remembered so that the end of the bench is the end of them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** Runs a command and returns what it printed. Throws with its error output. */
export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });
}

export function tryRun(command: string, ...args: string[]): void {
  try {
    run(command, ...args);
  } catch {
    // It may not be there; that is what this is for.
  }
}

export interface Started {
  readonly pid: number;
  readonly child: ChildProcess;
}

const started: ChildProcess[] = [];

/** Starts a long-running process; its output goes to `logPath`. */
export function start(logPath: string, env: Readonly<Record<string, string>>, command: string, ...args: string[]): Started {
  const log = openSync(logPath, 'w');
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
  closeSync(log);
  started.push(child);
  if (child.pid === undefined) throw new Error(`cannot start ${command}`);
  return { pid: child.pid, child };
}

/** Ends everything that `start` started. */
export function stopAll(): void {
  for (const child of started.splice(0)) child.kill('SIGKILL');
}

export async function until(what: string, timeoutMs: number, test: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await test()) return;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
