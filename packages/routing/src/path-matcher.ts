// SPDX-License-Identifier: Apache-2.0
/*
 * Matches on the path of a request (proxy-contract §6.8, point 2). Paths are compared as they came, one unit per octet, with no decoding and no
 * normalisation: what matched is exactly what the application will see. How well a match fits is the matched length alone; the kind does not matter.
 */
import { Buffer } from 'node:buffer';
import type { RouteError } from './errors.ts';
import type { PathMatch } from './policy.ts';
import { type RegexLimits, type TextMatcher, compileRegex, isRouteError } from './text-matcher.ts';

/** The path does not match. */
export const PATH_MISMATCH = -1;

export interface PathMatcher {
  /** Length that counts when matches are compared; `PATH_MISMATCH` if the path does not match. */
  fit(path: string): number;
  /** Length of the matched part, which a prefix redirect replaces; undefined = all of the path. */
  readonly prefixLength: number | undefined;
}

/** A match that says nothing about the path counts as the prefix `/`. */
export const ANY_PATH: PathMatcher = { fit: () => 1, prefixLength: 0 };

class ExactPath implements PathMatcher {
  readonly prefixLength: number | undefined;
  private readonly value: string;

  constructor(value: string) {
    this.value = value;
    this.prefixLength = value.length;
  }

  fit(path: string): number {
    return path === this.value ? path.length : PATH_MISMATCH;
  }
}

class PrefixPath implements PathMatcher {
  readonly prefixLength: number;
  private readonly prefix: string;
  private readonly givenLength: number;

  /** `prefix` without trailing slashes, and the length that it was given with. */
  constructor(prefix: string, givenLength: number) {
    this.prefix = prefix;
    this.givenLength = givenLength;
    this.prefixLength = prefix.length;
  }

  fit(path: string): number {
    const { prefix } = this;
    const { length } = prefix;
    // Whole segments only: `/a` is a prefix of `/a` and `/a/b`, not of `/ab`.
    if (!path.startsWith(prefix)) return PATH_MISMATCH;
    return path.length === length || path.charCodeAt(length) === 0x2f ? this.givenLength : PATH_MISMATCH;
  }
}

class RegexPath implements PathMatcher {
  readonly prefixLength: number | undefined;
  private readonly regex: TextMatcher;

  constructor(regex: TextMatcher) {
    this.regex = regex;
    this.prefixLength = undefined;
  }

  fit(path: string): number {
    return this.regex.matches(utf8Text(path)) ? path.length : PATH_MISMATCH;
  }
}

/** Compiles `match`; undefined matches any path. */
export function compilePathMatch(match: PathMatch | undefined, limits: RegexLimits): PathMatcher | RouteError {
  if (match === undefined) return ANY_PATH;
  if (match.kind === 'regex') {
    const regex = compileRegex(match.value, limits);
    return isRouteError(regex) ? regex : new RegexPath(regex);
  }
  const value = Buffer.from(match.value, 'utf8').toString('latin1');
  if (match.kind === 'exact') return new ExactPath(value);
  let end = value.length;
  while (end > 0 && value.charCodeAt(end - 1) === 0x2f) end -= 1;
  // The prefix `/` is every path, `*` of OPTIONS included.
  return end === 0 ? ANY_PATH : new PrefixPath(value.slice(0, end), value.length);
}

/** A path of octets as the text that its author meant; most paths are ASCII and stay as they are. */
function utf8Text(path: string): string {
  for (let i = 0; i < path.length; i++) {
    if (path.charCodeAt(i) > 0x7f) return Buffer.from(path, 'latin1').toString('utf8');
  }
  return path;
}
