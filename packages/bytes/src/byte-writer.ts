// SPDX-License-Identifier: Apache-2.0
/*
 * The one output buffer of a connection. Codecs append frames to it during a turn of the event loop; the owner hands the
 * whole buffer to the socket once per turn and gives it back to its source when the write has completed.
 */
import { Buffer } from 'node:buffer';

/** Where buffers come from and go back to. */
export interface BufferSource {
  /** A buffer of at least `minBytes`. */
  acquire(minBytes: number): Buffer;
  /** Takes back a buffer that nobody refers to any more. */
  release(buffer: Buffer): void;
}

/** Plain allocation, for tests and rare paths. */
export const heapBuffers: BufferSource = {
  acquire: (minBytes) => Buffer.allocUnsafeSlow(Math.max(minBytes, 4096)),
  release: () => {},
};

const EMPTY: Buffer = Buffer.alloc(0);

/**
 * Growable byte buffer. `buffer[0, length)` is what was written. Hot code calls `reserve(n)` once, then stores into
 * `buffer` from `length` and advances `length` itself.
 */
export class ByteWriter {
  buffer: Buffer = EMPTY;
  length = 0;
  /** Where buffers come from; what waits for this writer may come from there too. */
  readonly source: BufferSource;

  constructor(source: BufferSource = heapBuffers) {
    this.source = source;
  }

  /** Makes room for `bytes` more; `buffer` may be another object afterwards. */
  reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    this.grow(needed);
  }

  writeByte(value: number): void {
    this.reserve(1);
    this.buffer[this.length++] = value;
  }

  /** Copies `chunk[start, end)`. */
  writeBytes(chunk: Uint8Array, start: number, end: number): void {
    const bytes = end - start;
    this.reserve(bytes);
    if (bytes < 24) {
      // A short loop beats the call into native code.
      const { buffer } = this;
      let at = this.length;
      for (let i = start; i < end; i++) buffer[at++] = chunk[i] as number;
      this.length = at;
    } else {
      this.buffer.set(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end), this.length);
      this.length += bytes;
    }
  }

  /** Writes one byte per UTF-16 unit; units above 255 are truncated, so callers pass latin1 text. */
  writeLatin1(text: string): void {
    const bytes = text.length;
    this.reserve(bytes);
    if (bytes < 24) {
      const { buffer } = this;
      let at = this.length;
      for (let i = 0; i < bytes; i++) buffer[at++] = text.charCodeAt(i);
      this.length = at;
    } else {
      this.buffer.write(text, this.length, bytes, 'latin1');
      this.length += bytes;
    }
  }

  /** Hands out the buffer (valid in `[0, bytes)`) and starts afresh. The taker releases it to the source that made it. */
  take(): { buffer: Buffer; bytes: number } {
    const taken = { buffer: this.buffer, bytes: this.length };
    this.buffer = EMPTY;
    this.length = 0;
    return taken;
  }

  /** Drops what was written and gives the buffer back. */
  discard(): void {
    if (this.buffer !== EMPTY) this.source.release(this.buffer);
    this.buffer = EMPTY;
    this.length = 0;
  }

  private grow(needed: number): void {
    const bigger = this.source.acquire(this.length === 0 ? needed : Math.max(needed, this.buffer.length * 2));
    if (this.length > 0) this.buffer.copy(bigger, 0, 0, this.length);
    if (this.buffer !== EMPTY) this.source.release(this.buffer);
    this.buffer = bigger;
  }
}
