// SPDX-License-Identifier: Apache-2.0
/*
 * Octets to text and back, one character per octet, without the argument juggling of `toString` and `write`. Both work on any
 * Uint8Array.
 */
import { Buffer } from 'node:buffer';

type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;
type Latin1Write = (this: Uint8Array, text: string, start: number, bytes: number) => number;

const { latin1Slice, latin1Write } = Buffer.prototype as unknown as { latin1Slice: Latin1Slice; latin1Write: Latin1Write };

/** Text of `bytes[start, end)`; shares nothing with the bytes. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return start === end ? '' : latin1Slice.call(bytes, start, end);
}

/** Stores `text` at `start`; characters beyond latin1 are cut down to their low octet. There must be room. */
export function storeLatin1(bytes: Uint8Array, start: number, text: string): void {
  latin1Write.call(bytes, text, start, text.length);
}
