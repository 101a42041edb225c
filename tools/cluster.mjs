// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run cluster`: a Kubernetes cluster on this machine with the mesh in it, built from this checkout. It stays until `npm run cluster -- down`.
 * Slow parts are made once per version (Kubernetes about twenty minutes on a small machine) and kept in ~/.cache/weft.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrap, ROOT } from './bootstrap.mjs';
import { prepareSystem } from './system-packages.mjs';

const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : process.arch;
const USAGE = `usage: npm run cluster -- [up | env | down] [flags]
  --nodes N        1 to 3 nodes (default 1)
  --dual           IPv4 and IPv6
  --ha             the control plane in its highly available form (with --nodes 3: a replica on each)
  --bare           a cluster without the mesh
  --set NAME=VALUE a value of the control plane's chart; may be repeated
  --index N        0 to 9 (default 9): several clusters run side by side
  --provider P     local (default) or kind`;

const { values: flags, positionals } = parse();
const [verb = 'up', ...rest] = positionals;
if (rest.length > 0 || !['up', 'env', 'down'].includes(verb)) usage(`unknown: ${positionals.join(' ')}`);

bootstrap();
// Only the pinned Node reads TypeScript.
const { attachCluster, createCluster, removeCluster } = await import('../e2e/cluster/cluster.ts');
const { Kube } = await import('../e2e/cluster/harness/kube.ts');
const { installMesh } = await import('../e2e/cluster/harness/mesh.ts');
const { goTool } = await import('./go-tools.ts');
const { SYSTEM_COMMANDS } = await import('../e2e/cluster/local/local-cluster.ts');
const index = Number(flags.index);
try {
  await { up, env, down }[verb]();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

async function up() {
  const problem = flags.provider === 'local' ? prepareSystem(SYSTEM_COMMANDS) : undefined;
  if (problem !== undefined) throw new Error(problem);
  const log = (line) => console.log(line);
  const ipFamily = flags.dual ? 'dual' : 'ipv4';
  // The images are built while the cluster waits for itself.
  const [cluster] = await Promise.all([
    createCluster({ provider: flags.provider, nodes: Number(flags.nodes), ipFamily, index, isKept: true, log }),
    flags.bare ? undefined : buildImages(),
  ]);
  const args = [...(flags.ha ? ['--ha'] : []), ...flags.set.flatMap((assignment) => ['--set', assignment])];
  if (!flags.bare) await installMesh(new Kube(cluster), { args, images: ['cni', 'debug', 'demo'], log });
  console.log(`\n${environmentOf(cluster)}`);
}

async function buildImages() {
  const child = spawn('npm', ['run', 'images', '--silent', '--', '--arch', ARCHITECTURE], { stdio: 'inherit' });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error('the images could not be built; the cluster stays: npm run cluster -- down removes it');
}

/** For `eval "$(npm run --silent cluster -- env)"`. */
async function env() {
  console.log(environmentOf(await attachCluster(index, flags.provider)));
}

/** Points a shell at the cluster: its kubeconfig, and a directory with kubectl, this checkout's weft, and helm where it is built. */
function environmentOf({ kubeconfig, kubectl }) {
  const bin = join(dirname(kubeconfig), 'bin');
  mkdirSync(bin, { recursive: true });
  const programs = { weft: [process.execPath, join(ROOT, 'apps/cli/dist/main.js')] };
  if (kubectl !== 'kubectl') programs.kubectl = [kubectl];
  if (existsSync(goTool('helm', 'helm'))) programs.helm = [goTool('helm', 'helm')];
  for (const [name, command] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/sh\nexec ${command.map((word) => `'${word}'`).join(' ')} "$@"\n`, { mode: 0o755 });
  return `export KUBECONFIG=${kubeconfig}\nexport PATH=${bin}:$PATH`;
}

async function down() {
  console.log((await removeCluster(index, flags.provider)) ? `cluster ${index} is removed` : `there is no cluster ${index}`);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        nodes: { type: 'string', default: '1' },
        index: { type: 'string', default: '9' },
        provider: { type: 'string', default: 'local' },
        set: { type: 'string', multiple: true, default: [] },
        dual: { type: 'boolean', default: false },
        ha: { type: 'boolean', default: false },
        bare: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return usage(error.message);
  }
}

function usage(problem) {
  console.error(`${problem}\n${USAGE}`);
  process.exit(2);
}
