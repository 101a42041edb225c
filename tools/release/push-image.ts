// SPDX-License-Identifier: Apache-2.0
/*
 * Puts the archives of one image, one per architecture, into a registry as one multi-architecture tag. A tag that exists is left alone: a version is
 * released once.
 */
import { readTar } from '@weft/oci';
import { digestOf, type Repository } from './registry.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';

export interface PushResult {
  /** Of the index. */
  readonly digest: string;
  /** Of each archive's image; empty where the tag was there already. */
  readonly manifests: readonly string[];
  /** Whether the tag was there already. */
  readonly isOld: boolean;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: object;
}

interface Index {
  readonly manifests: readonly Descriptor[];
}

interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** Throws RangeError for an archive that is not whole, RegistryError for what the registry refuses. */
export async function pushImage(repository: Repository, tag: string, archives: readonly Uint8Array[]): Promise<PushResult> {
  const existing = await repository.digestOfTag(tag);
  if (existing !== undefined) return { digest: existing, manifests: [], isOld: true };
  const manifests: Descriptor[] = [];
  for (const archive of archives) {
    const files = new Map(readTar(archive).flatMap((entry) => (entry.type === 'file' ? [[entry.path, entry.contents] as const] : [])));
    const file = (path: string): Uint8Array => {
      const contents = files.get(path);
      if (contents === undefined) throw new RangeError(`the archive of ${repository.name}:${tag} lacks ${path}`);
      return contents;
    };
    const blob = (digest: string): Uint8Array => {
      const contents = file(`blobs/${digest.replace(':', '/')}`);
      if (digestOf(contents) !== digest) throw new RangeError(`the blob ${digest} of ${repository.name}:${tag} has other contents`);
      return contents;
    };
    for (const { mediaType, digest, size, platform } of (parse(file('index.json')) as Index).manifests) {
      const manifest = blob(digest);
      const { config, layers } = parse(manifest) as Manifest;
      for (const part of [config, ...layers]) await repository.putBlob(blob(part.digest));
      await repository.putManifest(manifest, mediaType);
      // The annotations of an archive are for importers; a registry's index needs none.
      manifests.push({ mediaType, digest, size, ...(platform === undefined ? {} : { platform }) });
    }
  }
  const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  const digest = await repository.putManifest(index, INDEX, tag);
  return { digest, manifests: manifests.map((manifest) => manifest.digest), isOld: false };
}

function parse(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}
