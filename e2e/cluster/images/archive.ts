// SPDX-License-Identifier: Apache-2.0
/*
 * Writes an OCI image archive (image-layout 1.1, image-spec 1.1) from directories, one layer each, by GNU tar: for the images of tests only. The
 * product's images have a builder of their own, which also knows modes, owners and capabilities.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface ImageRequest {
  /** As pods name it. */
  readonly reference: string;
  /** The directories of its layers, lowest first. */
  readonly layers: readonly string[];
  /** The image's `config`: Entrypoint, Cmd, Env, User. */
  readonly config: object;
  /** The file to write. */
  readonly archive: string;
}

const NORMALIZED = [
  '--sort=name',
  '--mtime=@0',
  '--owner=0',
  '--group=0',
  '--numeric-owner',
  '--format=posix',
  // Times of access and change differ at each build.
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
];

interface Descriptor {
  readonly digest: string;
  readonly size: number;
}

/** Writes the archive; equal directories give an equal file. */
export function writeImage({ reference, layers, config, archive }: ImageRequest): void {
  const layout = `${archive}.layout`;
  const blobs = join(layout, 'blobs/sha256');
  rmSync(layout, { recursive: true, force: true });
  mkdirSync(blobs, { recursive: true });
  const json = (value: object): Descriptor => {
    writeFileSync(join(layout, 'blob'), JSON.stringify(value));
    return intoBlobs(join(layout, 'blob'), blobs);
  };
  const layerBlobs = layers.map((directory) => {
    execFileSync('tar', ['-C', directory, ...NORMALIZED, '-cf', join(layout, 'blob'), '.']);
    return intoBlobs(join(layout, 'blob'), blobs);
  });
  const platform = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
  const configBlob = json({ ...platform, config, rootfs: { type: 'layers', diff_ids: layerBlobs.map(({ digest }) => digest) } });
  const type = (name: string): string => `application/vnd.oci.image.${name}`;
  const manifest = json({
    schemaVersion: 2,
    mediaType: type('manifest.v1+json'),
    config: { mediaType: type('config.v1+json'), ...configBlob },
    layers: layerBlobs.map((blob) => ({ mediaType: type('layer.v1.tar'), ...blob })),
  });
  const annotations = {
    'io.containerd.image.name': reference,
    'org.opencontainers.image.ref.name': reference.slice(reference.lastIndexOf(':') + 1),
  };
  writeFileSync(
    join(layout, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      mediaType: type('index.v1+json'),
      manifests: [{ mediaType: type('manifest.v1+json'), ...manifest, platform, annotations }],
    }),
  );
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  execFileSync('tar', ['-C', layout, ...NORMALIZED, '-cf', archive, 'oci-layout', 'index.json', 'blobs']);
  rmSync(layout, { recursive: true, force: true });
}

function intoBlobs(file: string, blobs: string): Descriptor {
  const hex = createHash('sha256').update(readFileSync(file)).digest('hex');
  const { size } = statSync(file);
  renameSync(file, join(blobs, hex));
  return { digest: `sha256:${hex}`, size };
}
