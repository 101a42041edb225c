// SPDX-License-Identifier: Apache-2.0
/*
 * Every command of the guides, run as it stands there, in order, on a cluster of its own; every YAML block given to the API server. What a block says that
 * it shows must be in what it prints.
 */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goTool } from '../../tools/go-tools.ts';
import { type Block, firstMissing, readGuide } from '../docs/guide.ts';
import { type Cluster, createCluster } from './cluster.ts';
import { runCommand } from './harness/command.ts';
import { Kube } from './harness/kube.ts';
import { builtImageArchives, installMesh, uninstallMesh } from './harness/mesh.ts';
import { reportFailures, secondClusterIndex } from './shared-cluster.ts';

const ROOT = join(import.meta.dirname, '../..');
const BLOCK_TIMEOUT_MS = 400_000;
const SHOWN_WITHIN_MS = 90_000;

let cluster: Cluster | undefined;
let kube: Kube;
let directory: string;
reportFailures(() => [kube?.in('linkerd'), kube?.in('demo')]);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weft-guides-'));
  cluster = await createCluster({ nodes: 1, ipFamily: 'ipv4', index: secondClusterIndex(), log: (line) => console.log(`guides: ${line}`) });
  kube = new Kube(cluster);
  await cluster.loadImages(builtImageArchives());
  // What a reader has in the clone, without the clone: guides write files.
  for (const name of ['charts', 'examples']) cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  program('kubectl', `exec ${cluster.kubectl} "$@"`);
  program('helm', `exec ${goTool('helm', 'helm')} "$@"`);
  program('weft', `exec ${process.execPath} ${join(ROOT, 'apps/cli/dist/main.js')} "$@"`);
}, 400_000);
afterAll(async () => {
  await cluster?.destroy();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

/** Puts a program on the PATH of the blocks. */
function program(name: string, script: string): void {
  const path = join(directory, 'bin', name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** Runs a block; resolves with what is wrong, or '' where nothing is. */
async function problemOf({ language, text, shows, line }: Block): Promise<string> {
  if (language === 'yaml') {
    const { code, stderr } = await kube.tryApply([text], ['--dry-run=server']);
    return code === 0 ? '' : `line ${line}: ${stderr}`;
  }
  if (language !== 'sh') return `line ${line}: nothing runs ${language}`;
  const env = { KUBECONFIG: kube.cluster.kubeconfig, PATH: `${join(directory, 'bin')}:${process.env['PATH']}` };
  const script = `set -euo pipefail\ncd ${directory}\n${text}`;
  let problem = '';
  // What is only being started shows itself a little later.
  const deadlineMs = performance.now() + (shows.length > 0 ? SHOWN_WITHIN_MS : 0);
  do {
    if (problem !== '') await sleep(2000);
    const { code, stdout, stderr } = await runCommand(['bash', '-c', script], { env, timeoutMs: BLOCK_TIMEOUT_MS });
    const missing = code === 0 ? firstMissing(stdout + stderr, shows) : undefined;
    if (code === 0 && missing === undefined) return '';
    problem = `line ${line}: ${code === 0 ? `"${missing}" is not in it` : `it ended with ${code}`}:\n${text}\n${stdout}${stderr}`;
  } while (performance.now() < deadlineMs);
  return problem;
}

/** The blocks of a guide that are run. */
const blocksOf = (guide: string): readonly Block[] =>
  readGuide(join(ROOT, `docs/guides/${guide}.md`)).filter(({ notRun }) => notRun === undefined);

/** Runs blocks until one fails; resolves with what is wrong with it, or ''. */
async function firstProblem(blocks: readonly Block[]): Promise<string> {
  for (const block of blocks) {
    const problem = await problemOf(block);
    if (problem !== '') return problem;
  }
  return '';
}

const shell = (text: string): Block => ({ language: 'sh', text, line: 0, shows: [], notRun: undefined });

describe('the guides', () => {
  it('install-with-the-cli runs', { timeout: 1_200_000 }, async () => {
    expect(await firstProblem(blocksOf('install-with-the-cli'))).toBe('');
  });

  it('get-started-on-a-cluster runs', { timeout: 1_200_000 }, async () => {
    await installMesh(kube);
    expect(await firstProblem(blocksOf('get-started-on-a-cluster'))).toBe('');
    await uninstallMesh(kube);
  });

  it('[OP-11] install-with-helm runs', { timeout: 1_200_000 }, async () => {
    expect(blocksOf('install-with-helm').length).toBeGreaterThan(2);
    expect(await firstProblem(blocksOf('install-with-helm'))).toBe('');
  });

  it('take-over-from-linkerd runs', { timeout: 1_200_000 }, async () => {
    // Keys and charts, as that guide has them, and something that is meshed.
    expect(await firstProblem(blocksOf('install-with-helm').slice(0, 2))).toBe('');
    expect(
      await firstProblem([
        shell('kubectl apply -f examples/demo/demo.yaml -f examples/demo/web.yaml'),
        shell('kubectl -n demo rollout status deployment web-v1 --timeout=3m'),
      ]),
    ).toBe('');
    expect(await firstProblem(blocksOf('take-over-from-linkerd'))).toBe('');
    expect(
      await firstProblem([
        shell('kubectl delete namespace demo'),
        shell(
          'helm uninstall linkerd-control-plane -n linkerd --wait; helm uninstall linkerd-crds -n linkerd --wait; kubectl delete namespace linkerd',
        ),
      ]),
    ).toBe('');
  });
});
