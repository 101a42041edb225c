// SPDX-License-Identifier: Apache-2.0
/*
 * Collects the files of an image, layer by layer: files of Debian packages with the shared libraries that they need, links, texts. What an earlier
 * layer has does not come again. For every package that gives a file there is its copyright, and its entry in `/var/lib/dpkg/status.d`, where scanners
 * for known weaknesses look.
 */
import { posix } from 'node:path';
import {
  type Architecture,
  CAPABILITY_XATTR,
  type CapabilityName,
  ELF_MACHINES,
  type TarEntry,
  encodeFileCapabilities,
  isElf,
  readElf,
} from '@weft/oci';
import { type DebianContents, type DebianLock, DebianPackageError, type LockedPackage, mergedPath, readPackage } from './debian-package.ts';
import { type DebianFiles, LIBRARY_DIRECTORIES } from './description.ts';

/** Permission bits that an image's files may have: neither set-user-ID nor set-group-ID. */
const PERMISSIONS = 0o777;

/** An image's root directory in the making. */
export class RootBuilder {
  private readonly architecture: Architecture;
  private readonly lock: DebianLock;
  private readonly earlier = new Map<string, TarEntry>();
  private layer = new Map<string, TarEntry>();
  private readonly packages = new Map<string, Promise<DebianContents>>();
  private readonly used = new Map<string, LockedPackage>();
  /** ELF files whose libraries are not resolved yet. */
  private unresolved: TarEntry[] = [];

  constructor(architecture: Architecture, lock: DebianLock) {
    this.architecture = architecture;
    this.lock = lock;
  }

