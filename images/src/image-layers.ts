// SPDX-License-Identifier: Apache-2.0
/*
 * From a description to the entries of its layers: base (the same in all images), node (the same in all that have it), tools, app. Each layer
 * changes less often than the next, so that an upgrade transfers little.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import type { Architecture, TarEntry } from '@weft/oci';
import { BASE_DEBIAN, BASE_DIRECTORIES, BASE_FILES, BASE_LINKS, CA_BUNDLE } from './base.ts';
import type { DebianLock, LockedPackage } from './debian-package.ts';
import { BUNDLES_DIRECTORY, type ImageDescription, type Launcher, NODE_PATH, bundlePath } from './description.ts';
import { PLUGIN_BUNDLE, PLUGIN_SOURCES, cniPlugin } from './cni-plugin.ts';
import { compileLauncher } from './launcher.ts';
import { type BundledModule, bundledModules, noticesText } from './bundled-modules.ts';
import { nodeBinary } from './node-binary.ts';
import { RootBuilder } from './root-builder.ts';
import { bundleScript } from './script-bundle.ts';

/** What an image is built from. */
export interface LayerInputs {
  /** The repository. */
  readonly root: string;
  readonly image: ImageDescription;
  readonly architecture: Architecture;
  readonly lock: DebianLock;
  /** What `{version}` stands for in texts. */
  readonly version: string;
}

interface AssembledLayer {
  readonly title: string;
  readonly entries: readonly TarEntry[];
}

/** Entries of all layers, and the software in them. */
export interface ImageLayers {
  readonly layers: readonly AssembledLayer[];
  readonly debian: readonly LockedPackage[];
  readonly modules: readonly BundledModule[];
}

/** An input that another step should have made. */
export class MissingInputError extends Error {
  override name = 'MissingInputError';
}

/** Collects everything; the repository's files are there (`missingInputs`). Throws DebianPackageError, and what compiling or downloading throws. */
export async function imageLayers(inputs: LayerInputs): Promise<ImageLayers> {
  const { image, architecture, lock } = inputs;
  const builder = new RootBuilder(architecture, lock);
  const layers = await systemLayers(builder, inputs);
  const modules = await addApp(builder, inputs);
  layers.push({ title: `${image.name} ${inputs.version}`, entries: await builder.finishLayer() });
  return { layers, debian: builder.usedPackages(), modules };
}

/** Debian packages that an image takes files of. */
export async function packagesOf(
  root: string,
  image: ImageDescription,
  architecture: Architecture,
  lock: DebianLock,
): Promise<readonly LockedPackage[]> {
  const builder = new RootBuilder(architecture, lock);
  await systemLayers(builder, { root, image, architecture });
  return builder.usedPackages();
}

/** All layers below the app's. */
async function systemLayers(builder: RootBuilder, inputs: Pick<LayerInputs, 'root' | 'image' | 'architecture'>): Promise<AssembledLayer[]> {
  const { image } = inputs;
  const node = await nodeBinary(inputs.root, inputs.architecture);
  const layers: AssembledLayer[] = [];
  await addBase(builder, node.binary);
  layers.push({ title: 'base', entries: await builder.finishLayer() });

  if (image.hasNode) {
    builder.addFile(NODE_PATH, 0o755, node.binary);
    builder.addFile('/usr/share/doc/node/LICENSE', 0o644, node.licence);
    layers.push({ title: `node ${node.version}`, entries: await builder.finishLayer() });
  }
  if (image.debian.length > 0) {
    for (const files of image.debian) await builder.take(files);
    for (const [path, target] of Object.entries(image.links)) addLink(builder, path, target);
    for (const [path, capabilities] of Object.entries(image.fileCapabilities)) builder.setCapabilities(path, capabilities);
    layers.push({ title: 'tools', entries: await builder.finishLayer() });
  }
  return layers;
}

/** Files of the repository that the image is made of, relative to it; those that bundles import come after the bundles exist. */
export function repositoryFiles(root: string, image: ImageDescription): string[] {
  const bundles = image.launchers.flatMap((launcher) => bundleFiles(root, bundleSource(launcher)));
  const made = image.files.some(({ source }) => 'made' in source) ? PLUGIN_SOURCES : [];
  const scripts = (image.scripts ?? []).map(({ source }) => source);
  return [...new Set([...bundles, ...made, ...scripts])].sort();
}

