// SPDX-License-Identifier: Apache-2.0
/*
 * Images as one file: an OCI layout in a tar archive (OCI image-spec image-layout.md), with the names that containerd's importer reads, and a
 * `manifest.json` for `docker load` and the tools that look for it. Several images of one name and different architectures become one index.
 */
import type { Architecture } from './elf.ts';
import { type Descriptor, type Image, MEDIA_TYPES, jsonBytes } from './image.ts';
import { sha256 } from './layer.ts';
import { readTar } from './tar-reader.ts';
import { type TarEntry, tarBlocks } from './tar-writer.ts';

/** `registry/path:tag` taken apart. */
export interface ImageReference {
  readonly repository: string;
  readonly tag: string;
}

/** An archive read back. */
export interface ArchiveContents {
  /** The index's manifests by architecture. */
  readonly images: readonly ArchivedImage[];
}

/** One image of an archive. */
export interface ArchivedImage {
  readonly architecture: string;
  readonly reference: string;
  readonly manifestDigest: string;
  readonly config: Record<string, unknown>;
  /** Compressed layers, lowest first. */
  readonly layers: readonly Buffer[];
}

/** Sum of the sizes of what a registry would transfer: manifest, configuration, compressed layers; in bytes. */
export function compressedBytes(image: Image): number {
  let sum = 0;
  for (const blob of image.blobs.values()) sum += blob.length;
  return sum;
}

/**
 * The archive's blocks, to be written one after another. One image gets its manifest into `index.json` directly; several get an index of their
 * own, to which `index.json` points. Throws RangeError without an image or with two of one architecture.
 */
export function archiveBlocks(images: readonly Image[], reference: ImageReference): Uint8Array[] {
  if (images.length === 0 || new Set(images.map(({ architecture }) => architecture)).size !== images.length)
    throw new RangeError('an archive holds one image for each of its architectures');
  const blobs = new Map<string, Buffer>(images.flatMap((image) => [...image.blobs]));
  const name = `${reference.repository}:${reference.tag}`;
  const annotations = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': reference.tag };
  const manifests = images.map(({ manifest, architecture }) => ({ ...manifest, platform: { architecture, os: 'linux' } }));
  const index = (entries: unknown[]): Buffer => jsonBytes({ schemaVersion: 2, mediaType: MEDIA_TYPES.index, manifests: entries });
  let top: Buffer;
  if (images.length === 1) {
    top = index([{ ...manifests[0], annotations }]);
  } else {
    const inner = index(manifests);
    blobs.set(sha256(inner), inner);
    top = index([{ mediaType: MEDIA_TYPES.index, digest: sha256(inner), size: inner.length, annotations }]);
  }
  const dockerManifest = images
    .slice(0, 1)
    .map((image) => ({ Config: blobPath(image.config.digest), RepoTags: [name], Layers: image.layers.map(blobPath) }));
  const entries: TarEntry[] = [
    file('oci-layout', jsonBytes({ imageLayoutVersion: '1.0.0' })),
    file('index.json', top),
    file('manifest.json', jsonBytes(dockerManifest)),
    { type: 'directory', path: 'blobs', mode: 0o755 },
    { type: 'directory', path: 'blobs/sha256', mode: 0o755 },
    ...[...blobs].sort(([a], [b]) => (a < b ? -1 : 1)).map(([digest, blob]) => file(blobPath(digest), blob)),
  ];
  return tarBlocks(entries);
}

/**
 * The archive of several architectures from archives of one each, all of one name. Blobs are taken over as they are. Throws RangeError where an
 * archive holds not exactly one image, where two have different names, or as `archiveBlocks`.
 */
export function joinArchives(archives: readonly Uint8Array[]): Uint8Array[] {
  const names = new Set<string>();
  const images = archives.map((archive): Image => {
    const { images: found } = readArchive(archive);
    const [image] = found;
    if (image === undefined || found.length !== 1) throw new RangeError('an archive to be joined holds exactly one image');
    names.add(image.reference);
    const blobs = new Map<string, Buffer>();
    for (const entry of readTar(archive))
      if (entry.type === 'file' && entry.path.startsWith('blobs/sha256/'))
        blobs.set(
          entry.path.slice('blobs/'.length).replace('/', ':'),
          Buffer.from(entry.contents.buffer, entry.contents.byteOffset, entry.contents.length),
        );
    const manifest = blobs.get(image.manifestDigest) ?? Buffer.alloc(0);
    const document = JSON.parse(manifest.toString()) as ManifestDocument;
    return {
      architecture: image.architecture as Architecture,
      config: document.config,
      manifest: { mediaType: MEDIA_TYPES.manifest, digest: image.manifestDigest, size: manifest.length },
      blobs,
      layers: document.layers.map(({ digest }) => digest),
    };
  });
  const [name = ''] = names;
  if (names.size !== 1) throw new RangeError(`archives to be joined have one name; these have ${[...names].join(', ')}`);
  const colon = name.lastIndexOf(':');
  return archiveBlocks(images, { repository: name.slice(0, colon), tag: name.slice(colon + 1) });
}

/** Reads an archive that `archiveBlocks` made, and checks every digest on the way. Throws RangeError where something does not fit. */
export function readArchive(archive: Uint8Array): ArchiveContents {
  const files = new Map<string, Buffer>();
  for (const entry of readTar(archive)) if (entry.type === 'file') files.set(entry.path, Buffer.from(entry.contents));
  const blob = (digest: string): Buffer => {
    const bytes = files.get(blobPath(digest));
    if (bytes === undefined) throw new RangeError(`the archive lacks the blob ${digest}`);
    if (sha256(bytes) !== digest) throw new RangeError(`the blob ${digest} has other contents`);
    return bytes;
  };
  const read = (bytes: Buffer | undefined, what: string): IndexDocument => {
    if (bytes === undefined) throw new RangeError(`the archive has no ${what}`);
    return JSON.parse(bytes.toString()) as IndexDocument;
  };
  const images: ArchivedImage[] = [];
  for (const top of read(files.get('index.json'), 'index.json').manifests) {
    const inner = top.mediaType === MEDIA_TYPES.index ? read(blob(top.digest), 'index').manifests : [top];
    for (const descriptor of inner) {
      const manifest = JSON.parse(blob(descriptor.digest).toString()) as ManifestDocument;
      images.push({
        architecture: descriptor.platform?.architecture ?? '',
        reference: top.annotations?.['io.containerd.image.name'] ?? '',
        manifestDigest: descriptor.digest,
        config: JSON.parse(blob(manifest.config.digest).toString()) as Record<string, unknown>,
        layers: manifest.layers.map(({ digest }) => blob(digest)),
      });
    }
  }
  return { images };
}

interface IndexDocument {
  readonly manifests: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly platform?: { readonly architecture: string };
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
}

interface ManifestDocument {
  readonly config: Descriptor;
  readonly layers: readonly { readonly digest: string }[];
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

function file(path: string, contents: Buffer): TarEntry {
  return { type: 'file', path, mode: 0o644, contents };
}
