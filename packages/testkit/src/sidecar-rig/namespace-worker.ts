// SPDX-License-Identifier: Apache-2.0
/*
 * Functions that run inside a network namespace: a child process imports a module there and answers calls, one JSON line each way. Arguments
 * and results are plain JSON. What a function prints is not part of the protocol; it goes to the log.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { ProcessGroup } from './processes.ts';

type Functions = Readonly<Record<string, (...args: never[]) => unknown>>;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

const MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './namespace-worker-main.ts' : './namespace-worker-main.js', import.meta.url),
);

/** A module's functions in another namespace. `M` = `typeof import('./module.ts')`. */
export class NamespaceWorker<M extends Functions> {
  private readonly waiting = new Map<number, Waiting>();
  private readonly send: (line: string) => void;
  private lastId = 0;
  private ended: Error | undefined = undefined;

  /** `prefix` = the command that enters the namespace; `modulePath` is absolute. Ends with `group`. */
  constructor(group: ProcessGroup, prefix: readonly string[], modulePath: string, logPath: string) {
    const args = [
      ...prefix.slice(1),
      process.execPath,
      '--conditions=weft-source',
      '--disable-warning=ExperimentalWarning',
      MAIN,
      modulePath,
    ];
    const log = openSync(logPath, 'a');
    const child = spawn(prefix[0] ?? '', args, { stdio: ['pipe', 'pipe', log] }) as ChildProcessByStdio<Writable, Readable, null>;
    closeSync(log);
    group.add(child);
    this.send = (line) => void child.stdin.write(line);
    child.stdin.on('error', () => {
      // Its exit says more.
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.recv(JSON.parse(line) as Answer));
    child.on('exit', (code, signal) => {
      this.ended = new Error(`the worker of ${modulePath} ended (${signal ?? code}); see ${logPath}`);
      for (const { reject } of this.waiting.values()) reject(this.ended);
      this.waiting.clear();
    });
  }

  /** Calls a function of the module. Rejects with the function's error, or when the worker is gone. */
  async call<K extends keyof M & string>(name: K, ...args: Parameters<M[K]>): Promise<Awaited<ReturnType<M[K]>>> {
    if (this.ended !== undefined) throw this.ended;
    this.lastId += 1;
    const id = this.lastId;
    return new Promise<Awaited<ReturnType<M[K]>>>((resolve, reject) => {
      this.waiting.set(id, { resolve: (value) => resolve(value as Awaited<ReturnType<M[K]>>), reject });
      this.send(`${JSON.stringify({ id, name, args })}\n`);
    });
  }

  private recv(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if (answer.error === undefined) waiting?.resolve(answer.value);
    else waiting?.reject(new Error(answer.error));
  }
}
