// SPDX-License-Identifier: Apache-2.0
/* Runs checks in order, repeats those that are awaited, and leaves out what rests on something that did not pass (features CLI-35). */
import { HINT_BASE, NotApplicable } from './check.ts';
import type { Category, Check, CheckResult } from './check.ts';
import type { Lookups } from './lookups.ts';

/** Between two attempts of a check that is awaited. */
export const RETRY_MS = 1000;

/** Time, and what is told while it passes. */
export interface RunControl {
  readonly nowMs: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** From the start of the run; after it nothing is repeated. */
  readonly waitMs: number;
  /** Each result at once. */
  readonly onResult?: (result: CheckResult) => void;
  /** A check will be repeated. */
  readonly onRetry?: (check: Check, message: string) => void;
}

/** Resolves with the results in order, without those that did not apply or were left out. */
export async function runChecks(categories: readonly Category[], lookups: Lookups, control: RunControl): Promise<readonly CheckResult[]> {
  const deadlineMs = control.nowMs() + control.waitMs;
  const passed = new Set<string>();
  const known = new Set(categories.flatMap(({ checks }) => checks.map(({ id }) => id)));
  const results: CheckResult[] = [];
  for (const category of categories) {
    for (const check of category.checks) {
      // What is not part of this run cannot be waited for.
      if ((check.needs ?? []).some((id) => known.has(id) && !passed.has(id))) continue;
      const message = await attempt(check, lookups, control, deadlineMs);
      if (message === undefined) continue;
      if (message === '') passed.add(check.id);
      const result: CheckResult = {
        category: category.name,
        description: check.description,
        ...(message === ''
          ? { result: 'success' }
          : { result: check.isWarning === true ? 'warning' : 'error', hint: `${HINT_BASE}${check.hintAnchor}`, error: message }),
      };
      results.push(result);
      control.onResult?.(result);
    }
  }
  return results;
}

/** '' when it passes, undefined when it does not apply, else what is wrong. */
async function attempt(check: Check, lookups: Lookups, control: RunControl, deadlineMs: number): Promise<string | undefined> {
  for (;;) {
    try {
      await check.run(lookups);
      return '';
    } catch (error) {
      if (error instanceof NotApplicable) return undefined;
      const message = error instanceof Error && error.message !== '' ? error.message : String(error);
      if (check.isAwaited !== true || control.nowMs() >= deadlineMs) return message;
      control.onRetry?.(check, message);
    }
    await control.sleep(Math.min(RETRY_MS, Math.max(0, deadlineMs - control.nowMs())));
    lookups.forget();
  }
}
