// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pickWeighted } from './index.ts';

const ALMOST_ONE = 1 - 2 ** -53;

describe('[RT-07] pickWeighted', () => {
  it.each<[number[], number, number]>([
    [[90, 10], 0, 0],
    [[90, 10], 0.899, 0],
    [[90, 10], 0.9, 1],
    [[90, 10], ALMOST_ONE, 1],
    [[0, 1, 0], 0, 1],
    [[0, 1, 0], ALMOST_ONE, 1],
    [[1, 1, 1, 1], 0.5, 2],
    [[0.1, 0.2, 0.3], ALMOST_ONE, 2],
    [[4_294_967_295, 4_294_967_295], 0.5, 1],
    [[7], 0.3, 0],
  ])('of %j at %d draws %d', (weights, draw, expected) => {
    expect(pickWeighted(weights, () => draw)).toBe(expected);
  });

  it.each([[[]], [[0]], [[0, 0]], [[-1]], [[Number.NaN, Number.POSITIVE_INFINITY]]])('draws nothing from %j', (weights) => {
    expect(pickWeighted(weights, () => 0)).toBe(-1);
  });

  it('draws only what is available, in the proportions of their weights', () => {
    const draws = (available: readonly number[]): number[] => {
      const counts = [0, 0, 0];
      for (let i = 0; i < 1000; i++) {
        const index = pickWeighted(
          [50, 30, 20],
          () => (i + 0.5) / 1000,
          (at) => available.includes(at),
        );
        if (index >= 0) counts[index] += 1;
      }
      return counts;
    };
    expect(draws([0, 1, 2])).toEqual([500, 300, 200]);
    expect(draws([1, 2])).toEqual([0, 600, 400]);
    expect(draws([2])).toEqual([0, 0, 1000]);
    expect(draws([])).toEqual([0, 0, 0]);
  });

  it('always draws an available index of positive weight, if there is one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(1000), fc.boolean()), { maxLength: 8 }),
        fc.double({ min: 0, max: ALMOST_ONE, noNaN: true }),
        (items, draw) => {
          const drawable = items.flatMap(([weight, isAvailable], i) => (weight > 0 && isAvailable ? [i] : []));
          const picked = pickWeighted(
            items.map(([weight]) => weight),
            () => draw,
            (at) => items[at][1],
          );
          expect(drawable.length === 0 ? [-1] : drawable).toContain(picked);
        },
      ),
    );
  });
});
