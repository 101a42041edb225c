// SPDX-License-Identifier: Apache-2.0
/*
 * A directory of the host, seen through the mount of the installer's container. Files appear and change whole or not at all: content goes
 * to a hidden file beside the target, then takes its name. What a crash leaves behind is hidden files, which `sweep` removes.
 */
import { chmod, chown, lstat, open, readdir, readFile, readlink, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Ends the names of files that are being written. */
const UNFINISHED = '.weft-install';
/** Links to links, at most. */
const MAX_LINKS = 8;

/** A file as it was read. */
export interface HostFile {
  /** Path in this container, links followed. */
  readonly path: string;
  readonly text: string;
}

/** Where a file of the host is in this container; `prefix` is where the host's tree is mounted. */
export function containerPath(prefix: string, hostPath: string): string {
  return join(prefix === '' ? '/' : prefix, hostPath);
}

/** Names in a directory, sorted; none when it does not exist. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Reads a file, following links as the host would. Undefined when there is none (any more), or when it is no file. */
export async function readHostFile(prefix: string, path: string): Promise<HostFile | undefined> {
  try {
    const target = await followLinks(prefix, path);
    if (target === undefined || !(await stat(target)).isFile()) return undefined;
    return { path: target, text: await readFile(target, 'utf8') };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The file behind links: an absolute one names a path of the host, so the mount's prefix goes before it. */
async function followLinks(prefix: string, path: string): Promise<string | undefined> {
  let at = path;
  for (let count = 0; count < MAX_LINKS; count++) {
    if (!(await lstat(at)).isSymbolicLink()) return at;
    const target = await readlink(at);
    at = target.startsWith('/') ? containerPath(prefix, target) : join(dirname(at), target);
  }
  return undefined;
}

/** How to write. */
export interface WriteOptions {
  /** Permissions of a new file, and of an old one unless it `keeps` its own. */
  readonly mode: number;
  /** Owner and permissions of the file that is there are kept. */
  readonly keeps?: boolean;
  /** Write only if the file still has this content (undefined: if there is none); false is returned otherwise. */
  readonly unlessChangedFrom?: { readonly text: string | undefined };
}

/** Writes a file whole or not at all. False when somebody else changed it first. */
export async function writeWhole(path: string, content: string | Uint8Array, options: WriteOptions): Promise<boolean> {
  const unfinished = join(dirname(path), `.${basename(path)}${UNFINISHED}`);
  try {
    const file = await open(unfinished, 'w', options.mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    const old = options.keeps === true ? await stat(path).catch(() => undefined) : undefined;
    // The mode at creation is cut by the umask.
    await chmod(unfinished, old === undefined ? options.mode : old.mode & 0o7777);
    // Without CAP_CHOWN another owner than our own cannot be kept; a runtime reads the file all the same.
    if (old !== undefined) await chown(unfinished, old.uid, old.gid).catch(() => undefined);
    if (options.unlessChangedFrom !== undefined) {
      const now = await readFile(path, 'utf8').catch(() => undefined);
      if (now !== options.unlessChangedFrom.text) return false;
    }
    await rename(unfinished, path);
    return true;
  } finally {
    await rm(unfinished, { force: true });
  }
}

/** Removes a file; fine if it is not there. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
}

/** Removes what earlier writers left unfinished. */
export async function sweep(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    if (name.startsWith('.') && name.endsWith(UNFINISHED)) await removeFile(join(directory, name));
  }
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
}
