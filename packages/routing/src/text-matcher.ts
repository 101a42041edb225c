// SPDX-License-Identifier: Apache-2.0
/*
 * Exact and regular-expression matching of one text (proxy-contract §6.8). Expressions are run by re2js, in time linear in the text, because
 * both they and the texts come from others; they must span the whole text.
 */
import { RE2JS } from 're2js';
import type { RouteError } from './errors.ts';
import type { StringMatch } from './policy.ts';

/** Bounds on what one expression may cost; time and memory of a match grow with both. */
export interface RegexLimits {
  /** Longest expression, in UTF-16 units. */
  readonly maxPatternChars: number;
  /** Most instructions of the compiled program; `x{1000}` has a thousand. */
  readonly maxProgramSize: number;
}

export const DEFAULT_REGEX_LIMITS: RegexLimits = { maxPatternChars: 4096, maxProgramSize: 10_000 };

/** Decides about one text. */
export interface TextMatcher {
  matches(text: string): boolean;
}

class ExactMatcher implements TextMatcher {
  private readonly value: string;

  constructor(value: string) {
    this.value = value;
  }

  matches(text: string): boolean {
    return text === this.value;
  }
}

class RegexMatcher implements TextMatcher {
  private readonly regex: RE2JS;

  constructor(regex: RE2JS) {
    this.regex = regex;
  }

  matches(text: string): boolean {
    return this.regex.testExact(text);
  }
}

/** Compiles `match`, or says why it cannot be. */
export function compileTextMatch(match: StringMatch, limits: RegexLimits): TextMatcher | RouteError {
  return match.kind === 'exact' ? new ExactMatcher(match.value) : compileRegex(match.value, limits);
}

/** Compiles an expression in RE2's syntax, or says why it cannot be. */
export function compileRegex(pattern: string, limits: RegexLimits): TextMatcher | RouteError {
  if (pattern.length > limits.maxPatternChars) {
    return { code: 'ERR_ROUTE_REGEX_TOO_LARGE', message: `regular expression of ${pattern.length} characters: ${shorten(pattern)}` };
  }
  let regex: RE2JS;
  try {
    regex = RE2JS.compile(pattern);
  } catch (error) {
    // re2js throws for nothing but bad input here; any other throw would be one more pattern that we cannot run.
    const reason = error instanceof Error ? error.message : 'unknown error';
    return { code: 'ERR_ROUTE_REGEX', message: `bad regular expression ${shorten(pattern)}: ${shorten(reason)}` };
  }
  if (regex.programSize() > limits.maxProgramSize) {
    return { code: 'ERR_ROUTE_REGEX_TOO_LARGE', message: `regular expression of ${regex.programSize()} steps: ${shorten(pattern)}` };
  }
  return new RegexMatcher(regex);
}

/** Whether a compilation failed. */
export function isRouteError(result: object): result is RouteError {
  return 'code' in result;
}

function shorten(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}...`;
}
