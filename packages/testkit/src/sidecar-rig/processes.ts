// SPDX-License-Identifier: Apache-2.0
/* Commands, and long-running processes remembered together so that the end of a rig is the end of them. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

const MAX_OUTPUT_BYTES = 64 << 20;

/** Runs a command and returns what it printed. Throws with its error output. */
export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: MAX_OUTPUT_BYTES });
}

/** Runs a command whose failure is of no interest, because what it removes may not be there. */
export function tryRun(command: string, ...args: readonly string[]): void {
  try {
    run(command, ...args);
  } catch {
    // See above.
  }
}

/** How a command ended. */
export interface Finished {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command without blocking; any exit code is an answer. `timeoutMs` kills it (exit code -1). */
export async function runToEnd(timeoutMs: number, command: string, ...args: readonly string[]): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(
      command,
      args,
      { encoding: 'utf8', timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code;
        resolve({ exitCode: typeof code === 'number' ? code : -1, stdout, stderr });
      },
    );
  });
}

/** Long-running processes with one end. */
export class ProcessGroup {
  private readonly started = new Set<ChildProcess>();

  constructor() {
    // A test runner that ends early must not leave them behind.
    process.on('exit', () => this.killAll());
  }

  /** Starts a process; both outputs go to the file `logPath`. Throws where it cannot be started. */
  start(logPath: string, env: Readonly<Record<string, string>>, command: string, ...args: readonly string[]): ChildProcess {
    const log = openSync(logPath, 'w');
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
    closeSync(log);
    return this.add(child);
  }

  /** Takes over a process started elsewhere. */
  add(child: ChildProcess): ChildProcess {
    if (child.pid === undefined) throw new Error(`cannot start ${child.spawnfile}`);
    this.started.add(child);
    child.on('exit', () => this.started.delete(child));
    return child;
  }

  /** Ends every process that still runs, at once. */
  killAll(): void {
    for (const child of this.started) child.kill('SIGKILL');
    this.started.clear();
  }
}

/** Waits until `test` holds; throws after `timeoutMs`, naming what was waited for. */
export async function until(what: string, timeoutMs: number, test: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await test()) return;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
