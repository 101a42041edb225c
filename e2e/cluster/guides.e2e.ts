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
import { eventually } from './harness/eventually.ts';
import { Kube } from './harness/kube.ts';
import { builtImageArchives, hasMesh, installMesh, uninstallMesh } from './harness/mesh.ts';
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

async function withoutMesh(): Promise<void> {
  if (!(await hasMesh(kube))) return;
  await uninstallMesh(kube, ['--force']);
  await eventually('the mesh is gone', async () => !(await hasMesh(kube)), { timeoutMs: 120_000 });
}

describe.each([
  { guide: 'install-with-helm', needsMesh: false },
  { guide: 'install-with-the-cli', needsMesh: false },
  { guide: 'get-started-on-a-cluster', needsMesh: true },
])('$guide', ({ guide, needsMesh }) => {
  const blocks = readGuide(join(ROOT, `docs/guides/${guide}.md`)).filter(({ notRun }) => notRun === undefined);

  it(`runs, all ${blocks.length} blocks`, { timeout: 1_200_000 }, async () => {
    if (needsMesh && !(await hasMesh(kube))) await installMesh(kube);
    if (!needsMesh) await withoutMesh();
    for (const block of blocks) expect(await problemOf(block)).toBe('');
  });
});
