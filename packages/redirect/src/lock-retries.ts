// SPDX-License-Identifier: Apache-2.0
/*
 * The legacy iptables takes one lock file for the whole machine, whichever network namespace it works in; without `-w` it gives up at
 * once when another process holds it. Twenty pods that start together would make each other fail, so a command that met the lock is
 * run again (proxy-contract §10.2; `use-wait-flag` is off by default).
 */
import { isLockProblem } from './errors.ts';
import type { CommandResult, Exec } from './run-command.ts';

/** How often a command is run before the lock counts as lost, and the pause between; both are stretched by up to half at random. */
export const LOCK_RETRIES: { readonly maxAttempts: number; readonly pauseMs: number } = { maxAttempts: 200, pauseMs: 25 };

/** What the waiting needs: a pause in milliseconds, and a number in [0, 1). */
export interface LockRetryClock {
  readonly sleep: (delayMs: number) => Promise<void>;
  readonly random: () => number;
}

/** An `exec` that waits for the lock by trying again. */
export function withLockRetries(exec: Exec, { sleep, random }: LockRetryClock, limits: typeof LOCK_RETRIES = LOCK_RETRIES): Exec {
  return async (command, input) => {
    for (let attempt = 1; ; attempt++) {
      const result: CommandResult = await exec(command, input);
      if (result.status === 0 || !isLockProblem(result.stderr) || attempt >= limits.maxAttempts) return result;
      await sleep(limits.pauseMs * (1 + random() / 2));
    }
  };
}
