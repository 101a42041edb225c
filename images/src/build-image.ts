// SPDX-License-Identifier: Apache-2.0
/*
 * Builds one image for one architecture: `<name>-<version>-<arch>.tar`, with `.spdx.json` (the software in it) and `.json` (its digest and
 * sizes) beside it. An archive whose inputs are those of the last build is left as it is; compressed layers are kept by their digest.
 */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Architecture,
  type Image,
  type Layer,
  type SoftwarePart,
  archiveBlocks,
  archiveLayer,
  buildImage,
  compressLayer,
  compressedBytes,
  sha256,
  spdxDocument,
} from '@weft/oci';
import { cached, inputsKey, writeWhole } from './cache.ts';
import type { DebianLock } from './debian-package.ts';
import type { ImageDescription } from './description.ts';
import { type ImageLayers, MissingInputError, imageLayers, missingInputs, repositoryFiles } from './image-layers.ts';
import { REPOSITORY_PREFIX } from './images.ts';
import { compiler, nodeFlags } from './launcher.ts';
import { pinnedNode } from './node-binary.ts';
import { bundleScript } from './script-bundle.ts';

/** What all images of one run share. */
export interface BuildSettings {
  /** The repository. */
  readonly root: string;
  /** Where the archives go. */
  readonly outputDirectory: string;
  readonly lock: DebianLock;
  /** Tag of the images. */
  readonly version: string;
  /** Time of every file and of the image, in seconds since 1970: SOURCE_DATE_EPOCH, else 0. */
  readonly epochSeconds: number;
  /** Commit that the label names. */
  readonly revision?: string;
}

/** The file beside an archive. */
export interface ImageSummary {
  readonly reference: string;
  readonly architecture: Architecture;
  /** Digest of the manifest. */
  readonly digest: string;
  readonly compressedBytes: number;
  readonly layers: readonly {
    readonly title: string;
    readonly digest: string;
    readonly diffId: string;
    readonly compressedBytes: number;
  }[];
  /** Everything that the archive was made of. */
  readonly inputs: string;
}

/** A build's result. */
export interface BuiltImage {
  readonly path: string;
  readonly summary: ImageSummary;
  /** Whether the last build's archive was still right. */
  readonly isUnchanged: boolean;
}

/** Path of an archive, without the suffix. */
export function archiveBase(settings: BuildSettings, image: ImageDescription, architecture: Architecture): string {
  return join(settings.outputDirectory, `${image.name}-${settings.version}-${architecture}`);
}

/** Builds, or finds that nothing changed. Throws MissingInputError, and what downloading, reading and compiling throw. */
export async function buildArchive(settings: BuildSettings, image: ImageDescription, architecture: Architecture): Promise<BuiltImage> {
  const base = archiveBase(settings, image, architecture);
  const missing = missingInputs(settings.root, image);
  if (missing.length > 0) throw new MissingInputError(`lacks ${missing.join(', ')}: build the apps first (\`npm run build\`)`);
  const inputs = imageInputs(settings, image, architecture);
  const known = readSummary(base);
  if (known?.inputs === inputs) return { path: `${base}.tar`, summary: known, isUnchanged: true };

  const parts = await imageLayers({ root: settings.root, image, architecture, lock: settings.lock, version: settings.version });
  const { built, layers } = await assemble(settings, image, architecture, parts);
  const reference = { repository: `${REPOSITORY_PREFIX}/${image.name}`, tag: settings.version };
  const summary: ImageSummary = {
    reference: `${reference.repository}:${reference.tag}`,
    architecture,
    digest: built.manifest.digest,
    compressedBytes: compressedBytes(built),
    layers: layers.map(({ title, digest, diffId, blob }) => ({ title, digest, diffId, compressedBytes: blob.length })),
    inputs,
  };
  const software = spdxDocument({
    name: summary.reference,
    version: settings.version,
    digest: summary.digest,
    created: createdText(settings),
    parts: softwareParts(settings, image, architecture, parts),
  });
  writeWhole(`${base}.tar`, archiveBlocks([built], reference));
  writeWhole(`${base}.spdx.json`, Buffer.from(software));
  // Last: it is what says that the archive is complete.
  writeWhole(`${base}.json`, Buffer.from(`${JSON.stringify(summary, undefined, 2)}\n`));
  return { path: `${base}.tar`, summary, isUnchanged: false };
}

