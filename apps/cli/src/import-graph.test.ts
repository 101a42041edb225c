// SPDX-License-Identifier: Apache-2.0
/*
 * What `weft --help` reads. It must answer in 150 ms, and what costs time is what is loaded: the test holds the list of files rather than a
 * time (docs/reference/cli.md has the figure).
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const LIST_MODULES = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  registerHooks({ load(url, context, next) { writeSync(2, url + '\\n'); return next(url, context); } });
`)}`;

function loaded(...argv: readonly string[]): { readonly files: readonly string[]; readonly stdout: string } {
  const { stdout, stderr } = spawnSync(process.execPath, ['--conditions=weft-source', '--import', LIST_MODULES, MAIN, ...argv], {
    encoding: 'utf8',
  });
  const files = stderr
    .split('\n')
    .filter((url) => url.startsWith('file:'))
    .map((url) => fileURLToPath(url));
  return { files, stdout };
}

const OWN = /\/apps\/cli\/src\/(.+)$/;

describe('weft --help', () => {
  it('loads the frame and the parser of flags, and nothing else', () => {
    const { files, stdout } = loaded('--help');
    expect(stdout).toContain('install-cni');
    const own = files.flatMap((file) => OWN.exec(file)?.[1] ?? []);
    expect(own.toSorted()).toEqual([
      'command-context.ts',
      'command-table.ts',
      'external-command.ts',
      'global-options.ts',
      'main.ts',
      'program.ts',
    ]);
    const others = files.filter((file) => !OWN.test(file) && !file.includes('/node_modules/commander/'));
    expect(others).toEqual([]);
  });

  it('of one command loads neither the client of the cluster nor other commands', () => {
    const { files } = loaded('version', '--help');
    expect(files.some((file) => file.includes('@kubernetes'))).toBe(false);
    expect(files.filter((file) => file.includes('/commands/')).map((file) => file.split('/').at(-1))).toEqual(['version.ts']);
  });
});
