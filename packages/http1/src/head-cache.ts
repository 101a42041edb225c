// SPDX-License-Identifier: Apache-2.0
/*
 * The last head of a connection. Clients and servers repeat themselves: where the bytes of a head equal those of the one
 * before, comparing them costs a tenth of decoding them, and whoever works on heads can recognise the object.
 */
import { Buffer } from 'node:buffer';

/** Heads above this are not kept: they would cost more memory per idle connection than they save. */
const MAX_KEPT_BYTES = 2048;
/** After so many different heads in a row the connection is taken for one that does not repeat itself ... */
const PATIENCE_HEADS = 4;
/** ... and only every so many heads a new attempt is made, so that the copies cost next to nothing. */
const RETRY_EVERY_HEADS = 32;

const LF = 0x0a;
const NOTHING: Buffer = Buffer.alloc(0);

export class HeadCache<Head> {
  private bytes: Buffer = NOTHING;
  private length = 0;
  /** Distinguishes equal bytes that mean different things (a response's framing depends on the request method). */
  private context = 0;
  private head: Head | undefined = undefined;
  private missCount = 0;

  /** Bytes of the kept head; behind a hit, that many bytes were recognised. */
  get matchedBytes(): number {
    return this.length;
  }

  /** The kept head where `chunk[start, end)` begins with exactly its bytes; undefined otherwise. */
  match(chunk: Uint8Array, start: number, end: number, context: number): Head | undefined {
    const { length } = this;
    // The last byte tells most different heads apart without a call.
    if (length === 0 || end - start < length || chunk[start + length - 1] !== LF || context !== this.context) return undefined;
    if (this.bytes.compare(chunk, start, start + length, 0, length) !== 0) return undefined;
    this.missCount = 0;
    return this.head;
  }

  /** Keeps `head`, decoded from `bytes[start, end)`, unless this connection hardly repeats itself. Copies the bytes. */
  keep(bytes: Uint8Array, start: number, end: number, context: number, head: Head): void {
    this.missCount += 1;
    if (this.missCount > PATIENCE_HEADS && this.missCount % RETRY_EVERY_HEADS !== 0) {
      this.forget();
      return;
    }
    const length = end - start;
    if (length > MAX_KEPT_BYTES) return;
    if (this.bytes.length < length) this.bytes = Buffer.allocUnsafeSlow((length + 63) & ~63);
    this.bytes.set(bytes.subarray(start, end));
    this.length = length;
    this.context = context;
    this.head = head;
  }

  private forget(): void {
    this.length = 0;
    this.head = undefined;
  }
}
