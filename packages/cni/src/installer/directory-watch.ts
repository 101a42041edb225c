// SPDX-License-Identifier: Apache-2.0
/*
 * Told of every change in a directory, also after it was removed and made again. The kernel's events come at once; a slow look every few
 * seconds finds what they cannot tell: that the directory itself is another one now.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';

/** Between two slow looks, in milliseconds. */
export const RECHECK_MS = 5000;

/** A watch that is open. */
export interface DirectoryWatch {
  close(): void;
}

/** Calls `onChange` for changes in `directory`, and at every slow look; never inside this call. */
export function watchDirectory(directory: string, onChange: (isRecheck: boolean) => void, recheckMs: number = RECHECK_MS): DirectoryWatch {
  let watcher: FSWatcher | undefined;
  let watched = '';

  const open = (): void => {
    const identity = identityOf(directory);
    if (watcher !== undefined && identity === watched) return;
    watcher?.close();
    watcher = undefined;
    watched = identity;
    if (identity === '') return;
    try {
      watcher = watch(directory, () => onChange(false));
      // Gone: the next slow look opens another.
      watcher.on('error', () => (watched = ''));
    } catch {
      watched = '';
    }
  };

  open();
  const timer = setInterval(() => {
    open();
    onChange(true);
  }, recheckMs);
  return {
    close: () => {
      clearInterval(timer);
      watcher?.close();
    },
  };
}

/** What tells a directory from another of its name; '' when there is none. */
function identityOf(directory: string): string {
  const stats = statSync(directory, { throwIfNoEntry: false });
  return stats?.isDirectory() === true ? `${stats.dev}:${stats.ino}` : '';
}
