// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { goDurationMs, goDurationNs } from './go-duration.ts';

describe('goDurationNs', () => {
  it.each([
    ['250ms', 250_000_000n],
    ['1m30s', 90_000_000_000n],
    ['1.5h', 5_400_000_000_000n],
    ['24h0m0s', 86_400_000_000_000n],
    ['0', 0n],
    ['+0', 0n],
    ['0s', 0n],
    ['+1us', 1000n],
    ['1\u00b5s', 1000n],
    ['1\u03bcs', 1000n],
    ['-1.5s', -1_500_000_000n],
    ['.5s', 500_000_000n],
    ['1.s', 1_000_000_000n],
    ['1h2m3s4ms5us6ns', 3_723_004_005_006n],
    ['9223372036854775807ns', 2n ** 63n - 1n],
  ])('reads %s', (text, expected) => {
    expect(goDurationNs(text)).toBe(expected);
  });

  it.each([
    ...['', '1', 's', '1 s', '1s ', ' 1s', '1d', '-', '+', '.s', '1..5s', '1e3s', '1s-1s', '--1s', '1S', '1,5s'],
    ...['9223372036854775808ns', '2562048h', '9'.repeat(100), '1h'.repeat(40)],
  ])('refuses %j', (text) => {
    expect(goDurationNs(text)).toBeUndefined();
  });

  it('adds up whatever parts there are, in any order', () => {
    const units = { ns: 1n, us: 1000n, ms: 1_000_000n, s: 1_000_000_000n, m: 60_000_000_000n, h: 3_600_000_000_000n };
    const part = fc.tuple(fc.bigInt({ min: 0n, max: 9999n }), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 6 }), (parts) => {
        const text = parts.map(([count, unit]) => `${count}${unit}`).join('');
        const total = parts.reduce((sum, [count, unit]) => sum + count * units[unit], 0n);
        expect([goDurationNs(text), goDurationNs(`-${text}`)]).toEqual([total, -total]);
      }),
    );
  });

  it('reads any text to an end', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(['bigint', 'undefined']).toContain(typeof goDurationNs(text));
      }),
    );
  });
});

describe('goDurationMs', () => {
  it.each([
    ['250us', 0.25],
    ['1.5s', 1500],
    ['0', 0],
    ['-0s', 0],
    ['-1ms', undefined],
    ['1', undefined],
  ])('of %s is %s', (text, expected) => {
    expect(goDurationMs(text)).toBe(expected);
  });
});
