// SPDX-License-Identifier: Apache-2.0
/*
 * The decoder against blocks of other encoders, cut anywhere, and against blocks that no encoder should make.
 */
import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CollectedFields } from '../testing/collected-fields.ts';
import { literal } from '../testing/index.ts';
import { HPACK_ERROR, HpackDecoder } from './decoder.ts';

interface Story {
  readonly name: string;
  readonly tableBytes: number;
  readonly blocks: readonly { readonly hex: string; readonly fields: string[] }[];
}

const FILES = ['rfc7541-appendix-c', 'reference-proxy', 'node-http2', 'go-hpack', 'pypi-hpack'];
const STORIES: Story[] = FILES.flatMap(
  (file) => JSON.parse(readFileSync(new URL(`../testdata/hpack/${file}.json`, import.meta.url), 'utf8')) as Story[],
);

function decodeWhole(decoder: HpackDecoder, block: Uint8Array): CollectedFields | undefined {
  const collected = new CollectedFields();
  return decoder.decode(block, 0, block.length, true, collected) === HPACK_ERROR ? undefined : collected;
}

/** Decodes a block given in two fragments, carrying what is cut as the connection does. */
function decodeInTwo(decoder: HpackDecoder, block: Buffer, cut: number): CollectedFields | undefined {
  const collected = new CollectedFields();
  const at = decoder.decode(block, 0, cut, false, collected);
  if (at === HPACK_ERROR) return undefined;
  return decoder.decode(block, at, block.length, true, collected) === HPACK_ERROR ? undefined : collected;
}

describe('blocks of other encoders', () => {
  it.each(STORIES)('decode: $name', (story) => {
    const decoder = new HpackDecoder(story.tableBytes, 16_384);
    for (const block of story.blocks) {
      expect(decodeWhole(decoder, Buffer.from(block.hex, 'hex'))?.fields).toEqual(block.fields);
    }
  });

  it.each(STORIES)('decode the same byte by byte: $name', (story) => {
    const decoder = new HpackDecoder(story.tableBytes, 16_384);
    for (const block of story.blocks) {
      const bytes = Buffer.from(block.hex, 'hex');
      const collected = new CollectedFields();
      let held = Buffer.alloc(0);
      for (const octet of bytes) {
        held = Buffer.concat([held, Buffer.from([octet])]);
        const at = decoder.decode(held, 0, held.length, false, collected);
        expect(at).not.toBe(HPACK_ERROR);
        held = held.subarray(at);
      }
      expect(decoder.decode(held, 0, held.length, true, collected)).toBe(held.length);
      expect(collected.fields).toEqual(block.fields);
    }
  });

  it.each(STORIES)('decode the same at every cut: $name', (story) => {
    for (let blockIndex = 0; blockIndex < Math.min(3, story.blocks.length); blockIndex++) {
      const bytes = Buffer.from(story.blocks[blockIndex]?.hex ?? '', 'hex');
      for (let cut = 0; cut <= bytes.length; cut++) {
        const decoder = new HpackDecoder(story.tableBytes, 16_384);
        for (const earlier of story.blocks.slice(0, blockIndex)) decodeWhole(decoder, Buffer.from(earlier.hex, 'hex'));
        expect(decodeInTwo(decoder, bytes, cut)?.fields).toEqual(story.blocks[blockIndex]?.fields);
      }
    }
  });
});

