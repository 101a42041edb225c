// SPDX-License-Identifier: Apache-2.0
/*
 * What a container would see: the layers of an image laid over each other (OCI image-spec layer.md, "Applying Changesets"). Whiteouts are
 * refused: our images only add. Also follows the symbolic links of an image inside the image.
 */
import { gunzipSync } from 'node:zlib';
import { readTar } from './tar-reader.ts';
import type { TarEntry } from './tar-writer.ts';

const MAX_LINKS = 40;

/** Entries by path over all layers, later layers winning. Throws RangeError for a whiteout, or a layer that turns a link into a directory. */
export function rootFilesystem(layers: readonly Uint8Array[]): Map<string, TarEntry> {
  const root = new Map<string, TarEntry>();
  for (const layer of layers) {
    for (const entry of readTar(gunzipSync(layer))) {
      if (/(^|\/)\.wh\./.test(entry.path)) throw new RangeError(`a layer holds the whiteout ${entry.path}`);
      const known = root.get(entry.path);
      if (known !== undefined && known.type !== entry.type)
        throw new RangeError(`a layer makes ${entry.path} a ${entry.type}; it was a ${known.type}`);
      root.set(entry.path, entry);
    }
  }
  return root;
}

/** The entry at a path, links in it followed as a process in the container would; undefined where there is none. */
export function lookUp(root: ReadonlyMap<string, TarEntry>, path: string): TarEntry | undefined {
  let pending = path.split('/').filter((part) => part !== '' && part !== '.');
  let done: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const [part = '', ...rest] = pending;
    pending = rest;
    if (part === '..') {
      done = done.slice(0, -1);
      continue;
    }
    const entry = root.get([...done, part].join('/'));
    if (entry === undefined) return undefined;
    if (entry.type !== 'symlink') {
      done = [...done, part];
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return undefined;
    if (entry.target.startsWith('/')) done = [];
    pending = [...entry.target.split('/').filter((step) => step !== '' && step !== '.'), ...pending];
  }
  return root.get(done.join('/'));
}
