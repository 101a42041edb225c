// SPDX-License-Identifier: Apache-2.0
/* The built `weft`, copied away from the repository: it carries the charts, and its help reads two small files. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';

const DIST = fileURLToPath(new URL('../../apps/cli/dist/', import.meta.url));
/** Source text that is read before the help is printed: what costs time at the start. */
const MAX_HELP_BYTES = 100_000;
const LIST_MODULES = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  import { writeSync } from 'node:fs';
  registerHooks({ load(url, context, next) { writeSync(2, url + '\\n'); return next(url, context); } });
`)}`;

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-built-'));
  for (const name of readdirSync(DIST))
    if (name.endsWith('.js') || name === 'charts') cpSync(join(DIST, name), join(directory, name), { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function weft(
  args: readonly string[],
  nodeFlags: readonly string[] = [],
): { readonly code: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, join(directory, 'main.js'), ...args], {
    encoding: 'utf8',
    cwd: directory,
    maxBuffer: 64 * 1024 * 1024,
  });
  return { code: status, stdout, stderr };
}

describe('the built command', () => {
  it('[CLI-05] knows its version', () => {
    expect(weft(['version', '--client', '--short'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });

  it('[CLI-08] renders the charts that it carries', () => {
    const { code, stdout } = weft(['install', '--ignore-cluster']);
    expect(code).toBe(0);
    const kinds = parseAllDocuments(stdout).map((document) => (document.toJS() as { readonly kind: string }).kind);
    expect(kinds.filter((kind) => kind === 'Deployment')).toHaveLength(3);
    expect(weft(['install', '--crds', '--ignore-cluster'])).toMatchObject({ code: 0 });
    expect(weft(['install-cni'])).toMatchObject({ code: 0, stdout: expect.stringContaining('kind: DaemonSet') as string });
  });

  it('reads little to print its help', () => {
    const { code, stdout, stderr } = weft(['--help'], ['--import', LIST_MODULES]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('install-cni') as string });
    const files = stderr
      .split('\n')
      .filter((url) => url.startsWith('file:'))
      .map((url) => fileURLToPath(url));
    expect(files.length).toBeGreaterThan(1);
    expect(files.reduce((sum, file) => sum + statSync(file).size, 0)).toBeLessThan(MAX_HELP_BYTES);
  });

  it('[CLI-35] loads the client of the cluster, and says that there is none', () => {
    const { code, stdout } = weft([
      'check',
      '--kubeconfig',
      join(directory, 'nowhere'),
      '--wait',
      '0',
      '-o',
      'json',
      '--expected-version',
      '1',
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      success: false,
      categories: [{ categoryName: 'kubernetes-api', checks: [{ description: 'can initialize the client', result: 'error' }] }, {}],
    });
  });
});
