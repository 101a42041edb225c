// SPDX-License-Identifier: Apache-2.0
/*
 * Debian packages by the lock (debian.lock.json): every one with its version, its place in the archive and its checksum, for both architectures.
 * Downloads are verified and kept in the cache. A mirror drops a version when the next point release comes; then the snapshot archive has it.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Architecture, type TarEntry, readTar } from '@weft/oci';
import { cacheDirectory, writeWhole } from './cache.ts';

/** One package of the lock. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: Architecture;
  /** `debian` or `debian-security`. */
  readonly archive: string;
  /** Path below the archive's root. */
  readonly path: string;
  readonly sha256: string;
  /** Names of the shared libraries in the library directory. */
  readonly libraries: readonly string[];
}

/** The lock file. */
export interface DebianLock {
  /** Debian's release. */
  readonly suite: string;
  /** Moment of the snapshot archive that has all versions, `20261123T000000Z`. */
  readonly snapshot: string;
  readonly packages: readonly LockedPackage[];
}

/** A package's contents. */
export interface DebianContents {
  readonly locked: LockedPackage;
  /** Entries by absolute path, `/bin`, `/sbin` and `/lib` moved into `/usr`. */
  readonly entries: ReadonlyMap<string, TarEntry>;
  /** The control paragraph. */
  readonly control: string;
}

/** Something that the lock or the archive lacks, or that differs from it. */
export class DebianPackageError extends Error {
  override name = 'DebianPackageError';
}

const MIRROR = process.env['WEFT_DEBIAN_MIRROR'] ?? 'http://deb.debian.org';
const SNAPSHOT = 'https://snapshot.debian.org/archive';

/** Path of the package's file in the cache, downloaded where it is absent. Throws DebianPackageError. */
export async function fetchPackage(locked: LockedPackage, snapshot: string): Promise<string> {
  const path = join(cacheDirectory(), 'debian', `${locked.sha256.slice(0, 16)}-${locked.path.slice(locked.path.lastIndexOf('/') + 1)}`);
  if (existsSync(path)) return path;
  const problems: string[] = [];
  for (const url of [`${MIRROR}/${locked.archive}/${locked.path}`, `${SNAPSHOT}/${locked.archive}/${snapshot}/${locked.path}`]) {
    try {
      const response = await fetch(url);
      if (!response.ok) {
        problems.push(`${url}: ${response.status}`);
        continue;
      }
      const bytes = Buffer.from(await response.arrayBuffer());
      const digest = createHash('sha256').update(bytes).digest('hex');
      if (digest !== locked.sha256) throw new DebianPackageError(`${url} has the checksum ${digest}; the lock says ${locked.sha256}`);
      writeWhole(path, bytes);
      return path;
    } catch (error) {
      if (error instanceof DebianPackageError) throw error;
      problems.push(`${url}: ${(error as Error).message}`);
    }
  }
  throw new DebianPackageError(
    `cannot download ${locked.name} ${locked.version}: ${problems.join('; ')}. If Debian has a newer version, run \`npm run images -- --update-lock\`.`,
  );
}

/** Reads a package. Needs `dpkg-deb`. */
export async function readPackage(locked: LockedPackage, snapshot: string): Promise<DebianContents> {
  const path = await fetchPackage(locked, snapshot);
  const archive = dpkgDeb(['--fsys-tarfile', path]);
  const entries = new Map<string, TarEntry>();
  for (const entry of readTar(archive)) {
    const merged = mergedPath(`/${entry.path}`);
    // The directories `/bin` and `/lib` themselves are links in the base.
    if (merged !== undefined) entries.set(merged, { ...entry, path: merged.slice(1) });
  }
  return { locked, entries, control: dpkgDeb(['--field', path]).toString() };
}

/** Reads the lock. */
export function readLock(path: string): DebianLock {
  return JSON.parse(readFileSync(path, 'utf8')) as DebianLock;
}

/** A path with `/bin/x`, `/sbin/x`, `/lib/x`, `/lib64/x` moved into `/usr`; undefined for these directories themselves. */
export function mergedPath(path: string): string | undefined {
  const match = /^\/(bin|sbin|lib|lib64)(\/.*)?$/.exec(path);
  if (match === null) return path;
  return match[2] === undefined ? undefined : `/usr${path}`;
}

function dpkgDeb(args: readonly string[]): Buffer {
  try {
    return execFileSync('dpkg-deb', args, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new DebianPackageError('dpkg-deb is not installed: `apt-get install dpkg` (on other systems, the package dpkg)', {
      cause: error,
    });
  }
}
