// SPDX-License-Identifier: Apache-2.0
/* The command line of the bench. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** One short round, no memory trial, no document: to see that all works. */
  readonly isQuick: boolean;
  /** Only cases whose ID contains one of these; `memory` is an ID too. */
  readonly only: readonly string[];
  readonly rounds: number;
  /** Length of one measured run. */
  readonly seconds: number;
  /** How long to wait before each run for other processes of the machine to fall quiet. */
  readonly quietWaitSeconds: number;
  /** Node flags in place of those of apps/proxy/package.json. */
  readonly nodeFlags: readonly string[] | undefined;
  /** A built proxy to measure in place of the checkout's. */
  readonly proxyMain: string | undefined;
  /** Writes docs/performance.md from bench/results again, without measuring. */
  readonly isDocumentOnly: boolean;
  /** Tries the sets of V8 flags instead of the cases, and writes bench/results/flags.json. */
  readonly isFlagTrial: boolean;
}

export const USAGE = `npm run bench -- [--quick] [--only ID,…] [--rounds N] [--seconds N] [--quiet-wait SECONDS] [--node-flags="…"]
                [--proxy=dist/main.js] [--document] [--flags]`;

/** Throws a TypeError for what it does not know. */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'quiet-wait': { type: 'string' },
      'node-flags': { type: 'string' },
      proxy: { type: 'string' },
      document: { type: 'boolean', default: false },
      flags: { type: 'boolean', default: false },
    },
  });
  const isQuick = values.quick;
  return {
    isQuick,
    only: values.only.split(',').filter((id) => id !== ''),
    rounds: positive('rounds', values.rounds, isQuick ? 1 : 5),
    seconds: positive('seconds', values.seconds, isQuick ? 2 : 8),
    quietWaitSeconds: values['quiet-wait'] === undefined ? (isQuick ? 0 : 60) : Number(values['quiet-wait']),
    nodeFlags: values['node-flags']?.split(' ').filter((flag) => flag !== ''),
    proxyMain: values.proxy,
    isDocumentOnly: values.document,
    isFlagTrial: values.flags,
  };
}

/** Whether `--only` lets a case of this ID run. */
export function isWanted(options: BenchOptions, id: string): boolean {
  return options.only.length === 0 || options.only.some((part) => id.includes(part));
}

function positive(name: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (!(value > 0)) throw new TypeError(`--${name}: ${text} is not a positive number`);
  return value;
}
