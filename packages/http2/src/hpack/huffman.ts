// SPDX-License-Identifier: Apache-2.0
/*
 * Huffman coding of string literals (RFC 7541 §5.2). Decoding peeks at ten bits, which settles nearly every character in
 * text; longer codes are found by the canonical property, one comparison a length.
 */
import { Buffer } from 'node:buffer';
import {
  HUFFMAN_BITS,
  HUFFMAN_CODES,
  HUFFMAN_COUNT,
  HUFFMAN_FIRST_CODE,
  HUFFMAN_FIRST_INDEX,
  HUFFMAN_PEEK,
  HUFFMAN_SYMBOLS,
  MAX_CODE_BITS,
  MIN_CODE_BITS,
  PEEK_BITS,
} from './huffman-table.ts';
import { decodeLatin1 } from './latin1.ts';

const PEEK_MASK = (1 << PEEK_BITS) - 1;

/** Decoded octets land here before they become a string; literals longer than this get a buffer of their own. */
const SCRATCH: Buffer = Buffer.allocUnsafeSlow(4096);

/** Decodes `chunk[start, end)` to a latin1 string. Undefined: EOS inside, or padding that is too long or not all ones. */
export function decodeHuffman(chunk: Uint8Array, start: number, end: number): string | undefined {
  const mostBytes = Math.ceil(((end - start) * 8) / MIN_CODE_BITS);
  const output = mostBytes <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(mostBytes);
  let written = 0;
  // The low `pendingBits` bits of `pending` are the next bits of input; what stands above them is spent.
  let pending = 0;
  let pendingBits = 0;
  let at = start;
  for (;;) {
    while (pendingBits <= 23 && at < end) {
      pending = (pending << 8) | (chunk[at++] as number);
      pendingBits += 8;
    }
    if (pendingBits < PEEK_BITS) break;
    const entry = HUFFMAN_PEEK[(pending >>> (pendingBits - PEEK_BITS)) & PEEK_MASK] as number;
    if (entry !== 0) {
      output[written++] = entry >>> 4;
      pendingBits -= entry & 15;
      continue;
    }
    const bitAt = at * 8 - pendingBits;
    const found = matchLongCode(chunk, bitAt, end);
    if (found === 0) return undefined;
    output[written++] = found >>> 8;
    const next = bitAt + (found & 0xff);
    at = Math.floor(next / 8);
    pendingBits = 0;
    if (next % 8 !== 0) {
      pending = chunk[at++] as number;
      pendingBits = 8 - (next % 8);
    }
  }
  while (pendingBits > 0) {
    // Peek past the end as if ones followed, which is what valid padding looks like.
    const spare = PEEK_BITS - pendingBits;
    const entry = HUFFMAN_PEEK[((pending << spare) | ((1 << spare) - 1)) & PEEK_MASK] as number;
    if (entry === 0 || (entry & 15) > pendingBits) break;
    output[written++] = entry >>> 4;
    pendingBits -= entry & 15;
  }
  const paddingMask = (1 << pendingBits) - 1;
  if (pendingBits > 7 || (pending & paddingMask) !== paddingMask) return undefined;
  return decodeLatin1(output, 0, written);
}

/** The octet of the code longer than PEEK_BITS at bit `bitAt`, as `octet << 8 | code bits`; 0 for EOS or a code cut off. */
function matchLongCode(chunk: Uint8Array, bitAt: number, end: number): number {
  const first = Math.floor(bitAt / 8);
  // 40 bits exceed the bit operators; doubles hold them exactly.
  let window = 0;
  for (let i = 0; i < 5; i++) window = window * 256 + (first + i < end ? (chunk[first + i] as number) : 0xff);
  const window30 = Math.floor(window / 2 ** (10 - (bitAt % 8))) % 2 ** MAX_CODE_BITS;
  for (let bits = PEEK_BITS + 1; bits <= MAX_CODE_BITS; bits++) {
    const rank = Math.floor(window30 / 2 ** (MAX_CODE_BITS - bits)) - (HUFFMAN_FIRST_CODE[bits] as number);
    if (rank >= 0 && rank < (HUFFMAN_COUNT[bits] as number)) {
      const symbol = HUFFMAN_SYMBOLS[(HUFFMAN_FIRST_INDEX[bits] as number) + rank] as number;
      return symbol > 0xff || bitAt + bits > end * 8 ? 0 : (symbol << 8) | bits;
    }
  }
  return 0;
}

/** Octets that `text` (latin1) takes when Huffman-coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += HUFFMAN_BITS[text.charCodeAt(i)] as number;
  return Math.ceil(bits / 8);
}

/** Stores `text` (latin1), coded, from `buffer[at]`; returns where it ends. The caller made room by `huffmanLength`. */
export function encodeHuffman(text: string, buffer: Uint8Array, at: number): number {
  let pending = 0;
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const octet = text.charCodeAt(i);
    const code = HUFFMAN_CODES[octet] as number;
    let bits = HUFFMAN_BITS[octet] as number;
    if (bits > 24) {
      // Up to seven bits may be pending: a long code goes in two parts, so that no more than 31 are held.
      bits -= 16;
      pending = (pending << bits) | (code >>> 16);
      pendingBits += bits;
      while (pendingBits >= 8) {
        pendingBits -= 8;
        buffer[at++] = pending >>> pendingBits;
      }
      pending = (pending << 16) | (code & 0xffff);
      pendingBits += 16;
    } else {
      pending = (pending << bits) | code;
      pendingBits += bits;
    }
    while (pendingBits >= 8) {
      pendingBits -= 8;
      buffer[at++] = pending >>> pendingBits;
    }
  }
  if (pendingBits > 0) buffer[at++] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits);
  return at;
}
