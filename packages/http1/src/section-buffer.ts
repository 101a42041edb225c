// SPDX-License-Identifier: Apache-2.0
/*
 * Where a head or trailer section that comes in several reads is gathered. Exists only while such a section is open, never
 * grows beyond the section's limit, and is freed with it.
 */
import { Buffer } from 'node:buffer';

/** Sections mostly fit after the second read. */
const FIRST_BYTES = 1024;

export class SectionBuffer {
  bytes: Buffer;
  length = 0;
  private readonly maxBytes: number;

  /** `maxBytes`: never hold more than this. */
  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
    this.bytes = Buffer.allocUnsafeSlow(Math.min(FIRST_BYTES, maxBytes));
  }

  /** Copies from `chunk[start, end)` what the limit has room for; returns how many bytes that were. */
  append(chunk: Uint8Array, start: number, end: number): number {
    const taken = Math.min(end - start, this.maxBytes - this.length);
    const needed = this.length + taken;
    if (needed > this.bytes.length) {
      const bigger = Buffer.allocUnsafeSlow(Math.min(this.maxBytes, Math.max(needed, this.bytes.length * 2)));
      bigger.set(this.bytes.subarray(0, this.length));
      this.bytes = bigger;
    }
    this.bytes.set(chunk.subarray(start, start + taken), this.length);
    this.length = needed;
    return taken;
  }
}
