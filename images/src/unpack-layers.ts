// SPDX-License-Identifier: Apache-2.0
/*
 * Unpacks an archive's layers into one directory each, with owners, modes and capabilities: what the Dockerfiles copy. Needs root and GNU tar,
 * because Node cannot set extended attributes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readArchive } from '@weft/oci';

/** Layer `n` goes into `directory/n`, which is made anew. */
export function unpackLayers(archive: string, directory: string): void {
  const [image] = readArchive(readFileSync(archive)).images;
  rmSync(directory, { recursive: true, force: true });
  for (const [index, layer] of (image?.layers ?? []).entries()) {
    const into = join(directory, String(index));
    mkdirSync(into, { recursive: true });
    execFileSync('tar', ['-xzp', '--numeric-owner', '--xattrs', '--xattrs-include=security.capability', '-f', '-', '-C', into], {
      input: layer,
    });
  }
}
