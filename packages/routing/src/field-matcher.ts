// SPDX-License-Identifier: Apache-2.0
/*
 * Matches on header fields and query parameters (proxy-contract §6.8): a match holds if any value of that name fits. Expressions see only
 * values that are text, that is visible ASCII, spaces and tabs; others fit no expression.
 */
import type { RouteError } from './errors.ts';
import type { FieldMatch } from './policy.ts';
import { type RegexLimits, type TextMatcher, compileTextMatch, isRouteError } from './text-matcher.ts';

/** Matches of one kind that must all hold. */
export class FieldMatcher {
  private readonly names: readonly string[];
  private readonly matchers: readonly TextMatcher[];

  constructor(names: readonly string[], matchers: readonly TextMatcher[]) {
    this.names = names;
    this.matchers = matchers;
  }

  /** `fields`: name at even indexes, value at odd ones. */
  matches(fields: readonly string[]): boolean {
    const { names, matchers } = this;
    for (let i = 0; i < names.length; i++) {
      if (!anyValueMatches(fields, names[i] as string, matchers[i] as TextMatcher)) return false;
    }
    return true;
  }
}

function anyValueMatches(fields: readonly string[], name: string, matcher: TextMatcher): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === name && matcher.matches(fields[i + 1] as string)) return true;
  }
  return false;
}

class TextOnly implements TextMatcher {
  private readonly inner: TextMatcher;

  constructor(inner: TextMatcher) {
    this.inner = inner;
  }

  matches(text: string): boolean {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7e || (unit < 0x20 && unit !== 0x09)) return false;
    }
    return this.inner.matches(text);
  }
}

/** Compiles matches on header fields (names in lower case). */
export function compileHeaderMatches(matches: readonly FieldMatch[], limits: RegexLimits): FieldMatcher | RouteError {
  return compileFieldMatches(matches, limits, (name) => name.toLowerCase(), true);
}

/** Compiles matches on query parameters. */
export function compileQueryMatches(matches: readonly FieldMatch[], limits: RegexLimits): FieldMatcher | RouteError {
  return compileFieldMatches(matches, limits, (name) => name, false);
}

function compileFieldMatches(
  matches: readonly FieldMatch[],
  limits: RegexLimits,
  normalize: (name: string) => string,
  isTextOnly: boolean,
): FieldMatcher | RouteError {
  const names: string[] = [];
  const matchers: TextMatcher[] = [];
  for (const { name, match } of matches) {
    const matcher = compileTextMatch(match, limits);
    if (isRouteError(matcher)) return matcher;
    names.push(normalize(name));
    matchers.push(isTextOnly && match.kind === 'regex' ? new TextOnly(matcher) : matcher);
  }
  return new FieldMatcher(names, matchers);
}