/** Layers compressed, configuration and manifest made. */
async function assemble(
  settings: BuildSettings,
  image: ImageDescription,
  architecture: Architecture,
  parts: ImageLayers,
): Promise<{ built: Image; layers: Layer[] }> {
  const layers: Layer[] = [];
  for (const { title, entries } of parts.layers) {
    const { diffId, archive } = archiveLayer(entries, settings.epochSeconds);
    const blob = await cached(`layers/${diffId.slice('sha256:'.length)}-zlib-${process.versions.zlib}.tar.gz`, () =>
      compressLayer(archive),
    );
    layers.push({ title, diffId, digest: sha256(blob), blob });
  }
  const labels: Record<string, string> = {
    'org.opencontainers.image.title': image.title,
    'org.opencontainers.image.description': image.description,
    'org.opencontainers.image.version': settings.version,
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.vendor': 'Weft',
    'org.opencontainers.image.url': 'https://github.com/weft-mesh/weft',
    'org.opencontainers.image.source': 'https://github.com/weft-mesh/weft',
    ...(settings.revision === undefined ? {} : { 'org.opencontainers.image.revision': settings.revision }),
  };
  const built = buildImage({
    architecture,
    layers,
    created: createdText(settings),
    settings: {
      user: image.user,
      entrypoint: image.entrypoint,
      ...(image.command === undefined ? {} : { command: image.command }),
      ...(image.workingDirectory === undefined ? {} : { workingDirectory: image.workingDirectory }),
      environment: image.environment,
      labels,
    },
  });
  return { built, layers };
}

/** Names everything that decides over an archive's bytes, without reading a package. */
function imageInputs(settings: BuildSettings, image: ImageDescription, architecture: Architecture): string {
  const { root } = settings;
  const tools = ['images/src', 'packages/oci/src'].flatMap((directory) =>
    readdirSync(join(root, directory))
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .sort()
      .map((name) => readFileSync(join(root, directory, name))),
  );
  const files = repositoryFiles(root, image);
  return inputsKey(
    JSON.stringify([settings.version, settings.epochSeconds, settings.revision, process.versions.zlib, image, architecture]),
    JSON.stringify(settings.lock),
    pinnedNode(root, architecture).integrity,
    image.launchers.length === 0 ? '' : compiler(architecture).version,
    JSON.stringify(image.launchers.map(({ app }) => nodeFlags(root, app))),
    readFileSync(join(root, 'images/launcher/launcher.c')),
    ...files.flatMap((path) => [path, readFileSync(join(root, path))]),
    // What a script imports is in its bundle.
    ...(image.scripts ?? []).map(({ source }) => bundleScript(root, source).contents),
    ...tools,
  );
}

function readSummary(base: string): ImageSummary | undefined {
  if (!existsSync(`${base}.json`) || !existsSync(`${base}.tar`) || statSync(`${base}.tar`).size === 0) return undefined;
  try {
    return JSON.parse(readFileSync(`${base}.json`, 'utf8')) as ImageSummary;
  } catch {
    // A file of another make: the image is built anew, which replaces it.
    return undefined;
  }
}

function createdText(settings: BuildSettings): string {
  return new Date(settings.epochSeconds * 1000).toISOString().replace('.000Z', 'Z');
}

function softwareParts(settings: BuildSettings, image: ImageDescription, architecture: Architecture, parts: ImageLayers): SoftwarePart[] {
  const node = pinnedNode(settings.root, architecture);
  return [
    ...parts.debian.map(({ name, version, sha256 }) => ({
      name,
      version,
      sha256,
      supplier: 'Debian',
      purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=${settings.lock.suite}`,
    })),
    ...(image.hasNode ? [{ name: 'node', version: node.version, licence: 'MIT', purl: `pkg:npm/${node.name}@${node.version}` }] : []),
    ...parts.modules.map(({ name, version, licence }) => ({
      name,
      version,
      licence,
      purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    })),
  ];
}
