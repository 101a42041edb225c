// SPDX-License-Identifier: Apache-2.0
/*
 * Output buffers that live from the first byte of a turn to the completion of its write. A fresh buffer per write doubled CPU and
 * p99 (design §3), so buffers come in power-of-two classes and go back to a free list. What a class did not need between two
 * sweeps is dropped, so a burst does not leave its memory behind; the sweep stops when nothing is retained.
 */
import { Buffer } from 'node:buffer';
import type { BufferSource } from '@weft/bytes';
import type { PoolStats } from './options.ts';

const MIN_CLASS_BITS = 12;
const MAX_CLASS_BITS = 18;
const SMALLEST_BYTES: number = 1 << MIN_CLASS_BITS;
/** Larger requests are served by plain allocation and never retained. */
const LARGEST_BYTES: number = 1 << MAX_CLASS_BITS;

/** Limits of a pool. */
export interface BufferPoolOptions {
  /**
   * Free buffers kept at most, in bytes; what is above becomes garbage, which V8 collects late as it is outside its heap. So this is as much as a
   * busy proxy borrows, and the sweep is what gives memory back. Default 16 MiB.
   */
  readonly maxRetainedBytes?: number;
  /** How often unused buffers are dropped. Default 5,000 ms. */
  readonly sweepMs?: number;
}

interface SizeClass {
  readonly free: Buffer[];
  /** The fewest free buffers since the last sweep: so many were never needed. */
  leastFree: number;
}

/** Power-of-two free lists from 4 KiB to 256 KiB. */
export class BufferPool implements BufferSource {
  private readonly classes: SizeClass[] = [];
  private readonly maxRetainedBytes: number;
  private readonly sweepMs: number;
  private sweepTimer: NodeJS.Timeout | undefined = undefined;
  private retainedBytes = 0;
  private borrowedBytes = 0;
  private hitsTotal = 0;
  private missesTotal = 0;

  constructor(options: BufferPoolOptions = {}) {
    this.maxRetainedBytes = options.maxRetainedBytes ?? 16 * 1024 * 1024;
    this.sweepMs = options.sweepMs ?? 5_000;
    for (let bits = MIN_CLASS_BITS; bits <= MAX_CLASS_BITS; bits++) this.classes.push({ free: [], leastFree: 0 });
  }

  acquire(minBytes: number): Buffer {
    if (minBytes > LARGEST_BYTES) {
      // Rounded up, so that a writer that keeps growing does not reallocate for every few bytes.
      const large = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(minBytes)));
      this.borrowedBytes += large.length;
      this.missesTotal += 1;
      return large;
    }
    const index = minBytes <= SMALLEST_BYTES ? 0 : 32 - Math.clz32(minBytes - 1) - MIN_CLASS_BITS;
    const sizeClass = this.classes[index] as SizeClass;
    const bytes = SMALLEST_BYTES << index;
    this.borrowedBytes += bytes;
    const buffer = sizeClass.free.pop();
    if (buffer === undefined) {
      this.missesTotal += 1;
      return Buffer.allocUnsafeSlow(bytes);
    }
    this.hitsTotal += 1;
    this.retainedBytes -= bytes;
    if (sizeClass.free.length < sizeClass.leastFree) sizeClass.leastFree = sizeClass.free.length;
    return buffer;
  }

  release(buffer: Buffer): void {
    const bytes = buffer.length;
    if (bytes < SMALLEST_BYTES) return;
    this.borrowedBytes -= bytes;
    if (bytes > LARGEST_BYTES || this.retainedBytes + bytes > this.maxRetainedBytes) return;
    const index = 31 - Math.clz32(bytes) - MIN_CLASS_BITS;
    (this.classes[index] as SizeClass).free.push(buffer);
    this.retainedBytes += bytes;
    if (this.sweepTimer === undefined) {
      this.sweepTimer = setTimeout(() => this.sweep(), this.sweepMs);
      this.sweepTimer.unref();
    }
  }

  /** Drops what was not needed since the last sweep. Public for tests; a timer calls it. */
  sweep(): void {
    this.sweepTimer = undefined;
    for (let index = 0; index < this.classes.length; index++) {
      const sizeClass = this.classes[index] as SizeClass;
      const dropped = sizeClass.free.splice(0, sizeClass.leastFree).length;
      this.retainedBytes -= dropped * (SMALLEST_BYTES << index);
      sizeClass.leastFree = sizeClass.free.length;
    }
    if (this.retainedBytes > 0) {
      this.sweepTimer = setTimeout(() => this.sweep(), this.sweepMs);
      this.sweepTimer.unref();
    }
  }

  stats(): PoolStats {
    return {
      retainedBytes: this.retainedBytes,
      borrowedBytes: this.borrowedBytes,
      hitsTotal: this.hitsTotal,
      missesTotal: this.missesTotal,
    };
  }
}

/** The pool that all streams of this thread write through; codecs' own writers may use it too. */
export const bufferPool: BufferPool = new BufferPool();

/** Occupancy of `bufferPool`. */
export function poolStats(): PoolStats {
  return bufferPool.stats();
}
