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

const started: Set<ChildProcess> = new Set();

/** Starts a long-running process; its output goes to `logPath`. */
export function start(logPath: string, env: Readonly<Record<string, string>>, command: string, ...args: string[]): Started {
  const log = openSync(logPath, 'w');
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
  closeSync(log);
  started.add(child);
  child.once('exit', () => started.delete(child));
  if (child.pid === undefined) throw new Error(`cannot start ${command}`);
  return { pid: child.pid, child };
}

/** Runs a command to its end without blocking signals meanwhile, and returns its standard output. Throws with its error output. */
export async function finish(command: string, ...args: string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  started.add(child);
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => resolve(status ?? signal ?? 'unknown'));
  });
  started.delete(child);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${code}\n${Buffer.concat(errors).toString().slice(-2000)}`);
  return Buffer.concat(output).toString();
}

/** Ends everything that `start` and `finish` started. */
export function stopAll(): void {
  for (const child of started) child.kill('SIGKILL');
  started.clear();
}

/** Polls `test` every 50 ms. Throws after `timeoutMs`. */
export async function until(what: string, timeoutMs: number, test: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await test()) return;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(50);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
