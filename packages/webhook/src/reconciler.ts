// SPDX-License-Identifier: Apache-2.0
/*
 * Runs one piece of work again and again: when woken, when a time has passed, and after a failure with growing pauses. Runs never overlap;
 * wakes during a run give one more run. Runs that follow one another at once are slowed down, so that two writers who undo each other's
 * work do not keep an API server busy.
 */

export interface ReconcilerOptions {
  /** Longest time between two runs. Milliseconds. */
  readonly recheckMs: number;
  /** Told of each failure. */
  readonly onError: (error: Error, retryMs: number) => void;
}

/** First pause after a failure, doubled each time. Milliseconds. */
const MIN_RETRY_MS = 200;
const MAX_RETRY_MS = 30_000;
/** Runs that may follow each other at once; one more is earned each second. */
const BURST_RUNS = 20;
const RUN_EVERY_MS = 1_000;

export class Reconciler {
  private readonly work: () => Promise<void>;
  private readonly options: ReconcilerOptions;
  private timer: NodeJS.Timeout | undefined;
  private isRunning = false;
  private isWoken = false;
  private retryMs = 0;
  private allowance = BURST_RUNS;
  private allowedAtMs: number = performance.now();
  private hasClosed = false;

  constructor(work: () => Promise<void>, options: ReconcilerOptions) {
    this.work = work;
    this.options = options;
  }

  get isClosed(): boolean {
    return this.hasClosed;
  }

  /** There may be something to do. */
  wake(): void {
    this.isWoken = true;
    if (!this.isRunning && this.retryMs === 0) this.schedule(this.pauseMs());
  }

  close(): void {
    this.hasClosed = true;
    clearTimeout(this.timer);
  }

  private schedule(delayMs: number): void {
    if (this.hasClosed) return;
    clearTimeout(this.timer);
    // The run reports its own failures.
    this.timer = setTimeout(() => void this.run(), delayMs);
    this.timer.unref();
  }

  private async run(): Promise<void> {
    this.isRunning = true;
    this.isWoken = false;
    this.allowance -= 1;
    let delayMs = this.options.recheckMs;
    try {
      await this.work();
      this.retryMs = 0;
    } catch (error) {
      this.retryMs = Math.min(MAX_RETRY_MS, Math.max(MIN_RETRY_MS, this.retryMs * 2));
      delayMs = this.retryMs;
      if (!this.hasClosed) this.options.onError(error instanceof Error ? error : new Error(String(error)), delayMs);
    }
    this.isRunning = false;
    if (this.retryMs === 0 && this.isWoken) delayMs = this.pauseMs();
    this.schedule(delayMs);
  }

  private pauseMs(): number {
    const nowMs = performance.now();
    this.allowance = Math.min(BURST_RUNS, this.allowance + (nowMs - this.allowedAtMs) / RUN_EVERY_MS);
    this.allowedAtMs = nowMs;
    return this.allowance >= 1 ? 0 : (1 - this.allowance) * RUN_EVERY_MS;
  }
}
