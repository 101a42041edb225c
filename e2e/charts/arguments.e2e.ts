// SPDX-License-Identifier: Apache-2.0
/*
 * The command lines that the chart gives to the control plane's processes, given to those processes: outside a cluster they fail (exit code 1), but
 * not for a flag or a value that they do not know (exit code 2).
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { CONTROL_PLANE_SETS, podTemplates, renderSet, type Manifest } from '@weft/chart/testing';
import { describe, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '../../apps/controller/src/main.ts');
const EXIT_FAILED = 1;
/** The longest that a process takes to find that there is no cluster. */
const TIMEOUT_MS = 60_000;

/** Containers with distinct command lines, of sets that change them. */
function commandLines(): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const name of [
    'defaults',
    'IPv6',
    'given webhook certificates',
    'logs and profiles',
    'discovery switches',
    'issuer of cert-manager',
  ]) {
    const set = CONTROL_PLANE_SETS.find((candidate) => candidate.name === name);
    if (set === undefined) throw new Error(`no set of values is called ${name}`);
    for (const pod of podTemplates(renderSet('weft-control-plane', set))) {
      for (const { image, args } of pod.spec.containers as Manifest[]) {
        if (image.startsWith('ghcr.io/weft-mesh/controller:')) found.set(args.join(' '), args);
      }
    }
  }
  return found;
}

describe('[CH-02] processes take the arguments that the chart gives them', () => {
  it.each([...commandLines()].map(([text, args]) => [text, args] as const))('%s', (_, args) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--conditions=weft-source', MAIN, ...args], {
      encoding: 'utf8',
      timeout: TIMEOUT_MS,
      env: { HOSTNAME: 'pod', PATH: '/usr/bin:/bin' },
    });
    expect({ status, output: stdout + stderr }).toEqual({ status: EXIT_FAILED, output: expect.not.stringContaining('error: unknown') });
  });
});
