// SPDX-License-Identifier: Apache-2.0
/* The commands that end-to-end tests need of the system, installed visibly where apt-get is there. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Makes sure of `needed`, command → Debian package. Returns what is in the way, undefined where nothing is. */
export function prepareSystem(needed) {
  if (process.platform !== 'linux') return 'the end-to-end tests need Linux; run `npm test -- --unit` for the rest';
  if (process.getuid() !== 0)
    return 'the end-to-end tests make network namespaces: run them with sudo, or `npm test -- --unit` for the rest';
  const missing = [...new Set(Object.entries(needed).flatMap(([command, debian]) => (hasCommand(command) ? [] : [debian])))];
  if (missing.length === 0) return undefined;
  if (!hasCommand('apt-get')) return `the end-to-end tests need these packages: ${missing.join(' ')}`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Services of installed packages are not wanted: only their binaries are.
  for (const command of [
    ['apt-get', 'update', '-q'],
    ['apt-get', 'install', '-y', '-q', '--no-install-recommends', ...missing],
  ]) {
    console.log(`$ ${command.join(' ')}`);
    execFileSync(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'], env });
  }
  return undefined;
}

function hasCommand(command) {
  return ['/usr/sbin', '/sbin', '/usr/bin', '/bin', ...(process.env.PATH ?? '').split(':')].some((dir) => existsSync(join(dir, command)));
}
