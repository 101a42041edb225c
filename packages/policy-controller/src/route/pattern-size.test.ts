// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parsePattern } from './field-match.ts';
import { MAX_PATTERN_SIZE, patternSize } from './pattern-size.ts';

describe('[RT-06] size of a pattern', () => {
  it.each([
    ['', 0],
    ['/api/v1', 7],
    ['a{1000}', 1000],
    ['a{2,5}b', 6],
    ['a{3,}', 3],
    ['(ab){10}', 30],
    ['((a{10}){10}){10}', 1110],
    ['[a-z0-9]{8}-[^]{]{4}', 13],
    ['\\d{4}\\{2}', 7],
    ['a{b}', 4],
    ['(((', 0],
    [')))', 3],
    ['[', 1],
    ['\\', 1],
  ])('%s is %i', (pattern, size) => {
    expect(patternSize(pattern)).toBe(size);
  });

  it('bounds what is compiled, beyond the length of the text', () => {
    expect(parsePattern('a{1000}'.repeat(65)).ok).toBe(true);
    expect(parsePattern('a{1000}'.repeat(66))).toEqual({
      ok: false,
      reason: `pattern too large: more than ${MAX_PATTERN_SIZE} single matches`,
    });
    expect(parsePattern(`(${'a'.repeat(4000)}){1000}`).ok).toBe(false);
  });
});
