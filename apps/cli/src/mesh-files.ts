// SPDX-License-Identifier: Apache-2.0
/*
 * Where the mesh's programs and definitions are: beside this program in a checkout or in an installed tree, found by walking up.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MeshProgram } from '@weft/host-run';

/** Files that a run needs. */
export interface MeshFiles {
  readonly proxy: MeshProgram;
  readonly controller: MeshProgram;
  readonly crdDirectory: string;
}

/** Throws Error when the tree is incomplete. */
export function findMeshFiles(from: string = dirname(fileURLToPath(import.meta.url))): MeshFiles {
  for (let directory = from; ; directory = dirname(directory)) {
    if (existsSync(join(directory, 'apps/proxy/package.json'))) {
      return {
        proxy: program(directory, 'proxy'),
        controller: program(directory, 'controller'),
        crdDirectory: join(directory, 'charts/weft-crds/files'),
      };
    }
    if (dirname(directory) === directory) throw new Error('the proxy and the controller are not installed beside this program');
  }
}

function program(root: string, app: string): MeshProgram {
  const directory = join(root, 'apps', app);
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    readonly weft?: { readonly nodeFlags?: readonly string[] };
  };
  return { file: join(directory, 'dist/main.js'), nodeFlags: manifest.weft?.nodeFlags ?? [] };
}
