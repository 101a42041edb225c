// SPDX-License-Identifier: Apache-2.0
/* The release on GitHub, with a stand-in for `gh` that writes down what it is asked. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const FILE = join(ROOT, 'dist/version.json');
const { version } = JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { readonly version: string };
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-release-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs it where `gh VERB` succeeds for these verbs of `gh release`; gives what gh was asked. */
function release(succeeding: readonly string[]): { readonly status: number | null; readonly calls: readonly string[] } {
  const log = join(directory, 'calls');
  writeFileSync(log, '');
  const script = `#!/bin/sh\necho "$@" >> ${log}\ncase "$2" in ${[...succeeding, 'none'].join('|')}) exit 0;; esac\nexit 1\n`;
  writeFileSync(join(directory, 'gh'), script, { mode: 0o755 });
  const { status } = spawnSync(process.execPath, ['--conditions=weft-source', join(import.meta.dirname, 'github-release.ts')], {
    env: { PATH: `${directory}:/usr/bin:/bin`, GITHUB_SHA: 'abc' },
  });
  return { status, calls: readFileSync(log, 'utf8').trim().split('\n') };
}

it('creates the release with the file that says its version', () => {
  const create = `release create v${version} ${FILE} --title v${version} --generate-notes --target abc`;
  expect(release(['create'])).toEqual({ status: 0, calls: [`release view v${version}`, create] });
  expect(JSON.parse(readFileSync(FILE, 'utf8'))).toEqual({ version });
});

it('puts the file into a release that is there', () => {
  expect(release(['view', 'upload'])).toEqual({
    status: 0,
    calls: [`release view v${version}`, `release upload v${version} ${FILE} --clobber`],
  });
});

it('fails where GitHub refuses', () => {
  expect(release([]).status).toBe(1);
});
