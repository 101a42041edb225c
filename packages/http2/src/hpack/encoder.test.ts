// SPDX-License-Identifier: Apache-2.0
/*
 * The encoder against our decoder (whose own tests are against other encoders): whatever goes in comes out, through table
 * evictions, size updates and replayed blocks.
 */
import type { Buffer } from 'node:buffer';
import { ByteWriter, type FieldList } from '@weft/bytes';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { H2UsageError } from '../errors.ts';
import { CollectedFields } from '../testing/collected-fields.ts';
import { encodeWith } from '../testing/index.ts';
import { HPACK_ERROR, HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';

function decode(decoder: HpackDecoder, block: Buffer): FieldList | undefined {
  const collected = new CollectedFields();
  return decoder.decode(block, 0, block.length, true, collected) === HPACK_ERROR ? undefined : collected.fields;
}

const NAMES = [':method', ':path', ':status', 'accept', 'authorization', 'cookie', 'content-type', 'te', 'x-a', 'x-b', 'x-c'];
const VALUE = fc.oneof(
  fc.constantFrom('', 'GET', '/', '200', 'application/grpc', 'v'.repeat(40), 'w'.repeat(1500), 'u'.repeat(5000)),
  fc.string({ maxLength: 30, unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) }),
);
const LIST = fc.array(fc.tuple(fc.constantFrom(...NAMES), VALUE), { maxLength: 12 }).map((fields) => fields.flat());

describe('the encoder', () => {
  it.each([false, true])('makes blocks that decode to what went in (Huffman: %s)', (useHuffman) => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ list: LIST, repeat: fc.integer({ min: 1, max: 3 }) }) },
      { weight: 1, arbitrary: fc.constantFrom(0, 64, 100, 500, 4096, 100_000) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const encoder = new HpackEncoder(4096, useHuffman);
        const decoder = new HpackDecoder(4096, 16_384);
        for (const next of steps) {
          if (typeof next === 'number') {
            encoder.setPeerMaxTableBytes(next);
            continue;
          }
          for (let i = 0; i < next.repeat; i++) {
            // Each time a list of its own: equal contents must do.
            const block = encodeWith(encoder, next.list.slice());
            expect(decode(decoder, block)).toEqual(next.list);
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('sends a repeated list as one octet a field', () => {
    const encoder = new HpackEncoder(4096);
    const fields = [':method', 'GET', ':scheme', 'http', ':authority', 'a.example', 'user-agent', 'x', 'custom', 'value'];
    expect(encodeWith(encoder, fields).length).toBeGreaterThan(5);
    expect(encodeWith(encoder, fields)).toHaveLength(5);
    expect(encodeWith(encoder, [...fields])).toHaveLength(5);
  });

  it('notices a list that was changed in place', () => {
    const encoder = new HpackEncoder(4096);
    const decoder = new HpackDecoder(4096, 16_384);
    const fields = [':method', 'GET', 'x', '1'];
    for (const value of ['1', '1', '1', '2', '2', '1']) {
      fields[3] = value;
      expect(decode(decoder, encodeWith(encoder, fields))).toEqual(fields);
    }
  });

  it('tells the smallest table size in between (RFC 7541 §4.2)', () => {
    const encoder = new HpackEncoder(4096);
    encoder.setPeerMaxTableBytes(0);
    encoder.setPeerMaxTableBytes(100);
    expect(encodeWith(encoder, [':method', 'GET']).toString('hex')).toBe('203f4582');
    expect(encodeWith(encoder, [':method', 'GET']).toString('hex')).toBe('82');
  });

  it('never indexes short secrets, and leaves what rarely repeats out of the table', () => {
    const encoder = new HpackEncoder(4096);
    for (const name of ['authorization', 'cookie', 'proxy-authorization', 'set-cookie']) {
      expect((encodeWith(encoder, [name, 'hunter2'])[0] as number) & 0xf0).toBe(0x10);
    }
    for (const name of [':path', 'content-length', 'traceparent']) {
      expect((encodeWith(encoder, [name, '77'])[0] as number) & 0xf0).toBe(0x00);
    }
    expect((encodeWith(encoder, ['authorization', 'Bearer ' + 'x'.repeat(300)])[0] as number) & 0xc0).toBe(0x40);
  });

  it.each([
    ['name', 'Upper', 'x'],
    ['name', 'a b', 'x'],
    ['name', '', 'x'],
    ['name', ':unknown', 'x'],
    ['name', 'transfer-encoding', 'chunked'],
    ['value', 'x', 'a\rb'],
    ['value', 'x', 'a\nb'],
    ['value', 'x', 'a\0b'],
    ['value', 'x', 'a\u010ab'],
    ['value', ':path', '/\r\n'],
  ])('refuses a %s that HTTP/1.1 would misread: %j %j', (_, name, value) => {
    expect(() => new HpackEncoder(4096).encode([name, value], new ByteWriter())).toThrow(H2UsageError);
  });
});
