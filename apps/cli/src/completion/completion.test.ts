// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '../program.ts';

let directory: string;
const scripts = new Map<string, string>();

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weft-completion-'));
  for (const shell of ['bash', 'zsh', 'fish']) {
    let text = '';
    await runProgram(['completion', shell], { out: (part) => (text += part), err: () => undefined });
    scripts.set(shell, text);
  }
  writeFileSync(join(directory, 'weft.bash'), scripts.get('bash') as string);
  // The cluster's names come from kubectl.
  writeFileSync(
    join(directory, 'kubectl'),
    `#!/bin/sh
case "$*" in
  *namespaces*) printf 'shop\\nlinkerd\\n' ;;
  *contexts*) printf 'one\\ntwo\\n' ;;
  *name*) printf 'deployment.apps/web\\npod/web-1\\n' ;;
esac
`,
  );
  chmodSync(join(directory, 'kubectl'), 0o755);
  // Every command is loaded.
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What bash offers for the last word of a line. */
function complete(...words: readonly string[]): string[] {
  const script = `source ${directory}/weft.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); __weft; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status } = spawnSync('bash', ['--norc', '-c', script, 'weft-test', ...words], {
    encoding: 'utf8',
    env: { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` },
  });
  expect(status).toBe(0);
  return stdout.split('\n').filter((line) => line !== '');
}

describe('[CLI-04] completion for bash', () => {
  it('offers commands', () => {
    expect(complete('weft', 'inst')).toEqual(['install', 'install-cni']);
    expect(complete('weft', '')).toContain('check');
  });

  it('offers the flags of a command and the global ones', () => {
    expect(complete('weft', 'check', '--p')).toEqual(['--pre', '--proxy']);
    expect(complete('weft', '--verbose', 'check', '--kube')).toEqual(['--kubeconfig']);
  });

  it('offers what a flag or an argument may be', () => {
    expect(complete('weft', 'check', '-o', '')).toEqual(['table', 'json', 'short']);
    expect(complete('weft', 'install', '-o', '')).toEqual(['yaml', 'json']);
    expect(complete('weft', 'install', '--output', 'j')).toEqual(['json']);
    expect(complete('weft', 'completion', 'z')).toEqual(['zsh']);
    expect(complete('weft', 'check', '--wait', '')).toEqual([]);
  });

  it('asks the cluster for names', () => {
    expect(complete('weft', 'check', '-n', 's')).toEqual(['shop']);
    expect(complete('weft', '--context', 't')).toEqual(['two']);
  });
});

describe('[CLI-04] completion for other shells', () => {
  it.each(['zsh', 'fish'])('%s knows every command and flag', (shell) => {
    const text = scripts.get(shell) as string;
    for (const word of ['install-cni', 'expected-version', 'linkerd-namespace', 'kubectl get namespaces']) expect(text).toContain(word);
    // Quotes are balanced, so that the shell reads the script to its end.
    expect((text.match(/(?<!\\)'/g) ?? []).length % 2).toBe(0);
  });

  it('is refused for a shell without script', async () => {
    let text = '';
    expect(await runProgram(['completion', 'tcsh'], { out: () => undefined, err: (part) => (text += part) })).toBe(2);
    expect(text).toContain('bash');
  });
});
