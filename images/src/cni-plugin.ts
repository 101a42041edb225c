// SPDX-License-Identifier: Apache-2.0
/*
 * The CNI plugin as one executable: Node of the image's architecture with the plugin's bundle in it. Made by the app's own build script, which
 * gives the same bytes for the same inputs on any machine.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Architecture } from '@weft/oci';
import { nodeBinary } from './node-binary.ts';

const SCRIPT = 'apps/cni/build-plugin.mjs';

/** The bundle in the executable, relative to the repository. */
export const PLUGIN_BUNDLE = 'apps/cni/dist/plugin.cjs';

/** Everything of the repository that it is made of. */
export const PLUGIN_SOURCES: readonly string[] = [PLUGIN_BUNDLE, SCRIPT];

/** The executable's bytes. */
export async function cniPlugin(root: string, architecture: Architecture): Promise<Buffer> {
  const { binary } = await nodeBinary(root, architecture);
  // Not kept: each is larger than all that is, and an image that did not change does not ask for it.
  const directory = mkdtempSync(join(tmpdir(), 'weft-plugin-'));
  try {
    const [node, output] = [join(directory, 'node'), join(directory, 'plugin')];
    writeFileSync(node, binary, { mode: 0o755 });
    execFileSync(process.execPath, [join(root, SCRIPT), node, output], { stdio: 'inherit' });
    return readFileSync(output);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