describe('a broken block', () => {
  const BROKEN: readonly (readonly [string, string])[] = [
    ['index 0', '80'],
    ['an index past both tables', 'be'],
    ['an index far past both tables', 'ffffff7f'],
    ['a name index past both tables', '7f000161'],
    ['an integer above 2^31', 'ffffffffff0f'],
    ['an integer above 2^32', 'ff808080808001'],
    ['an integer padded without end', 'ff8080808080808080'],
    ['a size update above what was announced', '3fe21f'],
    ['a size update after a field', '8220'],
    ['a literal cut off', '400a6375'],
    ['a value missing', '400161'],
    ['a length cut off', '4001617f'],
    ['Huffman: EOS inside', '40016184ffffffff'],
    ['Huffman: padding of zeros', '4001618118'],
    ['Huffman: padding of eight ones', '400161821fff'],
    ['Huffman: a code cut off', '40016181fe'],
  ];

  it.each(BROKEN)('is refused: %s', (_, hex) => {
    expect(decodeWhole(new HpackDecoder(4096, 16_384), Buffer.from(hex, 'hex'))).toBeUndefined();
  });

  it('never throws and never reports more than limits allow, whatever the octets', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 6 }), (blocks) => {
        const decoder = new HpackDecoder(4096, 200);
        for (const block of blocks) {
          const collected = decodeWhole(decoder, block);
          if (collected === undefined) return;
          for (const text of collected.fields) expect(text.length).toBeLessThanOrEqual((15_364 * 8) / 5);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('decodes the same in fragments as whole, whatever the octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(60), (block, cut) => {
        const whole = decodeWhole(new HpackDecoder(4096, 200), block);
        const parts = decodeInTwo(new HpackDecoder(4096, 200), Buffer.from(block), Math.min(cut, block.length));
        expect(parts?.fields).toEqual(whole?.fields);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('literals beyond any limit', () => {
  const SMALL = Buffer.concat([Buffer.from([0x40]), literal('a'), literal('b')]);
  const INDEXED = Buffer.from([0xbe]);
  const huge = literal('h'.repeat(20_000));

  it.each([
    ['value, not indexed', Buffer.concat([Buffer.from([0x00]), literal('n'), huge]), true],
    ['value, indexed', Buffer.concat([Buffer.from([0x40]), literal('n'), huge]), false],
    ['name, not indexed', Buffer.concat([Buffer.from([0x10]), huge, literal('v')]), true],
    ['name, indexed', Buffer.concat([Buffer.from([0x40]), huge, literal('')]), false],
    ['both', Buffer.concat([Buffer.from([0x00]), huge, huge]), true],
  ])('are skipped and the table stays right: %s', (_, field, isTableKept) => {
    for (const step of [1, 7, 1000, 50_000]) {
      const decoder = new HpackDecoder(4096, 16_384);
      expect(decodeWhole(decoder, SMALL)?.fields).toEqual(['a', 'b']);
      const block = Buffer.concat([field, Buffer.from([0x82])]);
      const collected = new CollectedFields();
      let held = Buffer.alloc(0);
      let most = 0;
      for (let at = 0; at < block.length; at += step) {
        held = Buffer.concat([held, block.subarray(at, at + step)]);
        const next = decoder.decode(held, 0, held.length, at + step >= block.length, collected);
        held = held.subarray(next);
        most = Math.max(most, held.length);
      }
      expect(collected.skippedCount).toBe(1);
      expect(collected.fields).toEqual([':method', 'GET']);
      expect(most).toBeLessThan(100);
      // An entry larger than the table empties it (RFC 7541 §4.4).
      expect(decodeWhole(decoder, INDEXED)?.fields).toEqual(isTableKept ? ['a', 'b'] : undefined);
    }
  });
});

describe('the table', () => {
  it('keeps names of entries that the insertion evicts', () => {
    const decoder = new HpackDecoder(40, 16_384);
    expect(decodeWhole(decoder, Buffer.concat([Buffer.from([0x40]), literal('abcd'), literal('1')]))?.fields).toEqual(['abcd', '1']);
    expect(decodeWhole(decoder, Buffer.concat([Buffer.from([0x7e]), literal('2222')]))?.fields).toEqual(['abcd', '2222']);
    expect(decodeWhole(decoder, Buffer.from([0xbe]))?.fields).toEqual(['abcd', '2222']);
    expect(decodeWhole(decoder, Buffer.from([0xbf]))).toBeUndefined();
  });

  it('holds a hundred entries, and forgets them on a size update to zero', () => {
    const decoder = new HpackDecoder(4096, 16_384);
    for (let i = 0; i < 200; i++) decodeWhole(decoder, Buffer.concat([Buffer.from([0x40]), literal('k'), literal(String(i % 10))]));
    expect(decodeWhole(decoder, Buffer.from([0xff, 0x00]))?.fields).toEqual(['k', '4']);
    expect(decodeWhole(decoder, Buffer.from([0xff, 0x36]))?.fields).toEqual(['k', '0']);
    expect(decodeWhole(new HpackDecoder(4096, 16_384), Buffer.from([0xff, 0x37]))).toBeUndefined();
    expect(decodeWhole(decoder, Buffer.from([0x20, 0x3f, 0xe1, 0x1f, 0x82]))?.fields).toEqual([':method', 'GET']);
    expect(decodeWhole(decoder, Buffer.from([0xbe]))).toBeUndefined();
  });
});
