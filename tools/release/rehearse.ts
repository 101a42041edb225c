// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run release:rehearse`: the release of `npm run release`, twice, into a registry in this process: everything must arrive, each image for both
 * architectures, and the second time must change nothing. Needs the images of `npm run images`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MemoryRegistry } from './memory-registry.ts';

const ROOT = join(import.meta.dirname, '../..');
const registry = await MemoryRegistry.start();
const problems: string[] = [];

async function release(): Promise<void> {
  const args = [
    '--conditions=weft-source',
    join(import.meta.dirname, 'release.ts'),
    '--registry',
    `${registry.host}/weft-mesh`,
    '--plain-http',
  ];
  const child = spawn(process.execPath, args, { stdio: 'inherit', cwd: ROOT });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) problems.push(`the release ended with ${code}`);
}

await release();
const first = [...registry.manifests.keys()];
await release();
const { version } = JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { readonly version: string };
for (const name of [
  'proxy',
  'controller',
  'cni',
  'debug',
  'demo',
  ...readdirSync(join(ROOT, 'charts')).map((chart) => `charts/${chart}`),
]) {
  const stored = registry.manifests.get(`weft-mesh/${name}:${version}`);
  if (stored === undefined) {
    problems.push(`${name}:${version} did not arrive`);
    continue;
  }
  const { manifests } = JSON.parse(stored.bytes.toString()) as {
    readonly manifests?: readonly { readonly platform: { readonly architecture: string } }[];
  };
  const architectures = manifests?.map(({ platform }) => platform.architecture).join(' ');
  if (!name.startsWith('charts/') && architectures !== 'amd64 arm64') problems.push(`${name} is there for ${architectures} only`);
}
if (registry.manifests.size !== first.length) problems.push('the second release changed what was there');
registry.close();
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
