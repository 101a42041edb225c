// SPDX-License-Identifier: Apache-2.0
/*
 * The manifest files below a directory and their texts. Names that begin with a dot are passed over: editors' and version control's, and
 * the links by which Kubernetes swaps a mounted ConfigMap. A file that was written a moment ago may be half written, so it is left for
 * the next look.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** What a file looked like when it was read. */
interface Stamp {
  readonly modifiedMs: number;
  readonly bytes: number;
  readonly inode: number;
}

/** Limits of one directory. */
export interface DirectoryLimits {
  /** Files taken at most; the rest, in order of their names, is not read. */
  readonly maxFiles: number;
  /** A longer file is reported and not read. */
  readonly maxFileBytes: number;
}

/** What a look at the directory found. */
export interface DirectoryChanges {
  /** Changed files by path relative to the directory; undefined for one that is gone. */
  readonly texts: ReadonlyMap<string, string | undefined>;
  /** Files that cannot be read, and why. */
  readonly unreadable: ReadonlyMap<string, string>;
  /** Whether some files were too fresh: look again soon. */
  readonly isUnsettled: boolean;
}

const MANIFEST = /\.(ya?ml|json)$/;

/** Remembers what it has read, and reads what has changed. */
export class DirectoryReader {
  private readonly directory: string;
  private readonly limits: DirectoryLimits;
  private readonly stamps = new Map<string, Stamp>();

  constructor(directory: string, limits: DirectoryLimits) {
    this.directory = directory;
    this.limits = limits;
  }

  /** Reads files changed since the last look, but those written less than `settleMs` before `nowMs`. Rejects where the directory is gone. */
  async read(nowMs: number, settleMs: number): Promise<DirectoryChanges> {
    const texts = new Map<string, string | undefined>();
    const unreadable = new Map<string, string>();
    let isUnsettled = false;
    const names = await this.list();
    for (const name of names.slice(this.limits.maxFiles)) unreadable.set(name, `more than ${this.limits.maxFiles} manifest files`);
    const seen = new Set(names.slice(0, this.limits.maxFiles));
    for (const name of seen) {
      try {
        const outcome = await this.readOne(name, nowMs, settleMs);
        if (outcome === 'unsettled') isUnsettled = true;
        else if (outcome === 'gone') seen.delete(name);
        else if (outcome === 'too long') unreadable.set(name, `longer than ${this.limits.maxFileBytes} bytes`);
        else if (outcome !== 'same') texts.set(name, outcome.text);
      } catch (error) {
        // It keeps its last good state; the next look tries again.
        this.stamps.delete(name);
        unreadable.set(name, error instanceof Error ? error.message : String(error));
      }
    }
    for (const name of this.stamps.keys()) {
      if (seen.has(name)) continue;
      this.stamps.delete(name);
      texts.set(name, undefined);
    }
    return { texts, unreadable, isUnsettled };
  }

  private async list(): Promise<string[]> {
    const names: string[] = [];
    const walk = async (relative: string): Promise<void> => {
      const entries = await readdir(join(this.directory, relative), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
        // A folder that goes while it is read is gone; the directory itself must be there.
        if (relative !== '' && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return [];
        throw error;
      });
      for (const entry of entries) {
        if (entry.name.startsWith('.')) continue;
        const path = relative === '' ? entry.name : `${relative}/${entry.name}`;
        if (entry.isDirectory()) await walk(path);
        else if (MANIFEST.test(entry.name)) names.push(path);
      }
    };
    await walk('');
    return names.sort();
  }

  private async readOne(
    name: string,
    nowMs: number,
    settleMs: number,
  ): Promise<'same' | 'unsettled' | 'gone' | 'too long' | { readonly text: string }> {
    const path = join(this.directory, name);
    const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (stats === undefined || !stats.isFile()) return 'gone';
    const stamp: Stamp = { modifiedMs: stats.mtimeMs, bytes: stats.size, inode: stats.ino };
    const old = this.stamps.get(name);
    if (old !== undefined && old.modifiedMs === stamp.modifiedMs && old.bytes === stamp.bytes && old.inode === stamp.inode) return 'same';
    const ageMs = nowMs - stamp.modifiedMs;
    // A time in the future says nothing about the age.
    if (ageMs >= 0 && ageMs < settleMs) return 'unsettled';
    this.stamps.set(name, stamp);
    return stamp.bytes > this.limits.maxFileBytes ? 'too long' : { text: await readFile(path, 'utf8') };
  }
}