/** Those of them that do not exist. */
export function missingInputs(root: string, image: ImageDescription): string[] {
  return repositoryFiles(root, image).filter((path) => !existsSync(join(root, path)));
}

function bundleSource(launcher: Launcher): string {
  return `apps/${launcher.app}/dist/${launcher.bundle}`;
}

/** A bundle and the files beside it that it imports, and they. */
function bundleFiles(root: string, bundle: string): string[] {
  const found = new Set<string>();
  const pending = [bundle];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    if (found.has(path)) continue;
    found.add(path);
    if (!existsSync(join(root, path))) continue;
    for (const [, name] of readFileSync(join(root, path), 'utf8').matchAll(/["'`]\.\/([\w.-]+\.js)["'`]/g)) {
      const imported = posix.join(posix.dirname(path), name ?? '');
      if (existsSync(join(root, imported))) pending.push(imported);
    }
  }
  return [...found];
}

async function addBase(builder: RootBuilder, node: Buffer): Promise<void> {
  for (const [path, mode] of Object.entries(BASE_DIRECTORIES)) builder.add(path, { type: 'directory', path, mode });
  for (const [path, target] of Object.entries(BASE_LINKS)) addLink(builder, path, target);
  for (const { path, mode, text } of BASE_FILES) builder.addFile(path, mode, Buffer.from(text));
  for (const files of BASE_DEBIAN) {
    if (files.package !== 'ca-certificates') {
      await builder.take(files);
      continue;
    }
    const certificates = [...(await builder.peek(files))].sort(([a], [b]) => (a < b ? -1 : 1));
    const text = certificates.map(([, contents]) => `${Buffer.from(contents).toString().trimEnd()}\n`).join('');
    builder.addFile(CA_BUNDLE, 0o644, Buffer.from(text));
  }
  await builder.takeLibrariesOf(node);
}

async function addApp(builder: RootBuilder, inputs: LayerInputs): Promise<BundledModule[]> {
  const { root, image, architecture, version } = inputs;
  builder.addFile('/usr/share/doc/weft/LICENSE', 0o644, readFileSync(join(root, 'LICENSE')));
  // Bundles are ES modules.
  if (image.launchers.length > 0) builder.addFile(`${BUNDLES_DIRECTORY}/package.json`, 0o644, Buffer.from('{"type":"module"}\n'));
  const modules = new Map<string, BundledModule>();
  for (const launcher of image.launchers) {
    builder.addFile(launcher.path, 0o755, await compileLauncher(root, launcher, architecture), launcher.capabilities);
    for (const path of bundleFiles(root, bundleSource(launcher))) {
      builder.addFile(`${posix.dirname(bundlePath(launcher))}/${posix.basename(path)}`, 0o644, readFileSync(join(root, path)));
      for (const module of bundledModules(root, path)) modules.set(`${module.name}@${module.version}`, module);
    }
  }
  for (const { path, mode, source } of image.files) {
    const contents = 'text' in source ? Buffer.from(source.text.replaceAll('{version}', version)) : await cniPlugin(root, architecture);
    builder.addFile(path, mode, contents);
    if ('made' in source) for (const module of bundledModules(root, PLUGIN_BUNDLE)) modules.set(`${module.name}@${module.version}`, module);
  }
  for (const { path, source } of image.scripts ?? []) {
    const bundle = bundleScript(root, source);
    builder.addFile(path, 0o644, bundle.contents);
    for (const module of bundle.modules) modules.set(`${module.name}@${module.version}`, module);
  }
  const sorted = [...modules.values()].sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1));
  if (sorted.length > 0) builder.addFile('/usr/share/doc/weft/NOTICES', 0o644, Buffer.from(noticesText(sorted)));
  return sorted;
}

function addLink(builder: RootBuilder, path: string, target: string): void {
  builder.add(path, { type: 'symlink', path: posix.normalize(path), mode: 0o777, target });
}
