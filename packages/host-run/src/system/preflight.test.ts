// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manifestCommands } from './manifest-commands.ts';
import { checkMachine, installCommand, missingPackages, type Machine } from './preflight.ts';

const machine = (traits: Partial<Machine>): Machine => ({ platform: 'linux', uid: 0, hasTool: () => true, ...traits });

describe('preflight', () => {
  it('says in one line what to do without root', () => {
    expect(() => checkMachine(machine({ uid: 1000 }), 'weft run .')).toThrow('type: sudo weft run .');
    expect(() => checkMachine(machine({ platform: 'darwin' }), 'weft run .')).toThrow('needs Linux');
    expect(() => checkMachine(machine({}), 'weft run .')).not.toThrow();
  });

  it('names each missing package once', () => {
    const missing = missingPackages(machine({ hasTool: (name) => name === 'ip' || name === 'sh' }), [['redis-server', 'redis-server']]);
    expect(missing).toEqual(['iptables', 'util-linux', 'redis-server']);
    expect(installCommand(missing).join(' ')).toBe('apt-get install -y --no-install-recommends iptables util-linux redis-server');
  });
});

it('finds the programs of containers, wherever they stand', () => {
  const directory = mkdtempSync(join(tmpdir(), 'host-run-'));
  try {
    mkdirSync(join(directory, 'more'));
    mkdirSync(join(directory, 'node_modules'));
    const pod = (command: string): string => `apiVersion: v1\nkind: Pod\nspec: { containers: [{ name: a, command: ${command} }] }\n`;
    writeFileSync(
      join(directory, 'a.yaml'),
      `${pod('[redis-server, x]')}---\n${pod('[node, x]')}---\n${pod('[/bin/absolute]')}---\n${pod('oops')}`,
    );
    writeFileSync(
      join(directory, 'more/b.json'),
      JSON.stringify({ kind: 'Deployment', spec: { template: { spec: { initContainers: [{ command: ['wget'] }], containers: [{}] } } } }),
    );
    writeFileSync(join(directory, 'node_modules/c.yaml'), pod('[hidden]'));
    writeFileSync(join(directory, 'broken.yaml'), 'a: [');
    expect(manifestCommands(directory)).toEqual(['redis-server', 'wget']);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
