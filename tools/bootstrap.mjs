// SPDX-License-Identifier: Apache-2.0
/*
 * Makes a fresh clone able to run: installs the dependencies where they are missing (that brings the pinned Node), and runs the calling script
 * again under that Node where the machine's own is another. Plain JavaScript for any Node from 18 on.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Returns when this process runs under the pinned Node with everything installed; otherwise ends with the exit code of one that does. */
export function bootstrap() {
  process.chdir(ROOT);
  const node = join(ROOT, 'node_modules/.bin/node');
  const wanted = Object.values(JSON.parse(readFileSync('package.json', 'utf8')).optionalDependencies)[0];
  if (!existsSync(node) || !existsSync('node_modules/.package-lock.json')) {
    console.log('$ npm ci');
    execFileSync('npm', ['ci', '--no-progress', '--loglevel=error'], { stdio: 'inherit' });
  }
  if (!existsSync(node)) {
    console.error(`There is no Node ${wanted} for ${process.platform} ${process.arch}: install it and run this with it.`);
    if (process.versions.node.split('.')[0] !== wanted.split('.')[0]) process.exit(1);
    return;
  }
  if (process.versions.node === wanted) return;
  const env = { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}` };
  const { status } = spawnSync(node, process.argv.slice(1), { stdio: 'inherit', env });
  process.exit(status ?? 1);
}
