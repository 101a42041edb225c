// SPDX-License-Identifier: Apache-2.0
/* The archives in dist/images, read for tests. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Architecture, type ArchivedImage, type TarEntry, readArchive, rootFilesystem } from '@weft/oci';

/** The repository. */
export const ROOT: string = join(import.meta.dirname, '../..');

/** Names of all images. */
export const NAMES = ['proxy', 'controller', 'cni', 'debug', 'demo'] as const;

/** Both architectures. */
export const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];

/** The images' tag. */
export const VERSION: string = (JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { version: string }).version;

/** An image, opened. */
export interface OpenedImage {
  readonly name: string;
  readonly architecture: Architecture;
  readonly archived: ArchivedImage;
  /** The configuration's `config`. */
  readonly settings: {
    readonly User: string;
    readonly Env: readonly string[];
    readonly Entrypoint: readonly string[];
    readonly WorkingDir: string;
  };
  readonly files: ReadonlyMap<string, TarEntry>;
}

/** Path of an archive. */
export function archivePath(name: string, architecture: Architecture, directory: string = join(ROOT, 'dist/images')): string {
  return join(directory, `${name}-${VERSION}-${architecture}.tar`);
}

/** Reads an archive. */
export function openImage(name: string, architecture: Architecture, directory?: string): OpenedImage {
  const path = archivePath(name, architecture, directory);
  const [archived] = readArchive(readFileSync(path)).images;
  if (archived === undefined) throw new Error(`${path} holds no image`);
  return {
    name,
    architecture,
    archived,
    settings: archived.config['config'] as OpenedImage['settings'],
    files: rootFilesystem(archived.layers),
  };
}
