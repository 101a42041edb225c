// SPDX-License-Identifier: Apache-2.0
/*
 * The command lines that the chart gives to the control plane's processes, given to those processes, each in a network namespace of its own: without
 * a cluster they fail (exit code 1), but not for a flag or a value that they do not know (exit code 2). The one that needs no cluster listens.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { CONTROL_PLANE_SETS, podTemplates, renderSet, type Manifest } from '@weft/chart/testing';
import { describe, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, '../../apps/controller/src/main.ts');
const EXIT_DONE = 0;
const EXIT_FAILED = 1;
/** The longest that a process takes to find that there is no cluster. */
const TIMEOUT_MS = 60_000;
/** What a webhook logs that needs no cluster: it is told to end then. */
const LISTENING = 'Webhook listening';
const LISTENING_LINE = new RegExp(LISTENING);
const KNOWS_ITS_FLAGS = /^(?![^]*error: unknown)/;

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

/** What a process did that got these arguments where it can reach nothing. */
async function run(args: readonly string[]): Promise<{ readonly status: number | null; readonly output: string }> {
  const child = spawn('unshare', ['--net', '--', process.execPath, '--conditions=weft-source', MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    env: { HOSTNAME: 'pod', PATH: '/usr/bin:/bin' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      // Once: a second signal asks it not to wait.
      if (output.includes(LISTENING) && !child.killed) child.kill('SIGTERM');
    });
  }
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, output }));
  });
}

/** Whether a process with these arguments needs nothing of a cluster: the validator of ServiceProfiles with a mounted certificate. */
function needsNoCluster(args: readonly string[]): boolean {
  return args[0] === 'sp-validator' && !args.some((argument) => argument.startsWith('-webhook-secret='));
}

describe('[CH-02] processes take the arguments that the chart gives them', () => {
  it.each([...commandLines()].map(([text, args]) => [text, args] as const))('%s', async (_, args) => {
    const { status, output } = await run(args);
    const expected = needsNoCluster(args) ? { status: EXIT_DONE, says: LISTENING_LINE } : { status: EXIT_FAILED, says: KNOWS_ITS_FLAGS };
    expect({ status, output }).toEqual({ status: expected.status, output: expect.stringMatching(expected.says) });
  });
});
