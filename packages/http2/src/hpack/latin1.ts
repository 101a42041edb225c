// SPDX-License-Identifier: Apache-2.0
/*
 * Octets to strings, one UTF-16 unit each, so that any octet survives a round trip.
 */
import { Buffer } from 'node:buffer';

interface Latin1Methods {
  readonly latin1Slice: (this: Uint8Array, start: number, end: number) => string;
}

/** `Buffer#toString('latin1')` without its argument checks, and for any Uint8Array. */
const { latin1Slice } = Buffer.prototype as unknown as Latin1Methods;

/** `chunk[start, end)` as a latin1 string. */
export function decodeLatin1(chunk: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(chunk, start, end);
}
