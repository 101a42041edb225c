// SPDX-License-Identifier: Apache-2.0
/*
 * Splits a stream of bytes into lines, for watch answers (one JSON object a line). Sans-I/O; bytes are decoded a whole line at a time, so
 * a character that is cut between chunks is safe.
 */
import { Buffer } from 'node:buffer';

const NEWLINE = 0x0a;

/** Collects bytes until a newline. */
export class LineSplitter {
  private readonly maxLineBytes: number;
  private parts: Buffer[] = [];
  private pendingBytes = 0;

  constructor(maxLineBytes: number) {
    this.maxLineBytes = maxLineBytes;
  }

  /** The lines that `chunk` completes, or undefined when a line is longer than allowed; the stream is then of no more use. */
  push(chunk: Buffer): readonly string[] | undefined {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      if (this.pendingBytes + end - start > this.maxLineBytes) return undefined;
      const last = chunk.subarray(start, end);
      lines.push(this.parts.length === 0 ? last.toString('utf8') : Buffer.concat([...this.parts, last]).toString('utf8'));
      this.parts = [];
      this.pendingBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      const rest = chunk.subarray(start);
      this.parts.push(rest);
      this.pendingBytes += rest.length;
    }
    return this.pendingBytes > this.maxLineBytes ? undefined : lines;
  }
}
