// SPDX-License-Identifier: Apache-2.0
/*
 * How an image is described: as data, from which the archive (build-image.ts) and the Dockerfile (dockerfile.ts) are both made. Paths are absolute
 * paths in the image, with `/bin`, `/sbin` and `/lib` merged into `/usr`; `{lib}` stands for the architecture's library directory
 * (`/usr/lib/x86_64-linux-gnu`).
 */
import type { Architecture, CapabilityName } from '@weft/oci';

/** Files taken from one Debian package. Shared libraries that they need come by themselves. */
export interface DebianFiles {
  readonly package: string;
  /** Paths; `*` matches within a name, `**` over any number of directories. Each must match something. */
  readonly take: readonly string[];
}

/** An executable that starts Node with a bundle. */
export interface Launcher {
  readonly path: string;
  /** Folder in apps/. */
  readonly app: string;
  /** The bundle's name in the app's dist. Files there that it imports by a relative path come along. */
  readonly bundle: string;
  /** Arguments before those given, a sub-command for example. */
  readonly leadingArguments?: readonly string[];
  /** Capabilities that the file carries, and hands on to Node and to the commands that Node starts. */
  readonly capabilities?: readonly CapabilityName[];
}

/** A text, or something that is built for the image. */
export interface PlainFile {
  readonly path: string;
  readonly mode: number;
  readonly source: { readonly text: string } | { readonly made: 'cni-plugin' };
}

/** A JavaScript file of the repository, put into the image as one file with all modules that it imports. */
export interface Script {
  readonly path: string;
  /** Relative to the repository. */
  readonly source: string;
}

/** One image. */
export interface ImageDescription {
  /** Last part of the reference: `ghcr.io/weft-mesh/<name>`. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Numeric `uid:gid`. */
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command?: readonly string[];
  /** Default: `/`. */
  readonly workingDirectory?: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly hasNode: boolean;
  readonly debian: readonly DebianFiles[];
  /** Symbolic links, path → target. */
  readonly links: Readonly<Record<string, string>>;
  /** Capabilities of Debian's executables, by path. */
  readonly fileCapabilities: Readonly<Record<string, readonly CapabilityName[]>>;
  readonly launchers: readonly Launcher[];
  readonly scripts?: readonly Script[];
  readonly files: readonly PlainFile[];
}

/** Where Node is in every image. */
export const NODE_PATH = '/usr/lib/weft/node';

/** Search path of every image. */
export const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Debian's name of an architecture's library directory. */
export const LIBRARY_DIRECTORIES: Readonly<Record<Architecture, string>> = {
  amd64: '/usr/lib/x86_64-linux-gnu',
  arm64: '/usr/lib/aarch64-linux-gnu',
};

/** All architectures that images are made for. */
export const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];

/** Where all bundles are. The executables beside it have the same names as some apps. */
export const BUNDLES_DIRECTORY = '/usr/lib/weft/bundles';

/** Where a bundle is in the image. */
export function bundlePath(launcher: Launcher): string {
  return `${BUNDLES_DIRECTORY}/${launcher.app}/${launcher.bundle}`;
}

/** Names of an image's layers, lowest first. */
export function layerNames(image: ImageDescription): string[] {
  return ['base', ...(image.hasNode ? ['node'] : []), ...(image.debian.length > 0 ? ['tools'] : []), 'app'];
}
