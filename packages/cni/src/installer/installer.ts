// SPDX-License-Identifier: Apache-2.0
/*
 * Installing the plugin on a node and keeping it there (proxy-contract §10.3). `ensure` makes everything as it should be, from whatever
 * state: executable first, then kubeconfig, then our entry in every network configuration, so that no configuration ever names a plugin
 * that cannot work. `remove` undoes it in the opposite order. Both may be cut off anywhere and run again.
 */
import type { Buffer } from 'node:buffer';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Logger } from '@weft/telemetry';
import { addEntry, type FileEdit, isConversionOf, isNetworkFile, removeEntry } from './conflist.ts';
import { containerPath, namesIn, readHostFile, removeFile, sweep, writeWhole } from './host-directory.ts';
import { KUBECONFIG_MODE, kubeconfigText } from './kubeconfig.ts';
import { LIBRARY_DIR_PREFIX, makePortable, type PortableExecutable } from './portable-executable.ts';
import type { InstallerSettings } from './settings.ts';

const EXECUTABLE_MODE = 0o755;
/** CNI configurations hold no secrets. */
const CONFIGURATION_MODE = 0o644;
/** Somebody who writes one file all the time could hold us up for ever. */
const MAX_WRITE_ATTEMPTS = 10;

/** What one `ensure` did. */
export interface EnsureOutcome {
  /** Names of the configurations that were written. */
  readonly written: readonly string[];
  /** Configurations that have the entry. */
  readonly chainedCount: number;
}

/** One node's installation. */
export class Installer {
  private readonly settings: InstallerSettings;
  private readonly logger: Logger;
  readonly netDir: string;
  readonly binDir: string;
  /** What is wrong with files of others, so that it is said once. */
  private readonly reported = new Map<string, string>();
  /** Of the executable as this process has seen or written it; -1 before. */
  private installedBytes = -1;

  constructor(settings: InstallerSettings, logger: Logger) {
    this.settings = settings;
    this.logger = logger;
    this.netDir = containerPath(settings.mountPrefix, settings.netDir);
    this.binDir = containerPath(settings.mountPrefix, settings.binDir);
  }

  /** Makes everything as it should be; changes nothing that already is. Rejects when the host cannot be written to. */
  async ensure(): Promise<EnsureOutcome> {
    await this.ensureExecutable();
    await this.ensureKubeconfig();
    return this.ensureEntries();
  }

  /** Removes what crashes of earlier runs left unfinished. */
  async sweep(): Promise<void> {
    await sweep(this.netDir);
    await sweep(this.binDir);
  }

  /** Takes everything away: entries first, so that no configuration names a plugin that is gone. Rejects at the first failure. */
  async remove(): Promise<void> {
    for (const name of (await namesIn(this.netDir)).filter(isNetworkFile)) {
      await this.edit(name, (text) => removeEntry(text, this.settings.entry.type));
    }
    await removeFile(join(this.netDir, this.settings.kubeconfigName));
    await removeFile(join(this.binDir, this.settings.entry.type));
    await this.removeLibraries('');
    await this.sweep();
    this.logger.info('Plugin removed from this node');
  }

  private async ensureExecutable(): Promise<void> {
    const { entry, sourceDir, sourceName } = this.settings;
    const source = join(sourceDir, sourceName);
    const target = join(this.binDir, entry.type);
    const present = await stat(target).catch(() => undefined);
    const isExecutable = present !== undefined && present.isFile() && (present.mode & 0o111) === 0o111;
    // Contents are compared at each start only: they are large, and nobody edits an executable in place.
    if (isExecutable && present.size === this.installedBytes) return;
    const { content, libraryDir } = await this.writeLibraries(await readFile(source));
    if (!isExecutable || present.size !== content.length || !(await readFile(target)).equals(content)) {
      await writeWhole(target, content, { mode: EXECUTABLE_MODE });
      this.logger.info('Executable installed', { path: join(this.settings.binDir, entry.type) });
    }
    await this.removeLibraries(libraryDir);
    this.installedBytes = content.length;
    // Two or three times a hundred megabytes were read; this process lives on for weeks and needs a tenth of one of them.
    setImmediate(() => (globalThis as { gc?: () => void }).gc?.());
  }

  /** Puts what the executable needs to start beside it; returns it as it has to be written. */
  private async writeLibraries(executable: Buffer): Promise<PortableExecutable> {
    const libraries = await Promise.all(
      this.settings.libraries.map(async (path) => ({ name: basename(path), content: await readFile(path) })),
    );
    const portable = makePortable(executable, libraries, this.settings.binDir);
    if (portable.libraryDir === '') return portable;
    const directory = join(this.binDir, portable.libraryDir);
    await mkdir(directory, { recursive: true });
    for (const { name, content } of libraries) {
      const path = join(directory, name);
      const present = await readFile(path).catch(() => undefined);
      if (present?.equals(content) !== true) await writeWhole(path, content, { mode: EXECUTABLE_MODE });
    }
    return portable;
  }

