// SPDX-License-Identifier: Apache-2.0
/*
 * Deadlines for many connections on one timer: handshakes, connects, detection, idle eviction. Deadlines are rounded up to a tick,
 * those of one tick share a bucket, and the one timer is set to the earliest bucket only. With nothing pending there is no timer,
 * so an idle process sleeps (design §3).
 */
import { performance } from 'node:perf_hooks';
import { reportInternalError } from './config.ts';

/** Below this many empty buckets, looking for them costs more than it frees. */
const MIN_EMPTY_BUCKETS = 64;

interface Bucket {
  readonly dueMs: number;
  readonly handles: (TimerHandle | undefined)[];
  pending: number;
}

/** A scheduled call. */
export class TimerHandle {
  private readonly wheel: TimerWheel;
  private readonly bucket: Bucket;
  private readonly index: number;
  private callback: (() => void) | undefined;

  /** Made by `TimerWheel.schedule`. */
  constructor(wheel: TimerWheel, bucket: Bucket, index: number, callback: () => void) {
    this.wheel = wheel;
    this.bucket = bucket;
    this.index = index;
    this.callback = callback;
  }

  /** The call will not come. May be called at any time, also again. */
  cancel(): void {
    if (this.callback === undefined) return;
    this.callback = undefined;
    this.bucket.handles[this.index] = undefined;
    this.wheel.cancelled(this.bucket);
  }

  /** Called by the wheel. */
  run(): void {
    const { callback } = this;
    this.callback = undefined;
    if (callback === undefined) return;
    try {
      callback();
    } catch (error) {
      reportInternalError('timer', error);
    }
  }
}

/** Coarse deadlines with O(1) cancel. */
export class TimerWheel {
  private readonly tickMs: number;
  private readonly buckets: Map<number, Bucket> = new Map();
  /** Binary heap by `dueMs`; emptied buckets leave it lazily. */
  private heap: Bucket[] = [];
  private emptyBuckets = 0;
  private timer: NodeJS.Timeout | undefined = undefined;
  private timerDueMs = 0;

  /** Deadlines are up to `tickMs` late. */
  constructor(tickMs: number) {
    if (!(tickMs >= 1)) throw new RangeError(`tickMs must be at least 1, got ${tickMs}`);
    this.tickMs = tickMs;
  }

  /** Deadlines that have neither run nor been cancelled. */
  get pending(): number {
    let pending = 0;
    for (const bucket of this.buckets.values()) pending += bucket.pending;
    return pending;
  }

  /** Calls `callback` once, `delayMs` from now or up to a tick later. A throw in it is counted and hurts nobody. */
  schedule(delayMs: number, callback: () => void): TimerHandle {
    const dueMs = Math.ceil((performance.now() + Math.max(0, delayMs)) / this.tickMs) * this.tickMs;
    let bucket = this.buckets.get(dueMs);
    if (bucket === undefined) {
      bucket = { dueMs, handles: [], pending: 0 };
      this.buckets.set(dueMs, bucket);
      this.push(bucket);
    }
    const handle = new TimerHandle(this, bucket, bucket.handles.length, callback);
    bucket.handles.push(handle);
    bucket.pending += 1;
    if (this.timer === undefined || dueMs < this.timerDueMs) this.arm(dueMs);
    return handle;
  }

  /** Called by handles. */
  cancelled(bucket: Bucket): void {
    bucket.pending -= 1;
    if (bucket.pending > 0) return;
    // A bucket that is running right now is no longer in the map.
    if (this.buckets.get(bucket.dueMs) !== bucket) return;
    this.buckets.delete(bucket.dueMs);
    bucket.handles.length = 0;
    this.emptyBuckets += 1;
    if (this.buckets.size === 0) {
      this.heap = [];
      this.emptyBuckets = 0;
      clearTimeout(this.timer);
      this.timer = undefined;
    } else if (this.emptyBuckets >= MIN_EMPTY_BUCKETS && this.emptyBuckets * 2 > this.heap.length) {
      this.heap = [];
      this.emptyBuckets = 0;
      for (const live of this.buckets.values()) this.push(live);
    }
  }

  private arm(dueMs: number): void {
    clearTimeout(this.timer);
    this.timerDueMs = dueMs;
    this.timer = setTimeout(() => this.fire(), Math.max(1, Math.ceil(dueMs - performance.now())));
  }

  private fire(): void {
    this.timer = undefined;
    const nowMs = performance.now();
    for (;;) {
      const first = this.heap[0];
      if (first === undefined) return;
      if (first.pending === 0) {
        this.pop();
        this.emptyBuckets -= 1;
      } else if (first.dueMs <= nowMs) {
        this.pop();
        this.buckets.delete(first.dueMs);
        for (const handle of first.handles) handle?.run();
      } else {
        // A callback may have armed the timer for something later than this.
        if (this.timer === undefined || first.dueMs < this.timerDueMs) this.arm(first.dueMs);
        return;
      }
    }
  }

  private push(bucket: Bucket): void {
    const { heap } = this;
    let at = heap.length;
    heap.push(bucket);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((heap[parent] as Bucket).dueMs <= bucket.dueMs) break;
      heap[at] = heap[parent] as Bucket;
      at = parent;
    }
    heap[at] = bucket;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop() as Bucket;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Bucket).dueMs < (heap[child] as Bucket).dueMs) child += 1;
      if ((heap[child] as Bucket).dueMs >= last.dueMs) break;
      heap[at] = heap[child] as Bucket;
      at = child;
    }
    heap[at] = last;
  }
}

/** The thread's shared deadlines, with a tick of 20 ms. */
export const deadlines: TimerWheel = new TimerWheel(20);
