// SPDX-License-Identifier: Apache-2.0
/*
 * Integers: the examples of RFC 7541 Appendix C.1, round trips, and the bounds.
 */
import { Buffer } from 'node:buffer';
import { ByteWriter } from '@weft/bytes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INTEGER_CUT, INTEGER_TOO_LARGE, decodeInteger, encodeInteger } from './integer.ts';

function encode(prefixBits: number, value: number): Buffer {
  const out = new ByteWriter();
  encodeInteger(out, 0, prefixBits, value);
  return Buffer.from(out.buffer.subarray(0, out.length));
}

describe('integers', () => {
  it.each([
    [5, 10, '0a'],
    [5, 1337, '1f9a0a'],
    [8, 42, '2a'],
    [7, 127, '7f00'],
    [7, 2 ** 31 - 1, '7f80ffffff07'],
  ])('with a prefix of %i bits: %i', (prefixBits, value, hex) => {
    expect(encode(prefixBits, value).toString('hex')).toBe(hex);
    expect(decodeInteger(Buffer.from(hex, 'hex'), hex.length / 2, prefixBits, { at: 0 })).toBe(value);
  });

  it('come back, and every cut is seen as one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 2 ** 31 - 1 }), (prefixBits, value) => {
        const bytes = encode(prefixBits, value);
        const cursor = { at: 0 };
        expect(decodeInteger(bytes, bytes.length, prefixBits, cursor)).toBe(value);
        expect(cursor.at).toBe(bytes.length);
        for (let end = 0; end < bytes.length; end++) expect(decodeInteger(bytes, end, prefixBits, { at: 0 })).toBe(INTEGER_CUT);
      }),
    );
  });

  it.each(['7f81ffffff07', '7fffffffff7f', '7f808080808000', '7fffffffffffffffff'])('beyond the bound: %s', (hex) => {
    expect(decodeInteger(Buffer.from(hex, 'hex'), hex.length / 2, 7, { at: 0 })).toBe(INTEGER_TOO_LARGE);
  });
});
