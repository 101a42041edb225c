// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { milliValue, quantityValue } from './quantity.ts';

describe('quantityValue', () => {
  it.each([
    ['1', 1],
    ['900m', 0.9],
    ['2k', 2000],
    ['1Ki', 1024],
    ['250Mi', 250 * 2 ** 20],
    ['1E', 1e18],
    ['1Ei', 2 ** 60],
    ['1e3', 1000],
    ['1E3', 1000],
    ['1E-3', 0.001],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['5.', 5],
    ['-1', -1],
    ['+2', 2],
  ])('reads %s', (text, expected) => {
    expect(quantityValue(text)).toBe(expected);
  });

  it.each([
    '',
    'x',
    '1x',
    '1 m',
    ' 1',
    '1e',
    '.',
    '1mi',
    '1K',
    '1ki',
    '1KI',
    '1B',
    '1e3m',
    '--1',
    '1e999',
    'Infinity',
    'constructor',
    '1__proto__',
  ])('refuses %j', (text) => {
    expect(quantityValue(text)).toBeUndefined();
  });

  it.each(['9', '.', '+', '1.', '1e'])('looks at no text of any length made of %j', (text) => {
    expect(quantityValue(`${text.repeat(100_000)}!`)).toBeUndefined();
  });

  it('is finite or nothing for any text', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[+-]?[0-9]{0,20}\.?[0-9]{0,20}([eE][0-9]{1,3}|[a-zA-Z]{0,2})$/));
    fc.assert(
      fc.property(text, (one) => {
        expect(quantityValue(one) ?? 0).toSatisfy(Number.isFinite);
      }),
    );
  });
});

describe('milliValue', () => {
  it.each([
    ['900m', 900],
    ['1', 1000],
    [1, 1000],
    [0.1, 100],
    ['0.1', 100],
    ['1u', 1],
    ['-1m', -1],
    ['0', 0],
    ['x', undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
  ])('of %j is %s', (quantity, expected) => {
    expect(milliValue(quantity)).toBe(expected);
  });
});
