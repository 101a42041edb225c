// SPDX-License-Identifier: Apache-2.0
/*
 * The Huffman code of HPACK (RFC 7541 §5.2, Appendix B). The code is canonical: symbols sorted by code length, then by value,
 * take consecutive codes. So the lengths are the whole table, and everything else is derived from them once.
 */

/** Code length in bits of each octet, and last of EOS (256). */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10,
  12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7,
  7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22,
  23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22,
  23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
  24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

const EOS = 256;
/** The longest code. */
export const MAX_CODE_BITS = 30;
/** The shortest code: `n` octets decode to at most `n * 8 / 5`. */
export const MIN_CODE_BITS = 5;
/** The decoder looks at this many bits at once; every code of a printable ASCII character but a handful fits. */
export const PEEK_BITS = 10;

/** Code of each octet, right-aligned. */
export const HUFFMAN_CODES: Uint32Array = new Uint32Array(257);
/** Code length of each octet, in bits. */
export const HUFFMAN_BITS: Uint8Array = Uint8Array.from(CODE_BITS);
/** By the next PEEK_BITS bits: `octet << 4 | code bits`, or 0 where the code is longer. */
export const HUFFMAN_PEEK: Uint16Array = new Uint16Array(1 << PEEK_BITS);
/** By code length: the first code of that length; the index of its symbol in HUFFMAN_SYMBOLS; how many there are. */
export const HUFFMAN_FIRST_CODE: Uint32Array = new Uint32Array(MAX_CODE_BITS + 1);
export const HUFFMAN_FIRST_INDEX: Uint16Array = new Uint16Array(MAX_CODE_BITS + 1);
export const HUFFMAN_COUNT: Uint16Array = new Uint16Array(MAX_CODE_BITS + 1);
/** Symbols in canonical order; EOS is the last. */
export const HUFFMAN_SYMBOLS: Uint16Array = Uint16Array.from(
  CODE_BITS.map((_, symbol) => symbol).sort((a, b) => (CODE_BITS[a] as number) - (CODE_BITS[b] as number) || a - b),
);

function deriveTables(): void {
  let code = 0;
  let previousBits = 0;
  for (let index = 0; index <= EOS; index++) {
    const symbol = HUFFMAN_SYMBOLS[index] as number;
    const bits = CODE_BITS[symbol] as number;
    code *= 2 ** (bits - previousBits);
    if (bits !== previousBits) {
      HUFFMAN_FIRST_CODE[bits] = code;
      HUFFMAN_FIRST_INDEX[bits] = index;
    }
    HUFFMAN_COUNT[bits] = (HUFFMAN_COUNT[bits] as number) + 1;
    HUFFMAN_CODES[symbol] = code;
    if (bits <= PEEK_BITS) {
      const spare = PEEK_BITS - bits;
      HUFFMAN_PEEK.fill((symbol << 4) | bits, code << spare, (code + 1) << spare);
    }
    previousBits = bits;
    code++;
  }
}
deriveTables();
