// SPDX-License-Identifier: Apache-2.0
/*
 * The process's byte budget (design §3): memory in use against the cgroup's limit. Above one mark connections buffer little and new HTTP/2
 * connections get small windows; above the next, new requests and connections are shed: a proxy at its limit answers 503, it is not killed.
 * Sampled when a request or a connection asks and on for a while, so an idle process reads nothing.
 */

/** Memory is read so often while somebody asks; one reading costs about 50 µs. */
const SAMPLE_MS = 100;
/** And after so many questions: a burst can take on much within SAMPLE_MS. Less often while there is plenty. */
const ASKS_PER_SAMPLE = 32;
const ASKS_PER_SAMPLE_IN_PLENTY = 256;
/** Of the limit: below, there is plenty. */
const PLENTY_RATIO = 0.4;
/** Sampling goes on for so long after the last question: what was admitted then fills its buffers now. */
const WATCH_MS = 5000;
/** Of the limit: above, connections hold little. */
const TIGHT_RATIO = 0.6;
/** Of the limit: above, new requests and connections are refused. What is under way may still grow by the rest. */
const EXHAUSTED_RATIO = 0.8;
/** Between two collections of garbage above either mark: each stops the process for about 30 ms. */
const COLLECT_MS = 2000;
const COLLECT_EXHAUSTED_MS = 300;

export interface MemoryBudgetOptions {
  /** Infinity = no limit. */
  readonly limitBytes: number;
  readonly now: () => number;
  readonly readPrivateBytes: () => number;
  /** Calls back later, for sampling on. Without it sampling needs questions. */
  readonly after?: (ms: number, callback: () => void) => () => void;
  /** The first mark was crossed, either way. */
  readonly onTight?: (isTight: boolean) => void;
  /** Gives back what is garbage. */
  readonly collect?: () => void;
}

export class MemoryBudget {
  readonly limitBytes: number;
  /** Refused for want of memory. */
  shedRequests = 0;
  shedConnections = 0;
  private readonly options: MemoryBudgetOptions;
  private sampledMs = Number.NEGATIVE_INFINITY;
  private collectedMs = Number.NEGATIVE_INFINITY;
  private askedMs = Number.NEGATIVE_INFINITY;
  private isWatching = false;
  private wasTight = false;
  private bytes = 0;
  private asks = 0;

  constructor(options: MemoryBudgetOptions) {
    this.options = options;
    this.limitBytes = options.limitBytes;
  }

  /** Memory in use at the last sample. */
  get privateBytes(): number {
    return this.bytes;
  }

  /** Whether new connections should promise little. */
  isTight(): boolean {
    return this.ask() > this.limitBytes * TIGHT_RATIO;
  }

  /** Whether nothing new should be taken on. */
  isExhausted(): boolean {
    return this.ask() > this.limitBytes * EXHAUSTED_RATIO;
  }

  private ask(): number {
    if (this.limitBytes === Number.POSITIVE_INFINITY) return 0;
    const nowMs = this.options.now();
    this.askedMs = nowMs;
    this.asks += 1;
    const isPlenty = this.bytes < this.limitBytes * PLENTY_RATIO;
    const isDue = this.asks >= (isPlenty ? ASKS_PER_SAMPLE_IN_PLENTY : ASKS_PER_SAMPLE);
    if (isDue || nowMs - this.sampledMs >= SAMPLE_MS) this.sample(nowMs);
    if (!this.isWatching) this.watch();
    return this.bytes;
  }

  private sample(nowMs: number): void {
    const { readPrivateBytes, onTight, collect } = this.options;
    this.sampledMs = nowMs;
    this.asks = 0;
    this.bytes = readPrivateBytes();
    const waitMs = this.bytes > this.limitBytes * EXHAUSTED_RATIO ? COLLECT_EXHAUSTED_MS : COLLECT_MS;
    if (collect !== undefined && this.bytes > this.limitBytes * TIGHT_RATIO && nowMs - this.collectedMs >= waitMs) {
      this.collectedMs = nowMs;
      collect();
      this.bytes = readPrivateBytes();
    }
    const isTight = this.bytes > this.limitBytes * TIGHT_RATIO;
    if (isTight === this.wasTight) return;
    this.wasTight = isTight;
    onTight?.(isTight);
  }

  private watch(): void {
    const { after, now } = this.options;
    if (after === undefined) return;
    this.isWatching = true;
    after(SAMPLE_MS, () => {
      this.isWatching = false;
      const nowMs = now();
      if (nowMs - this.sampledMs >= SAMPLE_MS) this.sample(nowMs);
      if (nowMs - this.askedMs < WATCH_MS || this.wasTight) this.watch();
    });
  }
}
