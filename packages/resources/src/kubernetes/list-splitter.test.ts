// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ListSplitter } from './list-splitter.ts';

function split(text: string, sizes: readonly number[] = [], maxBytes = 100_000): { items: unknown[]; envelope: unknown; fault: unknown } {
  const items: unknown[] = [];
  const splitter = new ListSplitter(maxBytes, (item) => items.push(JSON.parse(item)));
  const bytes = Buffer.from(text);
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    const fault = splitter.push(bytes.subarray(at, at + size));
    if (fault !== undefined) return { items, envelope: undefined, fault };
    at += size;
  }
  return { items, envelope: JSON.parse(splitter.envelope), fault: undefined };
}

describe('ListSplitter', () => {
  it('gives items and what is around them, however the bytes are cut and the JSON is spaced', () => {
    const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue());
    fc.assert(
      fc.property(fc.array(object), object, fc.constantFrom(0, 2), fc.array(fc.nat(30)), (items, metadata, space, sizes) => {
        const list = { kind: 'items', metadata: { ...metadata, items: [{ not: 'these' }] }, items, more: ['items', { items: [1] }] };
        // As JSON has it: what `JSON.stringify` leaves out or changes is not this code's business.
        const expected = JSON.parse(JSON.stringify(list)) as typeof list;
        const found = split(JSON.stringify(list, undefined, space), sizes);
        expect(found.items).toEqual(expected.items);
        expect(found.envelope).toEqual({ ...expected, items: [] });
      }),
    );
  });

  it.each<[string, string, unknown[]]>([
    ['no items', '{"metadata":{}}', []],
    ['items that are null', '{"items":null,"metadata":{}}', []],
    ['a value that says items', '{"kind":"items","list":[{}]}', []],
    ['a key with an escape that reads items', '{"\\u0069tems":[1]}', []],
    ['braces in strings', '{"items":[{"a":"}\\"{"},{"b":"]"}]}', [{ a: '}"{' }, { b: ']' }]],
  ])('reads a list with %s', (_name, text, items) => {
    const found = split(text);
    expect(found.items).toEqual(items);
    expect(found.fault).toBeUndefined();
  });

  it('takes a second list of items for something else', () => {
    expect(split('{"items":[{"a":1}],"items":[]}').items).toEqual([{ a: 1 }]);
  });

  it.each<[string, string, string]>([
    ['an item that is no object', '{"items":[1]}', 'malformed'],
    ['an item that is too long', `{"items":[{"a":"${'x'.repeat(200)}"}]}`, 'too-long'],
    ['an item that is too long and not over', `{"items":[{"a":"${'x'.repeat(200)}`, 'too-long'],
    ['too much around the items', `{"metadata":"${'x'.repeat(200)}","items":[]}`, 'too-long'],
  ])('refuses %s', (_name, text, fault) => {
    expect(split(text, [7, 3], 100).fault).toBe(fault);
  });
});
