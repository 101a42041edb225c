// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type CommandResult, withLockRetries } from './index.ts';

const OK: CommandResult = { status: 0, stdout: '', stderr: '' };
const LOCKED: CommandResult = {
  status: 4,
  stdout: '',
  stderr: 'Another app is currently holding the xtables lock. Perhaps you want to use the -w option?',
};
const OTHER: CommandResult = { status: 1, stdout: '', stderr: 'iptables: No chain/target/match by that name.' };

describe('withLockRetries', () => {
  const cases: [string, CommandResult[], CommandResult, number][] = [
    ['runs a command that works once', [OK], OK, 1],
    ['waits while another holds the lock', [LOCKED, LOCKED, OK], OK, 3],
    ['gives up after the last attempt', [LOCKED, LOCKED, LOCKED, LOCKED], LOCKED, 3],
    ['does not repeat other failures', [OTHER, OK], OTHER, 1],
  ];
  it.each(cases)('%s', async (_name, results, expected, runs) => {
    const pauses: number[] = [];
    let count = 0;
    const exec = withLockRetries(
      () => Promise.resolve(results[count++] as CommandResult),
      { sleep: (delayMs) => Promise.resolve(void pauses.push(delayMs)), random: () => 0.5 },
      { maxAttempts: 3, pauseMs: 8 },
    );
    expect(await exec(['iptables-legacy'])).toBe(expected);
    expect(count).toBe(runs);
    expect(pauses).toEqual(Array.from({ length: runs - 1 }, () => 10));
  });
});
