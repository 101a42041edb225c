// SPDX-License-Identifier: Apache-2.0
/* The child of `NamespaceWorker`: `namespace-worker-main.ts MODULE`. Calls come on standard input, answers go to standard output. */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

interface Call {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

const modulePath = process.argv[2];
if (modulePath === undefined) throw new Error('usage: namespace-worker-main.ts MODULE');
const functions = (await import(pathToFileURL(modulePath).href)) as Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
// Standard output carries the protocol.
console.log = console.error;

// Sockets of one call must never end the worker: the error is shown, the call that waits fails by its own deadline.
process.on('uncaughtException', (error) => console.error('uncaught', error));

createInterface({ input: process.stdin })
  .on('line', (line) => void answer(JSON.parse(line) as Call))
  .on('close', () => process.exit(0));

async function answer({ id, name, args }: Call): Promise<void> {
  let line: string;
  try {
    const called = functions[name];
    if (called === undefined) throw new Error(`${modulePath} has no function ${name}`);
    const value = await called(...args);
    line = JSON.stringify({ id, value });
  } catch (error) {
    line = JSON.stringify({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
  writeAll(`${line}\n`);
}

/** A pipe takes what it has room for. */
function writeAll(text: string): void {
  let rest: Buffer = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}