  /** Of other builds than the one to keep. */
  private async removeLibraries(kept: string): Promise<void> {
    for (const name of await namesIn(this.binDir)) {
      if (name.startsWith(LIBRARY_DIR_PREFIX) && name !== kept) await rm(join(this.binDir, name), { recursive: true, force: true });
    }
  }

  /** Also called when the token changes. */
  async ensureKubeconfig(): Promise<void> {
    const { server, caFile, serviceAccountDir, kubeconfigName } = this.settings;
    const [ca, token] = await Promise.all([
      readFile(caFile, 'utf8').catch(() => undefined),
      readFile(join(serviceAccountDir, 'token'), 'utf8'),
    ]);
    const path = join(this.netDir, kubeconfigName);
    const wanted = kubeconfigText({ server, ca, token: token.trim() });
    const present = await stat(path).catch(() => undefined);
    const isPrivate = present !== undefined && (present.mode & 0o777) === KUBECONFIG_MODE;
    if (isPrivate && (await readFile(path, 'utf8')) === wanted) return;
    await writeWhole(path, wanted, { mode: KUBECONFIG_MODE });
    this.logger.info('Kubeconfig written', { path: join(this.settings.netDir, kubeconfigName) });
  }

  /** Only the entries: all that counts when a configuration has appeared or changed. */
  async ensureEntries(): Promise<EnsureOutcome> {
    const written: string[] = [];
    let chainedCount = 0;
    for (const name of (await namesIn(this.netDir)).filter(isNetworkFile)) {
      const edit = await this.edit(name, (text, names) => addEntry(name, text, this.settings.entry, names));
      if (edit.kind === 'rewrite' || edit.kind === 'replace') written.push(edit.kind === 'replace' ? edit.name : name);
      if (edit.kind !== 'problem') chainedCount += 1;
    }
    return { written, chainedCount };
  }

  /** Reads a configuration, decides, and carries it out unless somebody else was faster; then again. */
  private async edit(name: string, decide: (text: string, names: ReadonlySet<string>) => FileEdit): Promise<FileEdit> {
    for (let attempt = 0; attempt < MAX_WRITE_ATTEMPTS; attempt++) {
      const path = join(this.netDir, name);
      const file = await readHostFile(this.settings.mountPrefix, path);
      if (file === undefined)
        return this.problem(name, 'it is no file that can be read from here (a link to outside of the directory?)', path);
      const edit = decide(file.text, await this.foreignNames(name));
      if (edit.kind === 'problem') return this.problem(name, edit.reason, path);
      this.reported.delete(name);
      if (edit.kind === 'none') return edit;
      if (edit.kind === 'rewrite') {
        const options = { mode: CONFIGURATION_MODE, keeps: true, unlessChangedFrom: { text: file.text } };
        if (!(await writeWhole(file.path, edit.text, options))) continue;
      } else {
        const { mode } = await stat(file.path);
        const target = join(this.netDir, edit.name);
        if (!edit.keepsNewer || (await readHostFile(this.settings.mountPrefix, target)) === undefined) {
          await writeWhole(target, edit.text, { mode: mode & 0o7777 });
        }
        // Between the two writes both are there, and the older name sorts first: what held before holds until the new one is complete.
        if ((await readHostFile(this.settings.mountPrefix, path))?.text !== file.text) continue;
        await removeFile(path);
      }
      this.logger.info('Network configuration written', { file: name, ...(edit.kind === 'replace' ? { now: edit.name } : {}) });
      return edit;
    }
    return this.problem(name, 'somebody else rewrites it all the time', join(this.netDir, name));
  }

  /** All names, but for the conflist that an earlier, unfinished conversion of this file left behind. */
  private async foreignNames(name: string): Promise<ReadonlySet<string>> {
    const names = new Set(await namesIn(this.netDir));
    const made = await readHostFile(this.settings.mountPrefix, join(this.netDir, `${name}list`));
    if (made !== undefined && isConversionOf(made.text, name)) names.delete(`${name}list`);
    return names;
  }

  /** Said once per file and reason; a file that has just gone is nothing to say. */
  private async problem(name: string, reason: string, path: string): Promise<FileEdit> {
    if (this.reported.get(name) !== reason && (await namesIn(this.netDir)).includes(name)) {
      this.reported.set(name, reason);
      this.logger.warn('Network configuration left alone: pods that it serves are not meshed', { file: path, reason });
    }
    return { kind: 'problem', reason };
  }
}
