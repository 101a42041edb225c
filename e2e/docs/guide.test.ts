// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { firstMissing, parseGuide } from './guide.ts';

const GUIDE = `# A guide

\`\`\`sh
echo one   # shows: one
\`\`\`

- in a list:
  \`\`\`yaml
  kind: Pod
  \`\`\`

<!-- not run: needs an account -->

\`\`\`sh
rm -rf /
\`\`\`

\`\`\`text
what it prints
\`\`\`
`;

describe('a guide', () => {
  it('is its blocks in order, with what they must show', () => {
    expect(parseGuide(GUIDE, 'g.md')).toEqual([
      { language: 'sh', text: 'echo one   # shows: one', line: 3, shows: ['one'], notRun: undefined },
      { language: 'yaml', text: 'kind: Pod', line: 8, shows: [], notRun: undefined },
      { language: 'sh', text: 'rm -rf /', line: 14, shows: [], notRun: 'needs an account' },
    ]);
  });

  it('refuses what would be neither run nor shown', () => {
    expect(() => parseGuide('```sh\necho', 'g.md')).toThrow('g.md:1: the block does not end');
    expect(() => parseGuide('```\nx\n```', 'g.md')).toThrow('g.md:1: the block has no language');
  });

  it.each([
    ['a   b\nc', ['a b', 'c'], undefined],
    ['a b', ['b', 'a'], 'a'],
    ['', ['x'], 'x'],
  ])('output %j with %j lacks %j', (output, pieces, missing) => {
    expect(firstMissing(output, pieces)).toBe(missing);
  });
});
