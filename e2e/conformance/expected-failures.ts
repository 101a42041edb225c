// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of cases that are meant to fail. A line is `CASE | SECTION | REASON`; `#` begins a comment. The list is exact: a case that is on it
 * must fail, one that is not must pass, and one that no run knows is an error of the list.
 */
import { readFileSync } from 'node:fs';

export interface ExpectedFailure {
  /** The RFC's section, or that of another document. */
  readonly section: string;
  readonly reason: string;
}

/** Reads a list. Throws where a line lacks one of its parts or repeats a case. */
export function readExpectedFailures(path: string): ReadonlyMap<string, ExpectedFailure> {
  const list = new Map<string, ExpectedFailure>();
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [name = '', section = '', reason = ''] = line.split('|').map((part) => part.trim());
    if (reason === '' || section === '' || list.has(name)) throw new Error(`${path}:${index + 1}: want CASE | SECTION | REASON, once each`);
    list.set(name, { section, reason });
  }
  return list;
}
