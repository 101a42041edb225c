// SPDX-License-Identifier: Apache-2.0
/*
 * A directory of manifests as a source of resources: what its files say is applied to a store in memory, what components write lives in
 * that store beside it. Like an API server it gives uid, resourceVersion and age, labels namespaces, defaults, prunes and validates. Two
 * things differ on purpose: a file may carry `status` (there is no other way to state it) and `metadata.creationTimestamp` (so that age
 * survives a restart).
 */
import { customKinds } from '../kinds/registry.ts';
import { localSource } from '../local-source.ts';
import type { LocalSource } from '../local-source.ts';
import { createObjectStore } from '../memory-source.ts';
import type { LocalSourceOptions } from '../memory-source.ts';
import { readCustomTypes } from '../schema/custom-type-files.ts';
import { openType } from '../store/resource-type.ts';
import { DirectoryReader } from './directory-reader.ts';
import { DirectoryWatcher } from './directory-watcher.ts';
import type { ManifestProblem } from './manifest-set.ts';

/** Named limits and times of a directory source. */
export const DIRECTORY_DEFAULTS: {
  readonly maxFiles: number;
  readonly maxFileBytes: number;
  readonly debounceMs: number;
  readonly settleMs: number;
  readonly pollMs: number;
  readonly fallbackPollMs: number;
} = { maxFiles: 10_000, maxFileBytes: 16 * 1024 * 1024, debounceMs: 20, settleMs: 50, pollMs: 10_000, fallbackPollMs: 1000 };

/** The part of a logger that a directory source uses. */
export interface DirectoryLog {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What a directory source is made of. */
export interface DirectorySourceOptions extends LocalSourceOptions {
  /** Searched in depth for `.yaml`, `.yml` and `.json` files; names that begin with a dot are passed over. */
  readonly directory: string;
  /** Definitions of the custom kinds (the chart's `files`). Without it the registered custom kinds are served without schema. */
  readonly crdDirectory?: string;
  /** Namespaces that are always there, besides `default`. */
  readonly namespaces?: readonly string[];
  /** Called for each fault that is new or has changed; the file's last good state stays in force. */
  readonly onProblem?: (problem: ManifestProblem) => void;
  /** Called with a file (relative path) that had faults and has none any more. */
  readonly onHealed?: (file: string) => void;
  readonly log?: DirectoryLog;
  readonly maxFiles?: number;
  readonly maxFileBytes?: number;
  /** Changes within this many milliseconds are taken together. */
  readonly debounceMs?: number;
  /** A file written less than this many milliseconds ago is read later, for it may be half written. */
  readonly settleMs?: number;
  /** Milliseconds between looks while the kernel tells of changes, and while it does not. */
  readonly pollMs?: number;
  readonly fallbackPollMs?: number;
}

/** A source over a directory. */
export interface DirectorySource extends LocalSource {
  /** Faults that stand. */
  problems(): readonly ManifestProblem[];
  /** Reads what has changed now, however fresh, and resolves when it is in force. */
  rescan(): Promise<void>;
}

/** Opens a directory; resolves when all files have been read. Rejects when it cannot be read, or the definitions cannot. */
export async function createDirectorySource(options: DirectorySourceOptions): Promise<DirectorySource> {
  const settings = { ...DIRECTORY_DEFAULTS, ...definedOf(options) };
  const types =
    options.crdDirectory === undefined ? customKinds.map((kind) => openType(kind)) : (await readCustomTypes(options.crdDirectory)).types;
  const store = createObjectStore(options, types);
  const namespaces = [...new Set(['default', ...(options.namespaces ?? [])])];
  for (const name of namespaces)
    store.create({ group: '', version: 'v1', kind: 'Namespace' }, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });

  // Loaded here, since a process that reads from a cluster should not pay for a YAML parser (1.1 MB of private memory).
  const { ManifestSet } = await import('./manifest-set.ts');
  const manifests = new ManifestSet(store, namespaces);
  const reader = new DirectoryReader(options.directory, settings);
  const unreadable = new Map<string, string>();
  // One look at a time, whoever asks.
  let queue: Promise<boolean> = Promise.resolve(false);

  function reportProblem(problem: ManifestProblem): void {
    options.log?.warn('a manifest is not in force', { ...problem });
    options.onProblem?.(problem);
  }

  function reportHealed(file: string): void {
    options.log?.info('a manifest is in force again', { file });
    options.onHealed?.(file);
  }

  function reportUnreadable(found: ReadonlyMap<string, string>, gone: ReadonlyMap<string, string | undefined>): void {
    for (const [file, reason] of found) {
      if (unreadable.get(file) !== reason) reportProblem({ file, line: 1, reason });
      unreadable.set(file, reason);
    }
    for (const file of unreadable.keys()) {
      if (found.has(file) || !gone.has(file)) continue;
      unreadable.delete(file);
      reportHealed(file);
    }
  }

  /** Whether to look again soon. */
  async function look(settleMs: number): Promise<boolean> {
    const changes = await reader.read(Date.now(), settleMs);
    reportUnreadable(changes.unreadable, changes.texts);
    if (changes.texts.size > 0) {
      const report = manifests.update(changes.texts);
      for (const problem of report.problems) reportProblem(problem);
      for (const file of report.healed) reportHealed(file);
    }
    return changes.isUnsettled;
  }

  function enqueue(settleMs: number): Promise<boolean> {
    queue = queue.catch(() => false).then(() => look(settleMs));
    return queue;
  }

  await enqueue(0);
  const watcher = new DirectoryWatcher(options.directory, settings, async () => {
    try {
      if (await enqueue(settings.settleMs)) watcher.poke(settings.settleMs);
    } catch (error) {
      options.log?.warn('cannot read the directory of manifests', { directory: options.directory, error: String(error) });
    }
  });

  return {
    ...localSource(store, async () => {
      watcher.close();
      await queue.catch(() => false);
    }),
    problems: () => [...manifests.problems, ...[...unreadable].map(([file, reason]) => ({ file, line: 1, reason }))],
    rescan: async () => {
      await enqueue(0);
    },
  };
}

/** The options that are set, so that an undefined one does not hide its default. */
function definedOf(options: DirectorySourceOptions): Partial<typeof DIRECTORY_DEFAULTS> {
  return Object.fromEntries(Object.entries(options).filter(([key, value]) => key in DIRECTORY_DEFAULTS && value !== undefined));
}
