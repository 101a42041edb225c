// SPDX-License-Identifier: Apache-2.0
/* The command line as a child process, from the sources. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const isRoot = process.getuid?.() === 0;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function weft(args: readonly string[], options: { readonly uid?: number; readonly env?: NodeJS.ProcessEnv } = {}): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=weft-source', MAIN, ...args], {
    encoding: 'utf8',
    ...options,
  });
  return { code: status, stdout, stderr };
}

describe('weft', () => {
  it('lists its commands', () => {
    const { code, stdout } = weft(['--help']);
    expect(code).toBe(0);
    for (const command of ['run', 'redirect', 'version']) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  });

  it('[CLI-05] prints its version', () => {
    expect(weft(['version', '--client'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Client version: \d+\.\d+\.\d+\S*\n$/) as string,
    });
    expect(weft(['version', '--client', '--short']).stdout).toMatch(/^\d\S+\n$/);
  });

  it.each([[['nonsense']], [['run', '--nonsense', '.']], [['run']], [['run', '.', '--for', 'long']], [['redirect']]])(
    'refuses %j with 2',
    (args) => {
      expect(weft(args)).toMatchObject({ code: 2, stdout: expect.not.stringContaining('    at ') as string });
    },
  );

  it('plans a redirection without touching anything', () => {
    const { code, stdout } = weft([
      'redirect',
      '--netns',
      'nowhere',
      '--dry-run',
      '--ipv6=false',
      '--inbound-ports-to-ignore',
      '4190,4191',
    ]);
    expect(code).toBe(0);
    expect(stdout.split('\n').filter((line) => /REDIRECT --to-port/.test(line))).toHaveLength(2);
    expect(stdout).toContain('ip netns exec nowhere iptables-nft -t nat -A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -j RETURN');
  });

  it('names the flag that a redirection cannot use', () => {
    expect(weft(['redirect', '--proxy-uid', 'root'])).toMatchObject({ code: 2, stderr: 'error: --proxy-uid: root is not a number\n' });
  });
});

describe('[CLI-02] [EX-01] a word that is no command', () => {
  it('runs a program of that name, with the global flags before it and all after it', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-cli-'));
    try {
      writeFileSync(join(directory, 'linkerd-hello'), '#!/bin/sh\necho "$@"\nexit 3\n');
      chmodSync(join(directory, 'linkerd-hello'), 0o755);
      const env = { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` };
      expect(weft(['--context', 'c', 'hello', 'a', '--help'], { env })).toEqual({ code: 3, stdout: '--context c a --help\n', stderr: '' });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('[CLI-03] a word that was a command once', () => {
  it.each(['dashboard', 'routes'])('%s runs that of the extension viz, and says so', (word) => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-cli-'));
    try {
      writeFileSync(join(directory, 'linkerd-viz'), '#!/bin/sh\necho "$@"\nexit 4\n');
      chmodSync(join(directory, 'linkerd-viz'), 0o755);
      const env = { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` };
      expect(weft(['--context', 'c', word, 'deploy', '-n', 'a'], { env })).toEqual({
        code: 4,
        stdout: `--context c ${word} deploy -n a\n`,
        stderr: `weft ${word} is deprecated, use weft viz ${word}\n`,
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('says what is missing without the extension', () => {
    expect(weft(['dashboard'], { env: { PATH: '/nonexistent' } })).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'weft dashboard is deprecated, use weft viz dashboard\n' +
        'Error: the extension viz is not installed: neither weft-viz nor linkerd-viz is on the PATH\n',
    });
  });

  it.each(['stat', 'tap', 'top', 'edges'])('%s is built in, and forwards to nothing', (word) => {
    const { code, stdout, stderr } = weft([word, '--help'], { env: { PATH: '/nonexistent' } });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: weft ${word}`);
  });
});

describe('[CLI-01] the namespace of the control plane', () => {
  it.each([
    [{ LINKERD_NAMESPACE: 'mesh' }, [], 'mesh'],
    [{ LINKERD_NAMESPACE: 'mesh' }, ['-L', 'flag'], 'flag'],
    [{}, [], 'linkerd'],
  ])('with environment %j and flags %j is %s', (env, flags, namespace) => {
    const { stdout } = weft(['install', '--ignore-cluster', '-o', 'json', ...flags], { env: { PATH: process.env['PATH'], ...env } });
    expect((JSON.parse(stdout) as { items: { metadata: { name: string } }[] }).items[0]?.metadata.name).toBe(namespace);
  });

  it.each([
    ['-L', 'Not A Name'],
    ['--api-addr', 'nowhere'],
    ['--api-addr', 'host:0'],
  ])('refuses %s %s', (...flags) => {
    expect(weft([...flags, 'version']).code).toBe(2);
  });
});

describe('weft run without root', () => {
  it('says in one line what to do', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-cli-'));
    try {
      const { code, stdout, stderr } = weft(['run', directory], isRoot ? { uid: 65_534 } : {});
      expect({ code, stdout, stderr }).toEqual({
        code: 1,
        stdout: '',
        stderr: `weft run needs root to make network namespaces; type: sudo weft run ${directory}\n`,
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
