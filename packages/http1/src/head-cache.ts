// SPDX-License-Identifier: Apache-2.0
/*
 * The last head of a connection. Clients and servers repeat themselves: where the bytes of a head equal those of the one
 * before, comparing them costs a tenth of decoding them, and whoever works on heads can recognise the object. Where only some
 * lines differ, the kept head is the model by which the scanner recognises the others.
 */
import { Buffer } from 'node:buffer';
import { type FieldScanner, type ModelHead, SPAN_INTS } from './field-scanner.ts';

/** Heads above this are not kept: they would cost more memory per idle connection than they save. */
const MAX_KEPT_BYTES = 2048;
/** After so many different heads in a row the connection is taken for one that does not repeat itself ... */
const PATIENCE_HEADS = 4;
/** ... and only every so many heads the kept one is replaced, so that the copies cost next to nothing. */
const REPLACE_EVERY_HEADS = 32;

const LF = 0x0a;
const NOTHING: Buffer = Buffer.alloc(0);
const NO_SPANS: Int32Array = new Int32Array(0);

export class HeadCache<Head extends { readonly fields: readonly string[] }> implements ModelHead {
  bytes: Buffer = NOTHING;
  /** Bytes of the kept head; behind a hit, that many bytes were recognised. */
  length = 0;
  spans: Int32Array = NO_SPANS;
  fieldCount = 0;
  fields: readonly string[] = [];
  differsAt = 0;
  differsInField = -1;
  /** The kept head; undefined where there is none. */
  head: Head | undefined = undefined;
  startLineBytes = 0;
  /** Distinguishes equal bytes that mean different things (a response's framing depends on the request method). */
  private context = 0;
  private missCount = 0;

  /** The kept head where `chunk[start, end)` begins with exactly its bytes; undefined otherwise. */
  match(chunk: Uint8Array, start: number, end: number, context: number): Head | undefined {
    const { length } = this;
    // Two bytes tell most different heads apart without a call.
    if (length === 0 || end - start < length || chunk[start + length - 1] !== LF || context !== this.context) return undefined;
    if (chunk[start + this.differsAt] !== this.bytes[this.differsAt]) return undefined;
    if (this.bytes.compare(chunk, start, start + length, 0, length) !== 0) return undefined;
    this.missCount = 0;
    return this.head;
  }

  /**
   * How many fields of the kept head `bytes[base, end)` begins with, its start line included; -1 where not even that is the
   * same. Tries only what was the same the last time a head differed.
   */
  matchFirstFields(bytes: Uint8Array, base: number, end: number): number {
    const count = this.differsInField;
    if (count < 0) return -1;
    const length = count === 0 ? this.startLineBytes : (this.spans[count * SPAN_INTS] as number);
    if (end - base < length || this.bytes.compare(bytes, base, base + length, 0, length) !== 0) {
      this.differsInField = -1;
      return -1;
    }
    return count;
  }

  /** Whether `bytes[base, end)` begins with the kept start line. */
  matchStartLine(bytes: Uint8Array, base: number, end: number): boolean {
    const { startLineBytes } = this;
    if (startLineBytes === 0 || end - base < startLineBytes) return false;
    const kept = this.bytes;
    for (let i = 0; i < startLineBytes; i++) {
      if (bytes[base + i] !== kept[i]) {
        this.differsAt = i;
        return false;
      }
    }
    return true;
  }

  /**
   * Keeps `head`, which `scanner` has just found in `bytes[start, end)`, unless this connection hardly repeats itself. Copies
   * the bytes.
   */
  keep(bytes: Uint8Array, start: number, end: number, startLineBytes: number, context: number, head: Head, scanner: FieldScanner): void {
    this.missCount += 1;
    if (this.missCount > PATIENCE_HEADS && this.missCount % REPLACE_EVERY_HEADS !== 0) return;
    const length = end - start;
    if (length > MAX_KEPT_BYTES) return;
    if (this.bytes.length < length) this.bytes = Buffer.allocUnsafeSlow((length + 63) & ~63);
    this.bytes.set(bytes.subarray(start, end));
    this.length = length;
    this.startLineBytes = startLineBytes;
    this.differsAt = 0;
    this.differsInField = -1;
    this.spans = scanner.save();
    this.fieldCount = scanner.fieldCount;
    this.fields = head.fields;
    this.context = context;
    this.head = head;
  }
}
