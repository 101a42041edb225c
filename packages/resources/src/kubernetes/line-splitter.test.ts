// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { LineSplitter } from './line-splitter.ts';

describe('LineSplitter', () => {
  it('gives the same lines however the bytes are cut', () => {
    const line = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\n', ''));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(20)), (lines, sizes) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const splitter = new LineSplitter(10_000);
        const found: string[] = [];
        let at = 0;
        for (const size of [...sizes, bytes.length]) {
          found.push(...(splitter.push(bytes.subarray(at, at + size)) ?? ['too long']));
          at += size;
        }
        expect(found).toEqual(lines.map((text) => Buffer.from(text).toString('utf8')));
      }),
    );
  });

  it('refuses a line that is too long, ended or not', () => {
    expect(new LineSplitter(3).push(Buffer.from('abc\n'))).toEqual(['abc']);
    expect(new LineSplitter(3).push(Buffer.from('abcd\n'))).toBeUndefined();
    const splitter = new LineSplitter(3);
    expect(splitter.push(Buffer.from('ab'))).toEqual([]);
    expect(splitter.push(Buffer.from('cd'))).toBeUndefined();
  });
});
