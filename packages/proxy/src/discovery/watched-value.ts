// SPDX-License-Identifier: Apache-2.0
/* A discovered value and those who watch it (see types.ts). */
import type { Watched } from './types.ts';

export class WatchedValue<T> implements Watched<T> {
  current: T | undefined = undefined;
  /** When it was refused, on the clock of `now`. */
  failedMs: number | undefined = undefined;
  private failure: string | undefined = undefined;
  private readonly now: () => number;
  private readonly watchers = new Set<{ onValue: (value: T) => void; onFail: ((message: string) => void) | undefined }>();
  private readonly onWatchers: (count: number) => void;

  /** `onWatchers` hears how many watch, after each change. */
  constructor(now: () => number, onWatchers: (count: number) => void) {
    this.now = now;
    this.onWatchers = onWatchers;
  }

  watch(onValue: (value: T) => void, onFail?: (message: string) => void): () => void {
    const watcher = { onValue, onFail };
    this.watchers.add(watcher);
    this.onWatchers(this.watchers.size);
    if (this.failure !== undefined) onFail?.(this.failure);
    else if (this.current !== undefined) onValue(this.current);
    return () => {
      if (this.watchers.delete(watcher)) this.onWatchers(this.watchers.size);
    };
  }

  set(value: T): void {
    this.current = value;
    this.failure = undefined;
    this.failedMs = undefined;
    for (const watcher of [...this.watchers]) watcher.onValue(value);
  }

  /** Refused for good, before any value. */
  fail(message: string): void {
    if (this.current !== undefined) return;
    this.failure = message;
    this.failedMs = this.now();
    for (const watcher of [...this.watchers]) watcher.onFail?.(message);
  }
}
