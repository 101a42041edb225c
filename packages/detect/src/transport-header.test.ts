// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { HeaderSchema } from '@weft/proto/transport';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  TRANSPORT_HEADER_MAX_BYTES,
  type TransportHeader,
  TransportHeaderDecoder,
  type TransportHeaderResult,
  encodeTransportHeader,
} from './index.ts';
import { readHex, readJson } from './testdata/read-vectors.ts';

const MAGIC = Buffer.from('transport.l5d.io/v1\r\n\r\n', 'latin1');

/** A header around any message bytes. */
function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([MAGIC, length, message]);
}

function framedHex(hex: string): Buffer {
  return framed(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

/** Pushes pieces until there is an answer; `consumed` is counted from the beginning of the first piece. */
function pushAll(pieces: readonly Uint8Array[], maxBytes?: number): TransportHeaderResult {
  const decoder = new TransportHeaderDecoder(maxBytes);
  let before = 0;
  for (const piece of pieces) {
    // Around the range lies what must not be read, and the chunk is overwritten after the call as a read buffer would be.
    const chunk = Buffer.concat([Buffer.alloc(2, 0xee), piece, Buffer.alloc(2, 0xee)]);
    const result = decoder.push(chunk, 2, 2 + piece.length);
    chunk.fill(0xee);
    if (result.kind === 'header') return { ...result, consumed: before + result.consumed };
    if (result.kind === 'invalid') return result;
    before += piece.length;
  }
  return { kind: 'incomplete' };
}

/** The split law: whole, byte by byte and at every cut the answer is the same. */
function decodeEveryWay(bytes: Buffer): TransportHeaderResult {
  const whole = pushAll([bytes]);
  expect(pushAll(Array.from(bytes, (_, i) => bytes.subarray(i, i + 1)))).toEqual(whole);
  for (let cut = 1; cut < bytes.length; cut++) expect(pushAll([bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole);
  return whole;
}

describe('[PROTO-01] transport header', () => {
  it.each<[string, TransportHeader]>([
    ['transport-header-http1.hex', { port: 8080, name: undefined, sessionProtocol: 'http1' }],
    ['transport-header-http2.hex', { port: 8080, name: undefined, sessionProtocol: 'http2' }],
    ['transport-header-opaque.hex', { port: 9000, name: undefined, sessionProtocol: undefined }],
  ])('is written and read as the reference does in %s', (file, header) => {
    const captured = readHex(file);
    expect(captured.length).toBeGreaterThan(0);
    for (const bytes of captured) {
      expect(encodeTransportHeader(header).toString('hex')).toBe(bytes.toString('hex'));
      expect(decodeEveryWay(bytes)).toEqual({ kind: 'header', header, consumed: bytes.length });
    }
  });

  it.each<[string, TransportHeaderResult]>([
    ['header-bad-magic', { kind: 'invalid', reason: 'magic' }],
    ['header-bad-name', { kind: 'invalid', reason: 'name' }],
    ['header-bad-protobuf', { kind: 'invalid', reason: 'protobuf' }],
    ['header-no-port', { kind: 'invalid', reason: 'port' }],
    ['header-port-zero', { kind: 'invalid', reason: 'port' }],
    ['header-too-long', { kind: 'invalid', reason: 'too-long' }],
    ['header-truncated', { kind: 'incomplete' }],
    ['header-port-inbound', { kind: 'header', header: { port: 4143, name: undefined, sessionProtocol: 'http1' }, consumed: 34 }],
    ['header-unknown-fields', { kind: 'header', header: { port: 8080, name: undefined, sessionProtocol: 'http1' }, consumed: 36 }],
    [
      'header-gateway-name',
      { kind: 'header', header: { port: 80, name: 'foo.ns.svc.cluster.local', sessionProtocol: 'http2' }, consumed: 59 },
    ],
    [
      'header-gateway-name-opaque',
      { kind: 'header', header: { port: 80, name: 'foo.ns.svc.cluster.local', sessionProtocol: undefined }, consumed: 55 },
    ],
  ])('answers the peer of %s', (name, expected) => {
    const { sent_header_hex: hex } = readJson(`direct/${name}.json`) as { readonly sent_header_hex: string };
    expect(decodeEveryWay(Buffer.from(hex, 'hex'))).toEqual(expected);
  });

  it('leaves the bytes behind it to the stream', () => {
    const header = { port: 443, name: undefined, sessionProtocol: 'http2' } as const;
    const bytes = Buffer.concat([encodeTransportHeader(header), Buffer.from('PRI * HTTP/2.0\r\n')]);
    expect(decodeEveryWay(bytes)).toEqual({ kind: 'header', header, consumed: bytes.length - 16 });
  });

  const session = '1a02 0a00';
  it.each<[string, string, TransportHeader]>([
    ['fields in any order', `${session} 1201 61 0850`, { port: 80, name: 'a', sessionProtocol: 'http1' }],
    ['the last of equal fields', '0801 0850 120161 120162', { port: 80, name: 'b', sessionProtocol: undefined }],
    ['a session of two messages', '0850 1a020a00 1a021200', { port: 80, name: undefined, sessionProtocol: 'http2' }],
    ['an empty session', '0850 1a00', { port: 80, name: undefined, sessionProtocol: undefined }],
    ['a session of the future', '0850 1a021a00', { port: 80, name: undefined, sessionProtocol: undefined }],
    ['an upper-case name', '0850 1203 412e42', { port: 80, name: 'a.b', sessionProtocol: undefined }],
    ['an empty name', '0850 1200', { port: 80, name: undefined, sessionProtocol: undefined }],
    ['a port in more bytes than needed', '08d080808000', { port: 80, name: undefined, sessionProtocol: undefined }],
    [
      'unknown fields of every type',
      '2001 29 0102030405060708 32 03616263 3d 01020304 43 2001 44 0850',
      { port: 80, name: undefined, sessionProtocol: undefined },
    ],
    ['fields inside the session messages', '0850 1a04 0a02 0801', { port: 80, name: undefined, sessionProtocol: 'http1' }],
  ])('takes %s', (_, hex, header) => {
    const bytes = framedHex(hex);
    expect(decodeEveryWay(bytes)).toEqual({ kind: 'header', header, consumed: bytes.length });
  });

  it.each([
    ['port 65536', '08808004', 'port'],
    ['port -1', '08ffffffffffffffffff01', 'port'],
    ['an empty message', '', 'port'],
    ['a name that is an address', '0850 1208 31302e302e302e31', 'name'],
    ['a name that is no UTF-8', '0850 1202 ff61', 'name'],
    ['a name of 300 bytes', `0850 12ac02 ${'61'.repeat(300)}`, 'name'],
    ['a port that is a string', '0a0150', 'protobuf'],
    ['a name that is a number', '0850 1001', 'protobuf'],
    ['a session that is a number', '0850 1801', 'protobuf'],
    ['a session kind that is a number', '0850 1a020801', 'protobuf'],
    ['a name that runs over', '0850 1205 61', 'protobuf'],
    ['a name of 4 GiB', '0850 12ffffffff0f', 'protobuf'],
    ['a name of more than 2^32 bytes', '0850 12 818080808001 61', 'protobuf'],
    ['a varint of eleven bytes', '08ffffffffffffffffffff01', 'protobuf'],
    ['an unfinished varint', '08d0', 'protobuf'],
    ['field number 0', '0850 0001', 'protobuf'],
    ['wire type 6', '0850 26', 'protobuf'],
    ['an unfinished fixed field', '0850 2d0102', 'protobuf'],
    ['a group that never ends', '0850 23', 'protobuf'],
    ['a group that ends as another', '0850 23 2c', 'protobuf'],
    ['the end of no group', '0850 24', 'protobuf'],
    ['groups in groups, too deep', `0850 ${'23'.repeat(17)}${'24'.repeat(17)}`, 'protobuf'],
    ['garbage in a session', '0850 1a01ff', 'protobuf'],
    ['garbage in a session kind', '0850 1a03 0a01ff', 'protobuf'],
  ])('refuses %s', (_, hex, reason) => {
    expect(decodeEveryWay(framedHex(hex))).toEqual({ kind: 'invalid', reason });
  });

  it('refuses a length over the limit before its bytes come, and takes one at the limit', () => {
    const filler = TRANSPORT_HEADER_MAX_BYTES - 27 - 2 - 4;
    const longest = framed(
      Buffer.concat([
        Buffer.from('08502a', 'hex'),
        Buffer.from([0x80 | (filler & 0x7f), 0x80 | ((filler >> 7) & 0x7f), filler >> 14]),
        Buffer.alloc(filler),
      ]),
    );
    expect(longest.length).toBe(TRANSPORT_HEADER_MAX_BYTES);
    const header = { port: 80, name: undefined, sessionProtocol: undefined };
    expect(pushAll([longest])).toEqual({ kind: 'header', header, consumed: longest.length });
    const pieces = Array.from({ length: 66 }, (_, i) => longest.subarray(i * 1000, (i + 1) * 1000));
    expect(pushAll(pieces)).toEqual({ kind: 'header', header, consumed: longest.length });
    expect(pushAll([longest.subarray(0, 27)], TRANSPORT_HEADER_MAX_BYTES - 1)).toEqual({ kind: 'invalid', reason: 'too-long' });
    expect(pushAll([MAGIC, Buffer.from('ffffffff', 'hex')])).toEqual({ kind: 'invalid', reason: 'too-long' });
  });

  it('refuses to be pushed after its answer', () => {
    const decoder = new TransportHeaderDecoder();
    decoder.push(Buffer.from('x'), 0, 1);
    expect(() => decoder.push(Buffer.from('x'), 0, 1)).toThrow('has been read');
  });

  it.each([0, -1, 65536, 1.5, Number.NaN])('does not write port %d', (port) => {
    expect(() => encodeTransportHeader({ port, name: undefined, sessionProtocol: undefined })).toThrow(RangeError);
  });

  it('does not write a name that no DNS name could be', () => {
    expect(() => encodeTransportHeader({ port: 1, name: 'a'.repeat(255), sessionProtocol: undefined })).toThrow(RangeError);
  });
});

describe('transport header, held to the generated code', () => {
  const label = fc.stringMatching(/^[a-z_]([a-z0-9_-]{0,20}[a-z0-9_])?$/);
  const headers: fc.Arbitrary<TransportHeader> = fc.record({
    port: fc.integer({ min: 1, max: 65535 }),
    name: fc.option(
      fc.array(label, { minLength: 1, maxLength: 8 }).map((labels) => labels.join('.')),
      { nil: undefined },
    ),
    sessionProtocol: fc.constantFrom('http1', 'http2', undefined),
  });

  it('writes the bytes that generated code writes, and reads its own back', () => {
    fc.assert(
      fc.property(headers, (header) => {
        const bytes = encodeTransportHeader(header);
        const message = fromBinary(HeaderSchema, bytes.subarray(27));
        expect(message.port).toBe(header.port);
        expect(message.name).toBe(header.name ?? '');
        expect(message.sessionProtocol?.kind.case).toBe(header.sessionProtocol);
        expect(bytes.toString('hex')).toBe(framed(toBinary(HeaderSchema, message)).toString('hex'));
        expect(pushAll([bytes])).toEqual({ kind: 'header', header, consumed: bytes.length });
      }),
    );
  });

  it('reads whatever message it accepts as generated code does', () => {
    const field = fc.constantFrom(
      '0850',
      '08ffff03',
      '120161',
      '1203612e62',
      '1a00',
      '1a020a00',
      '1a021200',
      '2001',
      '2a0161',
      '3d01020304',
      '2324',
      '1200',
      'ff',
      '00',
      '08',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(field, { maxLength: 6 }).map((fields) => Buffer.from(fields.join(''), 'hex')),
          fc.uint8Array({ maxLength: 24 }),
        ),
        (message) => {
          const result = pushAll([framed(message)]);
          expect(result.kind).not.toBe('incomplete');
          if (result.kind !== 'header') return;
          const generated = fromBinary(HeaderSchema, message);
          expect(generated.port).toBe(result.header.port);
          expect(generated.name.toLowerCase()).toBe(result.header.name ?? '');
          expect(generated.sessionProtocol?.kind.case).toBe(result.header.sessionProtocol);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
