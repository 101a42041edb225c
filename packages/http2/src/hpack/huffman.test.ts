// SPDX-License-Identifier: Apache-2.0
/*
 * Huffman coding: round trips of any octets, and known values from RFC 7541 Appendix C.
 */
import { Buffer } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHuffman, encodeHuffman, huffmanLength } from './huffman.ts';

function encode(text: string): Buffer {
  const bytes = Buffer.alloc(huffmanLength(text));
  expect(encodeHuffman(text, bytes, 0)).toBe(bytes.length);
  return bytes;
}

describe('Huffman coding', () => {
  it.each([
    ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
    ['no-cache', 'a8eb10649cbf'],
    ['custom-value', '25a849e95bb8e8b4bf'],
    ['Mon, 21 Oct 2013 20:13:21 GMT', 'd07abe941054d444a8200595040b8166e082a62d1bff'],
    ['', ''],
  ])('codes %j as in the RFC', (text, hex) => {
    expect(encode(text).toString('hex')).toBe(hex);
    expect(decodeHuffman(Buffer.from(hex, 'hex'), 0, hex.length / 2)).toBe(text);
  });

  it('brings every octet back, alone, in pairs and before padding of every length', () => {
    for (let octet = 0; octet < 256; octet++) {
      for (const tail of ['', 'a', 'aa', '\xff', '\0', 'zz', '!', '\xff\xfe']) {
        const text = String.fromCharCode(octet) + tail;
        expect(decodeHuffman(encode(text), 0, huffmanLength(text))).toBe(text);
      }
    }
  });

  it('brings any text back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        const text = Buffer.from(octets).toString('latin1');
        const bytes = encode(text);
        expect(decodeHuffman(bytes, 0, bytes.length)).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  it('has one coding per text: what decodes is what would be encoded', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
        const text = decodeHuffman(octets, 0, octets.length);
        expect(text === undefined || encode(text).equals(octets)).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it('decodes texts longer than its scratch space', () => {
    const text = 'e'.repeat(100_000);
    expect(decodeHuffman(encode(text), 0, huffmanLength(text))).toBe(text);
  });
});
