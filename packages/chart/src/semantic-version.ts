// SPDX-License-Identifier: Apache-2.0
/*
 * Versions and constraints as Helm compares them (`kubeVersion` of a chart, semverCompare): comparisons joined by spaces or commas, all
 * of which must hold. A constraint without a pre-release part does not admit pre-releases. Alternatives, `~` and `^` are not supported.
 */
import { DataError } from './template/data.ts';

interface Version {
  readonly numbers: readonly [number, number, number];
  readonly preRelease: readonly string[];
}

/** Whether the version fulfils the constraint; throws a `DataError` where one cannot be read. */
export function satisfies(version: string, constraint: string): boolean {
  const parsed = parse(version, false);
  const terms = constraint.split(/[\s,]+(?=[<>=!\d])/).map((term) => term.trim());
  return terms.every((term) => {
    const match = /^(<=|>=|!=|<|>|=|)\s*(.+)$/.exec(term);
    if (match === null) throw new DataError(`the version constraint ${JSON.stringify(constraint)} is outside the subset`);
    const wanted = parse(match[2] ?? '', true);
    if (parsed.preRelease.length > 0 && wanted.preRelease.length === 0) return false;
    const result = compare(parsed, wanted);
    switch (match[1]) {
      case '<':
        return result < 0;
      case '<=':
        return result <= 0;
      case '>':
        return result > 0;
      case '>=':
        return result >= 0;
      case '!=':
        return result !== 0;
      default:
        return result === 0;
    }
  });
}

function parse(text: string, isConstraint: boolean): Version {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (match === null) throw new DataError(`${JSON.stringify(text)} is no ${isConstraint ? 'version constraint of the subset' : 'version'}`);
  return {
    numbers: [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)],
    preRelease: match[4] === undefined ? [] : match[4].split('.'),
  };
}

function compare(a: Version, b: Version): number {
  for (const index of [0, 1, 2] as const) {
    if (a.numbers[index] !== b.numbers[index]) return a.numbers[index] - b.numbers[index];
  }
  if (a.preRelease.length === 0 || b.preRelease.length === 0) return b.preRelease.length - a.preRelease.length;
  for (let at = 0; at < Math.max(a.preRelease.length, b.preRelease.length); at += 1) {
    const [left, right] = [a.preRelease[at], b.preRelease[at]];
    if (left === right) continue;
    if (left === undefined) return -1;
    if (right === undefined) return 1;
    const [leftNumber, rightNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
    if (leftNumber && rightNumber) return Number(left) - Number(right);
    if (leftNumber !== rightNumber) return leftNumber ? -1 : 1;
    return left < right ? -1 : 1;
  }
  return 0;
}
