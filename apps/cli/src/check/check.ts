// SPDX-License-Identifier: Apache-2.0
/*
 * What a check is (features section 15): one line of `weft check`, in a category, that passes, warns or fails. A check says which others
 * it rests on: when one of those has not passed, it is left out, so that a fault is told once, where it is.
 */
import type { Lookups } from './lookups.ts';

/** Where hints are; the anchor of a check follows. The pages are the reference's, whose categories and texts these are. */
export const HINT_BASE = 'https://linkerd.io/2/checks/#';

/** One line. */
export interface Check {
  /** Unique in a run: `<category>/<what>`. */
  readonly id: string;
  /** The line's text. */
  readonly description: string;
  /** Anchor of the page of hints. */
  readonly hintAnchor: string;
  /** A failure is only a warning. */
  readonly isWarning?: boolean;
  /** Repeated until it passes or the time of `--wait` is over: for what a rollout brings in order by itself. */
  readonly isAwaited?: boolean;
  /** Ids of checks without which this one means nothing. */
  readonly needs?: readonly string[];
  /** Resolves when all is well; rejects with CheckFailure (or any error, whose message is told), or with NotApplicable. */
  readonly run: (lookups: Lookups) => Promise<void>;
}

/** Checks under one heading. */
export interface Category {
  readonly name: string;
  readonly checks: readonly Check[];
}

/** Something is wrong; the message may have several lines. */
export class CheckFailure extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CheckFailure';
  }
}

/** The check does not concern this installation: no line is printed, and what needs it is left out too. */
export class NotApplicable extends Error {
  constructor() {
    super('not applicable');
    this.name = 'NotApplicable';
  }
}

/** What became of a check. */
export interface CheckResult {
  readonly category: string;
  readonly description: string;
  readonly result: 'success' | 'warning' | 'error';
  /** URL of the hints; for what did not pass. */
  readonly hint?: string;
  readonly error?: string;
}

/** Throws when there is anything to tell: a heading, then one indented line each. */
export function failIfAny(heading: string, problems: readonly string[]): void {
  if (problems.length > 0) throw new CheckFailure([heading, ...problems.map((problem) => `    * ${problem}`)].join('\n'));
}
