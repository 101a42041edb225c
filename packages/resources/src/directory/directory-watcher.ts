// SPDX-License-Identifier: Apache-2.0
/*
 * Says when a directory may have changed: by the kernel's word where it gives one, and by looking every so often, since that word can be
 * missing (network file systems, exhausted watches) or lost.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';

/** How often to look. */
export interface WatcherTiming {
  /** Changes within this time of the first are taken together. */
  readonly debounceMs: number;
  /** Between looks while the kernel tells of changes. */
  readonly pollMs: number;
  /** Between looks while it does not. */
  readonly fallbackPollMs: number;
}

/** Calls `look` after changes and now and then, never twice at a time, until closed. `look` handles its own errors. */
export class DirectoryWatcher {
  private readonly timing: WatcherTiming;
  private readonly look: () => Promise<void>;
  private readonly watcher: FSWatcher | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isLooking = false;
  private isWanted = false;
  private isClosed = false;
  private hasKernelEvents: boolean;

  constructor(directory: string, timing: WatcherTiming, look: () => Promise<void>) {
    this.timing = timing;
    this.look = look;
    this.watcher = this.open(directory);
    this.hasKernelEvents = this.watcher !== undefined;
    this.schedule(this.pollMs);
  }

  /** Looks soon. */
  poke(delayMs: number = this.timing.debounceMs): void {
    this.schedule(delayMs);
  }

  close(): void {
    this.isClosed = true;
    this.watcher?.close();
    clearTimeout(this.timer);
  }

  private get pollMs(): number {
    return this.hasKernelEvents ? this.timing.pollMs : this.timing.fallbackPollMs;
  }

  private open(directory: string): FSWatcher | undefined {
    try {
      const watcher = watch(directory, { recursive: true, persistent: false }, () => this.poke());
      watcher.on('error', () => {
        this.hasKernelEvents = false;
        this.poke();
      });
      return watcher;
    } catch {
      // Polling alone finds the changes.
      return undefined;
    }
  }

  private schedule(delayMs: number): void {
    if (this.isClosed) return;
    if (this.isLooking) {
      this.isWanted = true;
      return;
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), delayMs);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    this.isLooking = true;
    this.isWanted = false;
    await this.look();
    this.isLooking = false;
    this.schedule(this.isWanted ? this.timing.debounceMs : this.pollMs);
  }
}