  /** Debian packages that gave at least one file. */
  usedPackages(): LockedPackage[] {
    return [...this.used.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** `{lib}` replaced. */
  expand(path: string): string {
    return path.replaceAll('{lib}', LIBRARY_DIRECTORIES[this.architecture]);
  }

  /** Adds an entry; `path` is absolute. */
  add(path: string, entry: TarEntry): void {
    const relative = path.slice(1);
    this.layer.set(path, { ...entry, path: relative });
    if (entry.type === 'file' && isElf(entry.contents)) this.unresolved.push({ ...entry, path: relative });
  }

  /** Adds a file. */
  addFile(path: string, mode: number, contents: Uint8Array, capabilities: readonly CapabilityName[] = []): void {
    const xattrs = { [CAPABILITY_XATTR]: encodeFileCapabilities({ permitted: capabilities, isEffective: true }) };
    this.add(path, { type: 'file', path, mode, contents, ...(capabilities.length > 0 ? { xattrs } : {}) });
  }

  /** Gives capabilities to a file of this layer. */
  setCapabilities(path: string, capabilities: readonly CapabilityName[]): void {
    const entry = this.layer.get(path);
    if (entry?.type !== 'file') throw new DebianPackageError(`${path} is to carry capabilities, but is no file of this layer`);
    this.addFile(path, entry.mode, entry.contents, capabilities);
  }

  /** Adds files of a package. Throws DebianPackageError for a pattern that matches nothing. */
  async take(files: DebianFiles): Promise<void> {
    const contents = await this.read(this.locate(files.package));
    for (const pattern of files.take) {
      const matches = globMatcher(this.expand(pattern));
      const paths = [...contents.entries].filter(([path, entry]) => entry.type !== 'directory' && matches(path)).map(([path]) => path);
      if (paths.length === 0) throw new DebianPackageError(`${files.package} ${contents.locked.version} has no ${this.expand(pattern)}`);
      for (const path of paths) this.takeOne(contents, path);
    }
  }

  /** Contents of a package's files, without adding any. */
  async peek(files: DebianFiles): Promise<Map<string, Uint8Array>> {
    const contents = await this.read(this.locate(files.package));
    const found = new Map<string, Uint8Array>();
    for (const pattern of files.take) {
      const matches = globMatcher(this.expand(pattern));
      for (const [path, entry] of contents.entries) if (entry.type === 'file' && matches(path)) found.set(path, entry.contents);
    }
    this.used.set(contents.locked.name, contents.locked);
    return found;
  }

  /** Adds the libraries and the loader of an executable that itself comes in a later layer. */
  async takeLibrariesOf(executable: Buffer): Promise<void> {
    this.unresolved.push({ type: 'file', path: 'node', mode: 0o755, contents: executable });
    await this.resolveLibraries();
  }

  /** Ends the layer: resolves libraries, adds the packages' own papers. Returns its entries; the next call of `add` starts another layer. */
  async finishLayer(): Promise<TarEntry[]> {
    await this.resolveLibraries();
    for (const locked of this.usedPackages()) await this.addPapers(locked);
    const entries = [...this.layer.values()];
    for (const [path, entry] of this.layer) this.earlier.set(path, entry);
    this.layer = new Map();
    return entries;
  }

  private has(path: string): boolean {
    return this.layer.has(path) || this.earlier.has(path);
  }

  private takeOne(contents: DebianContents, path: string): void {
    if (this.has(path)) return;
    const entry = contents.entries.get(path);
    if (entry === undefined) throw new DebianPackageError(`${contents.locked.name} has no ${path}`);
    this.used.set(contents.locked.name, contents.locked);
    this.add(path, { ...entry, mode: entry.mode & PERMISSIONS, uid: 0, gid: 0 });
    if (entry.type !== 'symlink') return;
    const target = mergedPath(posix.resolve(posix.dirname(path), entry.target));
    // A link into another package is only of use where that package comes, too.
    if (target !== undefined && contents.entries.get(target) !== undefined) this.takeOne(contents, target);
  }

  private async resolveLibraries(): Promise<void> {
    for (let entry = this.unresolved.pop(); entry !== undefined; entry = this.unresolved.pop()) {
      if (entry.type !== 'file') continue;
      const { machine, needed, interpreter } = readElf(entry.contents);
      if (machine !== ELF_MACHINES[this.architecture])
        throw new DebianPackageError(`/${entry.path} is for the ELF machine ${machine}, not for ${this.architecture}`);
      const names = interpreter === undefined ? needed : [...needed, posix.basename(interpreter)];
      for (const name of names) await this.addLibrary(name, entry.path);
      if (interpreter !== undefined) await this.addInterpreter(interpreter);
    }
  }

  private async addLibrary(name: string, wantedBy: string): Promise<void> {
    const path = `${LIBRARY_DIRECTORIES[this.architecture]}/${name}`;
    if (this.has(path)) return;
    const locked = this.lock.packages.find(({ architecture, libraries }) => architecture === this.architecture && libraries.includes(name));
    if (locked === undefined)
      throw new DebianPackageError(`/${wantedBy} needs ${name}, which no package of the lock has for ${this.architecture}`);
    this.takeOne(await this.read(locked), path);
  }

  /** The loader's well-known path is a link beside the library directory. */
  private async addInterpreter(interpreter: string): Promise<void> {
    const path = mergedPath(interpreter) ?? interpreter;
    const name = posix.basename(interpreter);
    const locked = this.lock.packages.find(({ architecture, libraries }) => architecture === this.architecture && libraries.includes(name));
    if (locked !== undefined) this.takeOne(await this.read(locked), path);
  }

  private async addPapers(locked: LockedPackage): Promise<void> {
    const status = `/var/lib/dpkg/status.d/${locked.name}`;
    if (this.has(status)) return;
    const { control, entries } = await this.read(locked);
    this.addFile(status, 0o644, Buffer.from(control.replace(/^(Package: .*\n)/, '$1Status: install ok installed\n')));
    const directory = `/usr/share/doc/${locked.name}`;
    const link = entries.get(directory);
    if (link?.type === 'symlink') {
      this.add(directory, { ...link, uid: 0, gid: 0 });
      await this.addCopyright(await this.read(this.locate(link.target)));
    } else await this.addCopyright(await this.read(locked));
  }

  private async addCopyright(contents: DebianContents): Promise<void> {
    const path = `/usr/share/doc/${contents.locked.name}/copyright`;
    const entry = contents.entries.get(path);
    this.used.set(contents.locked.name, contents.locked);
    if (this.has(path)) return;
    if (entry?.type === 'file') this.addFile(path, 0o644, entry.contents);
    else if (entry?.type !== 'symlink') throw new DebianPackageError(`${contents.locked.name} has no copyright file`);
    else {
      // `../libfoo-dev/copyright`: the text itself is in another package of the same source.
      const owner = posix.basename(posix.dirname(posix.resolve(posix.dirname(path), entry.target)));
      this.add(path, { ...entry, uid: 0, gid: 0 });
      await this.addCopyright(await this.read(this.locate(owner)));
    }
  }

  private locate(name: string): LockedPackage {
    const locked = this.lock.packages.find((candidate) => candidate.name === name && candidate.architecture === this.architecture);
    if (locked === undefined)
      throw new DebianPackageError(`the lock has no ${name} for ${this.architecture}; run \`npm run images -- --update-lock\``);
    return locked;
  }

  private read(locked: LockedPackage): Promise<DebianContents> {
    let contents = this.packages.get(locked.name);
    if (contents === undefined) {
      contents = readPackage(locked, this.lock.snapshot);
      this.packages.set(locked.name, contents);
    }
    return contents;
  }
}

/** `*` within a name, `**` over directories. */
export function globMatcher(pattern: string): (path: string) => boolean {
  const expression = pattern
    .split(/(\*\*|\*)/)
    .map((part) => (part === '**' ? '.*' : part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('');
  const compiled = new RegExp(`^${expression}$`);
  return (path) => compiled.test(path);
}
