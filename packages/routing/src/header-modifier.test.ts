// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type HeaderModifier, applyHeaderModifier } from './index.ts';

const NONE: HeaderModifier = { add: [], set: [], remove: [] };

describe('[RT-09] applyHeaderModifier', () => {
  it.each<[string, Partial<HeaderModifier>, string[], string[]]>([
    ['adds behind', { add: [['a', '2']] }, ['a', '1', 'b', '1'], ['a', '1', 'b', '1', 'a', '2']],
    ['sets one field for all of its name, in the first place', { set: [['a', '3']] }, ['a', '1', 'b', '1', 'a', '2'], ['a', '3', 'b', '1']],
    ['sets what was not there', { set: [['a', '3']] }, ['b', '1'], ['b', '1', 'a', '3']],
    ['removes every field of a name', { remove: ['a', 'x'] }, ['a', '1', 'b', '1', 'a', '2'], ['b', '1']],
    [
      'adds, then sets, then removes',
      {
        add: [
          ['a', '1'],
          ['b', '1'],
        ],
        set: [
          ['a', '2'],
          ['c', '2'],
        ],
        remove: ['c', 'b'],
      },
      [],
      ['a', '2'],
    ],
    [
      'takes the last of equal sets',
      {
        set: [
          ['a', '1'],
          ['a', '2'],
        ],
      },
      [],
      ['a', '2'],
    ],
    ['lower-cases names', { add: [['X-A', 'V']], set: [['B', '1']], remove: ['C'] }, ['c', '1', 'b', '0'], ['b', '1', 'x-a', 'V']],
    [
      'leaves pseudo-fields alone',
      { add: [[':path', '/x']], set: [[':path', '/y']], remove: [':path'] },
      [':path', '/', 'a', '1'],
      [':path', '/', 'a', '1'],
    ],
  ])('%s', (_, modifier, fields, expected) => {
    const before = fields.slice();
    expect(applyHeaderModifier(fields, { ...NONE, ...modifier })).toEqual(expected);
    expect(fields).toEqual(before);
  });

  it('costs nothing when there is nothing to do', () => {
    const fields = ['a', '1'];
    expect(applyHeaderModifier(fields, NONE)).toBe(fields);
  });
});
