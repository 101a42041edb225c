// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type VectorJson, equalAsVectors, vectorDifference } from './index.ts';

describe('equalAsVectors', () => {
  it.each<[string, VectorJson, VectorJson]>([
    ['keys of a map in any order', { labels: { a: '1', b: '2' } }, { labels: { b: '2', a: '1' } }],
    ['addresses of one set', { add: { addrs: [{ weight: 1 }, { weight: 2 }] } }, { add: { addrs: [{ weight: 2 }, { weight: 1 }] } }],
    ['authorizations', { authorizations: [{ labels: { a: '1', b: '2' } }, {}] }, { authorizations: [{}, { labels: { b: '2', a: '1' } }] }],
    ['cases of any', { any: { matches: [{ path: 'a' }, { path: 'b' }] } }, { any: { matches: [{ path: 'b' }, { path: 'a' }] } }],
    ['sets inside sets', { addrs: [{ addrs: [1, 2] }, { addrs: [3] }] }, { addrs: [{ addrs: [3] }, { addrs: [2, 1] }] }],
  ])('ignores the order of %s', (_, actual, expected) => {
    expect(equalAsVectors(actual, expected)).toBe(true);
  });

  it.each<[string, VectorJson, VectorJson]>([
    ['routes', { routes: [{ name: 'a' }, { name: 'b' }] }, { routes: [{ name: 'b' }, { name: 'a' }] }],
    ['matches of a rule', { rules: [{ matches: [1, 2] }] }, { rules: [{ matches: [2, 1] }] }],
    ['cases of all', { all: { matches: [1, 2] } }, { all: { matches: [2, 1] } }],
  ])('keeps the order of %s', (_, actual, expected) => {
    expect(equalAsVectors(actual, expected)).toBe(false);
  });

  it('counts the members of a set', () => {
    expect(equalAsVectors({ addrs: [1, 1, 2] }, { addrs: [1, 2, 2] })).toBe(false);
  });
});

describe('vectorDifference', () => {
  it.each<[VectorJson, VectorJson, string]>([
    [{ a: { b: [1, 2] } }, { a: { b: [1, 3] } }, '$.a.b[1]: actual 2, expected 3'],
    [{ a: 1 }, {}, '$.a: actual 1, expected nothing'],
    [{}, { a: '1' }, '$.a: actual is missing, expected "1"'],
    [{ a: [1] }, { a: [] }, '$.a: actual has 1 items, expected 0'],
    [{ a: {} }, { a: [] }, '$.a: actual {}, expected []'],
    [JSON.parse('{"__proto__": 1}') as VectorJson, {}, '$.__proto__: actual 1, expected nothing'],
  ])('says where %j and %j part', (actual, expected, difference) => {
    expect(vectorDifference(actual, expected)).toBe(difference);
  });
});
