// SPDX-License-Identifier: Apache-2.0
import type { Dictionary } from '@weft/chart';
import { describe, expect, it } from 'vitest';
import { applySet } from './set-flags.ts';
import type { ValueReader } from './set-flags.ts';

function set(expression: string, into: Dictionary = {}, read?: ValueReader): Dictionary {
  applySet(into, expression, read);
  return into;
}

describe('[CLI-14] --set', () => {
  it.each<[string, Dictionary]>([
    ['a=1', { a: 1 }],
    ['a.b=true,a.c=x', { a: { b: true, c: 'x' } }],
    ['a=null', { a: null }],
    ['a=', { a: '' }],
    ['a=007', { a: '007' }],
    ['a=-5', { a: -5 }],
    ['a=1.5', { a: '1.5' }],
    ['a=b=c', { a: 'b=c' }],
    ['a={x,1,true}', { a: ['x', 1, true] }],
    ['a={}', { a: [] }],
    ['a[1].b=x', { a: [null, { b: 'x' }] }],
    ['a[0][1]=x', { a: [[null, 'x']] }],
    ['a\\.b=x', { 'a.b': 'x' }],
    ['networks=10.0.0.0/8\\,192.168.0.0/16', { networks: '10.0.0.0/8,192.168.0.0/16' }],
    ['nodeSelector.kubernetes\\.io/os=linux', { nodeSelector: { 'kubernetes.io/os': 'linux' } }],
  ])('%s', (expression, expected) => {
    expect(set(expression)).toEqual(expected);
  });

  it('adds to what is there', () => {
    expect(set('a.c=2,d[1]=y', { a: { b: 1 }, d: ['x'] })).toEqual({ a: { b: 1, c: 2 }, d: ['x', 'y'] });
  });

  it('[CLI-14] keeps text with --set-string', () => {
    expect(set('a=1,b=true', {}, (text) => text)).toEqual({ a: '1', b: 'true' });
  });

  it.each([
    ['a', 'has no value'],
    ['=x', 'no path of names'],
    ['a..b=x', 'no path of names'],
    ['a[2000]=x', 'larger than 1024'],
    ['__proto__.x=1', 'no name of a value'],
    ['a.__proto__.x=1', 'no name of a value'],
    [`${'a.'.repeat(40)}b=1`, 'deeper than 30'],
  ])('refuses %s', (expression, why) => {
    expect(() => set(expression)).toThrow(why);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('refuses to make a list out of a map', () => {
    expect(() => set('a[0]=x', { a: { b: 1 } })).toThrow('a is a map');
  });
});
