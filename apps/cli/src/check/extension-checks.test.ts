// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findExtensionPrograms, readResults, runExtensionCheck } from './extension-checks.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-extensions-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function program(name: string, script: string): void {
  const file = join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

const REPORT = JSON.stringify({
  success: false,
  categories: [{ categoryName: 'linkerd-foo', checks: [{ description: 'is there', result: 'error', error: 'no', hint: 'x' }] }],
});

describe('[CLI-39] checks of extensions', () => {
  it('are those of the namespaces, then of programs that always want it', async () => {
    program('linkerd-foo', 'exit 1');
    program('linkerd-always', `echo '{"name": "linkerd-always", "checks": "always"}'`);
    program('linkerd-never', `echo '{"name": "linkerd-never", "checks": "never"}'`);
    program('linkerd-liar', `echo '{"name": "linkerd-always", "checks": "always"}'`);
    program('weft-own', `echo '{"name": "weft-own", "checks": "always"}'`);
    const programs = await findExtensionPrograms(['gone', 'foo', 'foo'], directory);
    expect(programs).toEqual([
      { name: 'foo', file: join(directory, 'linkerd-foo') },
      { name: 'gone' },
      { name: 'always', file: join(directory, 'linkerd-always') },
      { name: 'own', file: join(directory, 'weft-own') },
    ]);
  });

  it('take results from JSON, also of a program that ends with 1, and pass flags', async () => {
    program('linkerd-foo', `[ "$*" = "check --context c --output json" ] && echo '${REPORT}'; exit 1`);
    const results = await runExtensionCheck({ name: 'foo', file: join(directory, 'linkerd-foo') }, ['--context', 'c'], 5000);
    expect(results).toEqual([{ category: 'linkerd-foo', description: 'is there', result: 'error', error: 'no', hint: 'x' }]);
  });

  it.each([
    ['prints something else', 'echo hello', 'hello'],
    ['ends with an error', 'echo not today >&2; exit 3', 'not today'],
    ['prints another shape', `echo '{"categories": [{"checks": 7}]}'`, '{"categories": [{"checks": 7}]}'],
  ])('say so when a program %s', async (_case, script, shown) => {
    program('linkerd-foo', script);
    expect(await runExtensionCheck({ name: 'foo', file: join(directory, 'linkerd-foo') }, [], 5000)).toEqual([
      {
        category: 'linkerd-foo',
        description: 'Running: linkerd-foo check',
        result: 'error',
        hint: 'https://linkerd.io/2/checks/#extensions',
        error: `invalid extension check output from "foo" (JSON object expected):\n${shown}`,
      },
    ]);
  });

  it('warn of a program that is not there', async () => {
    expect(await runExtensionCheck({ name: 'foo' }, [], 5000)).toMatchObject([
      { category: 'linkerd-foo', result: 'warning', error: 'exec: "linkerd-foo": executable file not found in $PATH' },
    ]);
  });

  it.each([
    '',
    '[]',
    '{}',
    '{"categories": [7]}',
    '{"categories": [{"categoryName": "a", "checks": [{"description": "b", "result": "maybe"}]}]}',
  ])('refuse %s', (text) => {
    expect(readResults(text)).toBeUndefined();
  });
});
