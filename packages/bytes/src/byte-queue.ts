// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes that wait: body data that a flow-control window or a slow peer holds back. Chunks are copies (a view would pin, or
 * be overwritten with, the read buffer it points into), taken in order and possibly in parts. A chunk goes back to where it came from as soon as it
 * is empty: fresh ones for every read of a bulk transfer are garbage that V8 sees late, as it is outside its heap.
 */
import { Buffer } from 'node:buffer';
import { type BufferSource, type ByteWriter, heapBuffers } from './byte-writer.ts';

/** Small pieces are gathered into chunks of this size, so that a drip of tiny writes costs no object each. */
const CHUNK_BYTES = 4096;
/** Stands for a chunk that was given back. */
const RELEASED: Buffer = Buffer.alloc(0);

/** FIFO of owned bytes. */
export class ByteQueue {
  /** Bytes waiting. */
  length = 0;
  private chunks: Buffer[] = [];
  private headIndex = 0;
  private headOffset = 0;
  private tailUsed = 0;
  private readonly source: BufferSource;

  constructor(source: BufferSource = heapBuffers) {
    this.source = source;
  }

  /** Appends a copy of `chunk[start, end)`. */
  push(chunk: Uint8Array, start: number, end: number): void {
    let bytes = end - start;
    if (bytes === 0) return;
    this.length += bytes;
    const tail = this.chunks.length > this.headIndex ? (this.chunks[this.chunks.length - 1] as Buffer) : undefined;
    if (tail !== undefined) {
      const room = Math.min(bytes, tail.length - this.tailUsed);
      if (room > 0) {
        tail.set(chunk.subarray(start, start + room), this.tailUsed);
        this.tailUsed += room;
        start += room;
        bytes -= room;
      }
    }
    if (bytes > 0) {
      const fresh = this.source.acquire(Math.max(bytes, CHUNK_BYTES));
      fresh.set(chunk.subarray(start, end), 0);
      this.chunks.push(fresh);
      this.tailUsed = bytes;
    }
  }

  /** Moves up to `maxBytes` into `writer`; returns how many moved. */
  moveTo(writer: ByteWriter, maxBytes: number): number {
    let moved = 0;
    while (moved < maxBytes && this.length > 0) {
      const head = this.chunks[this.headIndex] as Buffer;
      const headEnd = this.headIndex === this.chunks.length - 1 ? this.tailUsed : head.length;
      const bytes = Math.min(maxBytes - moved, headEnd - this.headOffset);
      writer.writeBytes(head, this.headOffset, this.headOffset + bytes);
      this.advance(bytes, headEnd);
      moved += bytes;
    }
    return moved;
  }

  /** Drops everything. */
  clear(): void {
    for (let i = this.headIndex; i < this.chunks.length; i++) this.source.release(this.chunks[i] as Buffer);
    this.chunks = [];
    this.headIndex = 0;
    this.headOffset = 0;
    this.tailUsed = 0;
    this.length = 0;
  }

  private advance(bytes: number, headEnd: number): void {
    this.headOffset += bytes;
    this.length -= bytes;
    if (this.length === 0) {
      this.clear();
    } else if (this.headOffset === headEnd) {
      this.source.release(this.chunks[this.headIndex] as Buffer);
      this.chunks[this.headIndex] = RELEASED;
      this.headIndex += 1;
      this.headOffset = 0;
      if (this.headIndex > 16 && this.headIndex * 2 > this.chunks.length) {
        this.chunks.splice(0, this.headIndex);
        this.headIndex = 0;
      }
    }
  }
}
