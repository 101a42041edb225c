// SPDX-License-Identifier: Apache-2.0
/*
 * The product on a cluster, as a user puts it there: images from `npm run images`, then what `weft install` prints, applied. Nothing here knows what
 * the charts hold; it waits for whatever Deployments and DaemonSets came with them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand, type CommandOptions, type CommandResult } from './command.ts';
import type { Kube } from './kube.ts';
import type { KubeObject } from './objects.ts';

const ROOT = join(import.meta.dirname, '../../..');
const CLI = join(ROOT, 'apps/cli/dist/main.js');
const IMAGES = join(ROOT, 'dist/images');
export const MESH_NAMESPACE = 'linkerd';
/** Images of a mesh without CNI plugin. */
const MESH_IMAGES: readonly ImageName[] = ['proxy', 'controller'];

export type ImageName = 'proxy' | 'controller' | 'cni' | 'debug' | 'demo';

export interface MeshOptions {
  /** Flags of `weft install`: `['--ha']`, `['--set', 'proxy.defaultInboundPolicy=deny']`. */
  readonly args?: readonly string[];
  /** Besides the proxy's and the control plane's. */
  readonly images?: readonly ImageName[];
  readonly log?: (line: string) => void;
}

/** As image platforms name it. */
const architecture = (): string => (process.arch === 'x64' ? 'amd64' : process.arch);

/** The version of images and charts. */
export function meshVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { readonly version: string }).version;
}

/** The archive that `npm run images` makes of an image for this machine. Throws where it has not. */
export function imageArchive(name: ImageName): string {
  const path = join(IMAGES, `${name}-${meshVersion()}-${architecture()}.tar`);
  if (!existsSync(path)) throw new Error(`there is no ${path}: npm run images`);
  return path;
}

/** The archives of all images that have been built for this machine. */
export function builtImageArchives(): readonly string[] {
  const ending = `-${meshVersion()}-${architecture()}.tar`;
  return existsSync(IMAGES) ? readdirSync(IMAGES).flatMap((file) => (file.endsWith(ending) ? [join(IMAGES, file)] : [])) : [];
}

/** Runs the built CLI against the cluster. Its status is in the result. */
export async function weft(kube: Kube, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return runCommand([process.execPath, CLI, '--kubeconfig', kube.cluster.kubeconfig, ...args], options);
}

/** Whether a control plane is there, whole. */
export async function hasMesh(kube: Kube): Promise<boolean> {
  const deployments = await kube
    .in(MESH_NAMESPACE)
    .list<KubeObject & { readonly status?: { readonly availableReplicas?: number } }>('deployments');
  return deployments.length > 0 && deployments.every(({ status }) => (status?.availableReplicas ?? 0) > 0);
}

/** Loads the images and installs custom resource definitions and control plane; resolves when every workload of it runs. */
export async function installMesh(kube: Kube, { args = [], images = [], log }: MeshOptions = {}): Promise<void> {
  await kube.cluster.loadImages([...new Set([...MESH_IMAGES, ...images])].map(imageArchive));
  log?.('images loaded');
  await kube.apply(await printed(kube, ['install', '--crds', '--set', 'installGatewayAPI=true']));
  await kube.kubectl(['wait', 'crd', '--all', '--for=condition=Established', '--timeout=60s']);
  log?.('custom resource definitions served');
  await kube.apply(await printed(kube, ['install', ...args]));
  await meshReady(kube);
  log?.('control plane ready');
}

/** Waits until every workload of a namespace runs in its newest version. */
export async function meshReady(kube: Kube, namespace: string = MESH_NAMESPACE): Promise<void> {
  const mesh = kube.in(namespace);
  for (const kind of ['deployment', 'daemonset'])
    for (const { metadata } of await mesh.list(kind)) await mesh.rollout(`${kind}/${metadata.name}`);
}

/** Deletes what `weft uninstall` prints, and waits until it is gone. */
export async function uninstallMesh(kube: Kube, args: readonly string[] = []): Promise<void> {
  await kube.remove(await printed(kube, ['uninstall', ...args]));
}

/** What a command of the CLI prints. Throws where it fails. */
export async function printed(kube: Kube, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await weft(kube, args);
  if (code !== 0) throw new Error(`weft ${args.join(' ')} ended with ${code}: ${stderr.trim()}`);
  return stdout;
}
