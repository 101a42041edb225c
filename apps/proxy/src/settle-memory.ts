// SPDX-License-Identifier: Apache-2.0
/*
 * Gives memory back when the process has nothing to do. V8 leaves the garbage of the start and of a burst where it is until the heap grows
 * again, which in an idle sidecar is never: one compacting collection frees 3 of 21 MiB after the start and 5 of 27 MiB after a burst, for a pause
 * of about 30 ms (docs/performance.md). So it happens only while the event loop is idle, and only if the heap has grown since.
 */
import { performance, type EventLoopUtilization } from 'node:perf_hooks';

/** Where the collector looks and what it does; a parameter for tests. */
export interface MemoryProbe {
  /** Share of the time since the last call that the event loop was busy, from 0 to 1. */
  busyShare(): number;
  /** Bytes that the heap holds, garbage and free pages included. */
  heapBytes(): number;
  nowMs(): number;
  /** Collects all garbage and compacts. */
  collect(): void;
}

/** A loop busier than this has clients that would feel the pause. */
const MAX_BUSY_SHARE = 0.02;
const MIN_GROWTH_BYTES = 2 * 1024 * 1024;
/** Bounds what collections can cost a process with a trickle of traffic: 30 ms a minute is 0.05 % of a core. */
const MIN_INTERVAL_MS = 60_000;
const CHECK_MS = 5_000;

/** Decides at each check whether to collect now. */
export class MemorySettler {
  private readonly probe: MemoryProbe;
  private settledBytes = 0;
  private settledAtMs = Number.NEGATIVE_INFINITY;

  constructor(probe: MemoryProbe) {
    this.probe = probe;
  }

  /** Returns whether it collected. */
  check(): boolean {
    const { probe } = this;
    const isBusy = probe.busyShare() > MAX_BUSY_SHARE;
    if (isBusy || probe.nowMs() - this.settledAtMs < MIN_INTERVAL_MS) return false;
    if (probe.heapBytes() - this.settledBytes < MIN_GROWTH_BYTES) return false;
    probe.collect();
    this.settledAtMs = probe.nowMs();
    this.settledBytes = probe.heapBytes();
    return true;
  }
}

/** Checks from now on. Does nothing unless Node runs with `--expose-gc`. Does not keep the process alive. */
export function settleMemory(): void {
  const collectGarbage = globalThis.gc;
  if (collectGarbage === undefined) return;
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  const settler = new MemorySettler({
    busyShare: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    heapBytes: () => {
      // Buffers are outside the heap, and V8 is in no hurry about them.
      const { heapTotal, arrayBuffers } = process.memoryUsage();
      return heapTotal + arrayBuffers;
    },
    nowMs: () => performance.now(),
    // A usual major collection frees no page: only this flavour compacts.
    collect: () => collectGarbage({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
  });
  setInterval(() => settler.check(), CHECK_MS).unref();
}
