// SPDX-License-Identifier: Apache-2.0
/*
 * How large a pattern becomes when its repetitions are written out, which is what compiling it costs, here and in every proxy that gets it:
 * 4 KB of `a{1000}` take a second. An estimate in one pass; whether the pattern is valid is the compiler's business.
 */

/** Largest pattern that is compiled, in single matches after repetitions are written out. */
export const MAX_PATTERN_SIZE = 65_536;

const REPETITION = /\{([0-9]{1,4})(?:,([0-9]{0,4}))?\}/y;

/** The size of a pattern, in single matches. */
export function patternSize(pattern: string): number {
  // Sizes of the open groups, innermost last, and of the last item, which is what a repetition repeats.
  const groups: number[] = [];
  let total = 0;
  let last = 0;
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern[at];
    if (character === '{') {
      REPETITION.lastIndex = at;
      const match = REPETITION.exec(pattern);
      if (match !== null) {
        const times = Math.max(1, Number(match[1]), Number(match[2] ?? 0));
        total += last * (times - 1);
        last *= times;
        at = REPETITION.lastIndex - 1;
        continue;
      }
    }
    if (character === '(') {
      groups.push(total);
      total = 0;
      last = 0;
    } else if (character === ')') {
      last = total + 1;
      total = (groups.pop() ?? 0) + last;
    } else {
      if (character === '\\') at += 1;
      else if (character === '[') at = classEnd(pattern, at);
      last = 1;
      total += 1;
    }
  }
  return groups.reduce((sum, size) => sum + size, total);
}

/** Where a character class that begins at `start` ends; a bracket in first place is a member. */
function classEnd(pattern: string, start: number): number {
  let at = start + 1;
  if (pattern[at] === '^') at += 1;
  if (pattern[at] === ']') at += 1;
  for (; at < pattern.length && pattern[at] !== ']'; at += 1) if (pattern[at] === '\\') at += 1;
  return at;
}
