// SPDX-License-Identifier: Apache-2.0
/*
 * Makes one executable of the plugin's bundle and Node: hosts run it without anything installed. `node build-plugin.mjs [node [output]]`
 * takes the Node binary to put in, by default the one that runs this; one of another architecture is fine. The same inputs give the same
 * bytes, and nothing is made anew while they are the same.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const BUNDLE = join(HERE, 'dist', 'plugin.cjs');

/** Architecture names of container images by e_machine of an ELF file. */
const ARCHITECTURES = { 62: 'amd64', 183: 'arm64' };

/** Builds `output` from the Node binary `node`; returns the output's path. */
export function buildPlugin(node = process.execPath, output) {
  const executable = realpathSync(node);
  const image = readFileSync(executable);
  const architecture = ARCHITECTURES[image.readUInt16LE(18)];
  if (architecture === undefined) throw new Error(`${executable} is no Node binary of a known architecture`);
  const target = resolve(output ?? join(HERE, 'dist', `weft-cni-${architecture}`));
  const settings = {
    main: BUNDLE,
    mainFormat: 'commonjs',
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    // A code cache would save 5 ms of a run, but its bytes differ from build to build.
    useCodeCache: false,
    // A container runtime's NODE_OPTIONS is not meant for the plugin.
    execArgvExtension: 'none',
    execArgv: ['--disable-warning=ExperimentalWarning'],
  };
  const made = createHash('sha256').update(image).update(readFileSync(BUNDLE)).update(JSON.stringify(settings)).digest('hex');
  const stamp = `${target}.made-of`;
  if (existsSync(target) && existsSync(stamp) && readFileSync(stamp, 'utf8') === made) return target;

  const work = mkdtempSync(join(dirname(target), '.sea-'));
  try {
    const built = join(work, 'weft-cni');
    const file = join(work, 'sea.json');
    writeFileSync(file, JSON.stringify({ ...settings, executable, output: built }));
    execFileSync(process.execPath, ['--build-sea', file], { stdio: ['ignore', 'ignore', 'inherit'] });
    renameSync(built, target);
    writeFileSync(stamp, made);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return target;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildPlugin(process.argv[2], process.argv[3]);
