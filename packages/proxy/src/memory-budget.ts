// SPDX-License-Identifier: Apache-2.0
/*
 * The process's byte budget (design §3): private memory against the cgroup's limit. Above one mark new HTTP/2 connections get small windows,
 * above the next new requests are shed: a proxy at its limit answers 503, it is not killed. Sampled when a request asks, at most every
 * SAMPLE_MS, so an idle process reads nothing.
 */
import { readFileSync } from 'node:fs';

/** Private memory is read at most this often; one reading costs about 15 µs. */
const SAMPLE_MS = 100;
/** Of the limit: above, new connections get small windows. */
const TIGHT_RATIO = 0.7;
/** Of the limit: above, new requests are refused. */
const EXHAUSTED_RATIO = 0.9;

export interface MemoryBudgetOptions {
  /** Infinity = no limit. */
  readonly limitBytes: number;
  readonly now: () => number;
  readonly readPrivateBytes: () => number;
}

export class MemoryBudget {
  readonly limitBytes: number;
  private readonly options: MemoryBudgetOptions;
  private sampledMs = Number.NEGATIVE_INFINITY;
  private bytes = 0;

  constructor(options: MemoryBudgetOptions) {
    this.options = options;
    this.limitBytes = options.limitBytes;
  }

  /** Private memory at the last sample. */
  get privateBytes(): number {
    return this.bytes;
  }

  /** Whether new connections should promise little. */
  isTight(): boolean {
    return this.sample() > this.limitBytes * TIGHT_RATIO;
  }

  /** Whether nothing new should be taken on. */
  isExhausted(): boolean {
    return this.sample() > this.limitBytes * EXHAUSTED_RATIO;
  }

  private sample(): number {
    if (this.limitBytes === Number.POSITIVE_INFINITY) return 0;
    const nowMs = this.options.now();
    if (nowMs - this.sampledMs >= SAMPLE_MS) {
      this.sampledMs = nowMs;
      this.bytes = this.options.readPrivateBytes();
    }
    return this.bytes;
  }
}

/** Where a container finds its own limit: cgroup v2, then v1. */
const LIMIT_FILES = ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'];
/** Limits of v1 that mean none. */
const UNLIMITED_BYTES = 2 ** 60;

/** The memory limit of this process's cgroup in bytes; Infinity where there is none or it cannot be read. */
export function readMemoryLimit(files: readonly string[] = LIMIT_FILES): number {
  for (const file of files) {
    try {
      const bytes = Number(readFileSync(file, 'latin1').trim());
      return Number.isFinite(bytes) && bytes > 0 && bytes < UNLIMITED_BYTES ? bytes : Number.POSITIVE_INFINITY;
    } catch {
      // Another cgroup version, or none.
    }
  }
  return Number.POSITIVE_INFINITY;
}

const PAGE_BYTES = 4096;

/** Resident pages that no file backs, from /proc/self/statm. 0 where it cannot be read. */
export function readPrivateBytes(): number {
  try {
    const [, resident, shared] = readFileSync('/proc/self/statm', 'latin1').split(' ');
    return (Number(resident) - Number(shared)) * PAGE_BYTES;
  } catch {
    return 0;
  }
}
