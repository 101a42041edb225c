// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run release:github`: the release of this version on GitHub, made by the `gh` of the runner, with dist/version.json, the small file by which
 * `weft check` and `weft version` know the newest release. A release that is there already gets the file anew.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { readonly version: string };
const tag = `v${version}`;
const file = join(ROOT, 'dist/version.json');
mkdirSync(join(ROOT, 'dist'), { recursive: true });
writeFileSync(file, `${JSON.stringify({ version })}\n`);

function gh(...args: readonly string[]): boolean {
  const { status, error } = spawnSync('gh', args, { cwd: ROOT, stdio: 'inherit' });
  if (error !== undefined) throw new Error(`gh cannot be run (${error.message}): install the GitHub CLI, https://cli.github.com`);
  return status === 0;
}

const commit = process.env.GITHUB_SHA;
const isDone = gh('release', 'view', tag)
  ? gh('release', 'upload', tag, file, '--clobber')
  : gh('release', 'create', tag, file, '--title', tag, '--generate-notes', ...(commit === undefined ? [] : ['--target', commit]));
if (!isDone) process.exitCode = 1;
