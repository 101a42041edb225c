// SPDX-License-Identifier: Apache-2.0
/*
 * Integers of HPACK (RFC 7541 §5.1): a prefix of 1–8 bits, then seven bits an octet, least significant first.
 */
import type { ByteWriter } from '@weft/bytes';

/** More input is needed. */
export const INTEGER_CUT = -1;
/** Above 2^31 − 1, or padded with more zero octets than any encoder has reason to send. */
export const INTEGER_TOO_LARGE = -2;

/** Continuation octets accepted: five carry 35 bits. */
const MAX_CONTINUATION_BYTES = 5;
const MAX_VALUE = 0x7fff_ffff;

/** Where a decoded integer ended. One object per decoder, so that decoding allocates nothing. */
export interface IntegerCursor {
  at: number;
}

/** Decodes the integer at `cursor.at` and moves the cursor behind it; or INTEGER_CUT, INTEGER_TOO_LARGE (cursor unspecified). */
export function decodeInteger(chunk: Uint8Array, end: number, prefixBits: number, cursor: IntegerCursor): number {
  let at = cursor.at;
  if (at >= end) return INTEGER_CUT;
  const mask = (1 << prefixBits) - 1;
  let value = (chunk[at++] as number) & mask;
  if (value === mask) {
    const limit = at + MAX_CONTINUATION_BYTES;
    let scale = 1;
    for (;;) {
      if (at >= limit) return INTEGER_TOO_LARGE;
      if (at >= end) return INTEGER_CUT;
      const octet = chunk[at++] as number;
      value += (octet & 0x7f) * scale;
      if (value > MAX_VALUE) return INTEGER_TOO_LARGE;
      if (octet < 0x80) break;
      scale *= 128;
    }
  }
  cursor.at = at;
  return value;
}

/** Appends `value` (≥ 0, < 2^31) with the bits of `firstOctet` above the prefix. */
export function encodeInteger(out: ByteWriter, firstOctet: number, prefixBits: number, value: number): void {
  out.reserve(6);
  const { buffer } = out;
  let at = out.length;
  const mask = (1 << prefixBits) - 1;
  if (value < mask) {
    buffer[at++] = firstOctet | value;
  } else {
    buffer[at++] = firstOctet | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[at++] = rest;
  }
  out.length = at;
}
