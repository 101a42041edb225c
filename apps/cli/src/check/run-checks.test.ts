// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { CheckFailure, NotApplicable } from './check.ts';
import type { Category, Check, CheckResult } from './check.ts';
import { Lookups } from './lookups.ts';
import { isSuccess, jsonReport, TableWriter } from './report.ts';
import { runChecks } from './run-checks.ts';

const SETTINGS = { controlPlaneNamespace: 'linkerd', cniNamespace: '', dataPlaneNamespace: '', cliVersion: '1', isCniExpected: false };

function lookups(connect: () => Promise<never> = () => Promise.reject(new Error('none'))): Lookups {
  return new Lookups({ settings: SETTINGS, connect, latestVersion: () => Promise.resolve('1'), nowMs: () => 0 });
}

function check(id: string, run: () => Promise<void>, more: Partial<Check> = {}): Check {
  return { id, description: id, hintAnchor: `hint-${id}`, run, ...more };
}

const pass = (): Promise<void> => Promise.resolve();
const fail =
  (message = 'wrong') =>
  (): Promise<void> =>
    Promise.reject(new CheckFailure(message));

async function run(checks: readonly Check[], waitMs = 0): Promise<{ readonly results: readonly CheckResult[]; readonly sleeps: number[] }> {
  let nowMs = 0;
  const sleeps: number[] = [];
  const results = await runChecks([{ name: 'category', checks }], lookups(), {
    nowMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      sleeps.push(ms);
      return Promise.resolve();
    },
    waitMs,
  });
  return { results, sleeps };
}

describe('runChecks', () => {
  it('leaves out what rests on a failure, at any distance, and goes on with the rest', async () => {
    const { results } = await run([
      check('a', fail()),
      check('b', pass, { needs: ['a'] }),
      check('c', pass, { needs: ['b'] }),
      check('d', pass, { needs: ['in no run'] }),
    ]);
    expect(results.map(({ description, result }) => [description, result])).toEqual([
      ['a', 'error'],
      ['d', 'success'],
    ]);
  });

  it('prints nothing of a check that does not apply, nor of what rests on it', async () => {
    const { results } = await run([check('a', () => Promise.reject(new NotApplicable())), check('b', pass, { needs: ['a'] })]);
    expect(results).toEqual([]);
  });

  it('takes any error for a failure, with its message', async () => {
    const { results } = await run([check('a', () => Promise.reject(new TypeError('not an object')))]);
    expect(results).toMatchObject([{ result: 'error', error: 'not an object' }]);
  });

  it('[CLI-35] repeats what is awaited until it passes, and asks anew', async () => {
    let times = 0;
    const awaited = check('a', () => ((times += 1) < 3 ? fail()() : pass()), { isAwaited: true });
    const { results, sleeps } = await run([awaited], 60_000);
    expect(results).toMatchObject([{ result: 'success' }]);
    expect(sleeps).toEqual([1000, 1000]);
  });

  it('[CLI-35] gives up when the time of --wait is over, for all checks together', async () => {
    const { results, sleeps } = await run(
      [check('a', fail('first'), { isAwaited: true }), check('b', fail('second'), { isAwaited: true })],
      2500,
    );
    expect(results.map(({ error }) => error)).toEqual(['first', 'second']);
    expect(sleeps).toEqual([1000, 1000, 500]);
  });

  it('keeps answers and errors until they are forgotten', async () => {
    let calls = 0;
    const world = lookups(() => {
      calls += 1;
      return Promise.reject(new Error('down'));
    });
    await expect(world.cluster()).rejects.toThrow('down');
    await expect(world.cluster()).rejects.toThrow('down');
    expect(calls).toBe(1);
    world.forget();
    await expect(world.cluster()).rejects.toThrow('down');
    expect(calls).toBe(2);
  });
});

const RESULTS: readonly CheckResult[] = [
  { category: 'one', description: 'is fine', result: 'success' },
  { category: 'one', description: 'is odd', result: 'warning', hint: 'https://linkerd.io/2/checks/#odd', error: 'first\nsecond' },
  { category: 'two', description: 'is wrong', result: 'error', hint: 'https://linkerd.io/2/checks/#wrong', error: 'broken' },
];

function table(results: readonly CheckResult[], isShort: boolean): string {
  let text = '';
  const writer = new TableWriter((part) => (text += part), isShort);
  for (const result of results) writer.add(result);
  writer.finish(results);
  return text;
}

describe('the report', () => {
  it('[CLI-36] marks each line and says where hints are', () => {
    expect(table(RESULTS, false)).toBe(`one
---
√ is fine
‼ is odd
    first
    second
    see https://linkerd.io/2/checks/#odd for hints

two
---
× is wrong
    broken
    see https://linkerd.io/2/checks/#wrong for hints

Status check results are ×
`);
  });

  it('[CLI-38] in short form has only what does not pass, or one line', () => {
    expect(table(RESULTS, true)).not.toContain('is fine');
    expect(table(RESULTS.slice(0, 1), true)).toBe('Status check results are √\n');
  });

  it('[CLI-37] as JSON has categories of checks', () => {
    expect(JSON.parse(jsonReport(RESULTS))).toEqual({
      success: false,
      categories: [
        {
          categoryName: 'one',
          checks: [
            { description: 'is fine', result: 'success' },
            { description: 'is odd', hint: 'https://linkerd.io/2/checks/#odd', error: 'first\nsecond', result: 'warning' },
          ],
        },
        {
          categoryName: 'two',
          checks: [{ description: 'is wrong', hint: 'https://linkerd.io/2/checks/#wrong', error: 'broken', result: 'error' }],
        },
      ],
    });
  });

  it('[CLI-36] counts no warning as a failure', () => {
    expect(isSuccess(RESULTS.slice(0, 2))).toBe(true);
    expect(isSuccess(RESULTS)).toBe(false);
  });
});

describe('categories', () => {
  it('have no id twice and need only what exists', async () => {
    const { categoriesOf } = await import('./categories.ts');
    const all = new Set<string>();
    const scopes = (['installed', 'pre', 'crds', 'proxy'] as const).map((scope): readonly Category[] => categoriesOf(scope));
    for (const categories of scopes) {
      const ids = categories.flatMap(({ checks }) => checks.map(({ id }) => id));
      expect(new Set(ids).size).toBe(ids.length);
      for (const id of ids) all.add(id);
    }
    for (const { needs = [] } of scopes.flat().flatMap(({ checks }) => checks)) for (const id of needs) expect(all).toContain(id);
  });
});
