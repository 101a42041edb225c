// SPDX-License-Identifier: Apache-2.0
/*
 * An image of one platform: its configuration and its manifest (OCI image-spec config.md, manifest.md) over finished layers. Keys are written in
 * one fixed order, so that equal images have equal digests.
 */
import type { Architecture } from './elf.ts';
import { type Layer, sha256 } from './layer.ts';

/** What an image says of how it is run. */
export interface ImageSettings {
  /** Numeric `uid:gid`, so that Kubernetes can tell that it is not root. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  /** Labels of the configuration, and the manifest's annotations. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What an image is made of. */
export interface ImageParts {
  readonly architecture: Architecture;
  readonly settings: ImageSettings;
  readonly layers: readonly Layer[];
  /** RFC 3339. */
  readonly created: string;
}

/** A reference to a blob (OCI image-spec descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** A finished image. */
export interface Image {
  readonly architecture: Architecture;
  readonly config: Descriptor;
  readonly manifest: Descriptor;
  /** Blobs by digest: layers, configuration, manifest. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  /** Digests of the layers, lowest first. */
  readonly layers: readonly string[];
}

/** Media types of the OCI image format, version 1. */
export const MEDIA_TYPES = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

/** Puts an image together. */
export function buildImage(parts: ImageParts): Image {
  const { settings, layers, created } = parts;
  const blobs = new Map<string, Buffer>(layers.map(({ digest, blob }) => [digest, blob]));
  const add = (mediaType: string, bytes: Buffer): Descriptor => {
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const config = add(
    MEDIA_TYPES.config,
    jsonBytes({
      created,
      architecture: parts.architecture,
      os: 'linux',
      config: {
        User: settings.user,
        Env: Object.entries(settings.environment).map(([name, value]) => `${name}=${value}`),
        Entrypoint: settings.entrypoint,
        ...(settings.command === undefined ? {} : { Cmd: settings.command }),
        WorkingDir: settings.workingDirectory ?? '/',
        Labels: sorted(settings.labels),
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map(({ title }) => ({ created, created_by: title })),
    }),
  );
  const manifest = add(
    MEDIA_TYPES.manifest,
    jsonBytes({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config,
      layers: layers.map(({ digest, blob }) => ({ mediaType: MEDIA_TYPES.layer, digest, size: blob.length })),
      annotations: sorted(settings.labels),
    }),
  );
  return { architecture: parts.architecture, config, manifest, blobs, layers: layers.map(({ digest }) => digest) };
}

/** JSON as it goes into blobs. */
export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
