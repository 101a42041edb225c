// SPDX-License-Identifier: Apache-2.0
/*
 * Runs a Python script with pinned packages of its own: `node tools/python.mjs REQUIREMENTS SCRIPT [ARGS]`. The virtual environment lives outside the
 * checkout (WEFT_CACHE, else ~/.cache/weft), named by the requirements, and is made when absent.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const [requirements, ...command] = process.argv.slice(2);
if (requirements === undefined || command.length === 0) {
  console.error('usage: node tools/python.mjs REQUIREMENTS SCRIPT [ARGS]');
  process.exit(2);
}
const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
const home = join(process.env.WEFT_CACHE ?? join(homedir(), '.cache/weft'), `python-${version}`);
if (!existsSync(join(home, 'complete'))) {
  rmSync(home, { recursive: true, force: true });
  try {
    execFileSync('python3', ['-m', 'venv', home], { stdio: ['ignore', 'ignore', 'inherit'] });
  } catch {
    console.error('python3 cannot make virtual environments here; install the Debian packages python3 and python3-venv');
    process.exit(1);
  }
  execFileSync(join(home, 'bin/python3'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements], {
    stdio: 'inherit',
  });
  execFileSync('touch', [join(home, 'incomplete')]);
  renameSync(join(home, 'incomplete'), join(home, 'complete'));
}
const { status } = spawnSync(join(home, 'bin/python3'), command, { stdio: 'inherit' });
process.exit(status ?? 1);
