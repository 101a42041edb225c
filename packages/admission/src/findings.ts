// SPDX-License-Identifier: Apache-2.0
/*
 * What a review finds in one object. All faults are collected, up to a limit, so that a user mends a manifest once and not fault by fault.
 * A fault of shape (a list where a number belongs) and a fault against a rule are kept apart: Gateway API objects of a newer version than
 * ours may have shapes that we do not know, and are admitted with a warning (control-contract §3.5).
 */
import { MAX_PATTERN_SIZE, patternSize } from '@weft/policy-controller/syntax';

/** Limits of one review. */
export const REVIEW_LIMITS: {
  readonly maxFindings: number;
  readonly maxValues: number;
  readonly maxPatternSize: number;
  readonly maxQuotedCharacters: number;
  readonly maxReasonCharacters: number;
} = {
  /** Faults and warnings that are named; further ones are counted. */
  maxFindings: 8,
  /** Values of one object that are looked at. An object in etcd (1.5 MB) has fewer. */
  maxValues: 200_000,
  /** Size of all patterns of one object together, repetitions written out: compiling them is the dearest thing that a review does. */
  maxPatternSize: MAX_PATTERN_SIZE,
  /** Characters of a user's text that a message repeats. */
  maxQuotedCharacters: 80,
  /** Characters of one fault or warning; those of the API server's log and of kubectl are shown whole. */
  maxReasonCharacters: 400,
};

/** The faults of one object. */
export class Findings {
  readonly shapes: string[] = [];
  readonly rules: string[] = [];
  readonly warnings: string[] = [];
  private faultCount = 0;
  private valueCount = 0;
  private patternSizes = 0;

  shape(path: string, reason: string): void {
    this.add(this.shapes, path, reason);
  }

  rule(path: string, reason: string): void {
    this.add(this.rules, path, reason);
  }

  warn(path: string, reason: string): void {
    if (this.warnings.length < REVIEW_LIMITS.maxFindings) this.warnings.push(line(path, reason));
  }

  /** Takes one value from the budget; false when it is used up, which is a fault. */
  spend(path: string): boolean {
    this.valueCount += 1;
    if (this.valueCount === REVIEW_LIMITS.maxValues) {
      this.rule(path, `the object is too large to review: more than ${REVIEW_LIMITS.maxValues} values; split it`);
    }
    return this.valueCount < REVIEW_LIMITS.maxValues;
  }

  /** Takes a pattern from the budget; false when it is used up, which is a fault. */
  spendPattern(path: string, pattern: string): boolean {
    const before = this.patternSizes;
    this.patternSizes += patternSize(pattern);
    const limit = REVIEW_LIMITS.maxPatternSize;
    if (before <= limit && this.patternSizes > limit) {
      this.rule(
        path,
        `the patterns of one object are too large together: more than ${limit} single matches; simplify them or split the object`,
      );
    }
    return this.patternSizes <= limit;
  }

  /** The faults of `list` in one text, with the number of those that were left out. */
  render(list: readonly string[]): string {
    const left = this.faultCount - this.shapes.length - this.rules.length;
    return [...list, ...(left > 0 ? [`and ${left} more`] : [])].join('; ');
  }

  private add(list: string[], path: string, reason: string): void {
    this.faultCount += 1;
    if (this.shapes.length + this.rules.length < REVIEW_LIMITS.maxFindings) list.push(line(path, reason));
  }
}

/** One fault in one line: a user's text in it cannot forge another. */
function line(path: string, reason: string): string {
  const max = REVIEW_LIMITS.maxReasonCharacters;
  const text = `${path}: ${reason.length > max ? `${reason.slice(0, max)}…` : reason}`;
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd');
}

/** A user's text for a message: quoted, without control characters, cut. */
export function quote(text: string): string {
  const max = REVIEW_LIMITS.maxQuotedCharacters;
  return JSON.stringify(text.length > max ? `${text.slice(0, max)}…` : text);
}
