// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { ByteWriter } from '@weft/bytes';
import { describe, expect, it } from 'vitest';
import { writeChunk, writeLastChunk, writeRequestHead, writeResponseHead } from './encoder.ts';
import { H1EncodeError } from './errors.ts';
import { reasonPhrase } from './reason-phrase.ts';

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter();
  write(writer);
  return writer.buffer.toString('latin1', 0, writer.length);
}

describe('[PROTO-07] heads', () => {
  it('writes a request head with the fields as given', () => {
    expect(written((writer) => writeRequestHead(writer, 'GET', '/a?b', 1, ['host', 'x', 'x-empty', '', 'x-latin', 'caf\xe9']))).toBe(
      'GET /a?b HTTP/1.1\r\nhost: x\r\nx-empty: \r\nx-latin: caf\xe9\r\n\r\n',
    );
  });

  it('writes HTTP/1.0 where told', () => {
    expect(written((writer) => writeRequestHead(writer, 'GET', '/', 0, []))).toBe('GET / HTTP/1.0\r\n\r\n');
    expect(written((writer) => writeResponseHead(writer, 200, undefined, 0, []))).toBe('HTTP/1.0 200 OK\r\n\r\n');
  });

  it.each([
    [100, undefined, 'HTTP/1.1 100 Continue'],
    [204, '', 'HTTP/1.1 204 '],
    [404, 'Pas trouv\xe9', 'HTTP/1.1 404 Pas trouv\xe9'],
    [599, undefined, 'HTTP/1.1 599 '],
    [999, 'Own', 'HTTP/1.1 999 Own'],
  ])('writes status %i with reason %j', (status, reason, line) => {
    expect(written((writer) => writeResponseHead(writer, status, reason, 1, ['a', 'b']))).toBe(`${line}\r\na: b\r\n\r\n`);
  });

  it('appends to what the writer holds', () => {
    expect(
      written((writer) => {
        writeResponseHead(writer, 103, undefined, 1, []);
        writeResponseHead(writer, 200, undefined, 1, []);
      }),
    ).toBe('HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n');
  });

  it('knows the registered phrases and none for others', () => {
    expect([200, 431, 508, 299].map(reasonPhrase)).toEqual(['OK', 'Request Header Fields Too Large', 'Loop Detected', '']);
  });
});

describe('what would split a message is our own mistake', () => {
  const bad: [string, (writer: ByteWriter) => void][] = [];
  for (const [name, octet] of Object.entries({
    CR: '\r',
    LF: '\n',
    NUL: '\0',
    'U+010A (LF when truncated)': '\u010a',
    'U+560D': '\u560d',
  })) {
    bad.push(
      [`${name} in a method`, (writer) => writeRequestHead(writer, `G${octet}`, '/', 1, [])],
      [`${name} in a target`, (writer) => writeRequestHead(writer, 'GET', `/${octet}`, 1, [])],
      [`${name} in a name`, (writer) => writeRequestHead(writer, 'GET', '/', 1, ['host', 'x', `a${octet}`, 'b'])],
      [`${name} in a value`, (writer) => writeRequestHead(writer, 'GET', '/', 1, ['host', 'x', 'a', `b${octet}`])],
      [`${name} in a long value`, (writer) => writeRequestHead(writer, 'GET', '/', 1, ['a', `${'b'.repeat(100)}${octet}`])],
      [`${name} in a reason`, (writer) => writeResponseHead(writer, 200, `O${octet}`, 1, [])],
      [`${name} in a response value`, (writer) => writeResponseHead(writer, 200, undefined, 1, ['a', `${octet}b`])],
      [`${name} in a trailer`, (writer) => writeLastChunk(writer, ['a', `b${octet}`])],
    );
  }
  bad.push(
    ['a space in a target', (writer) => writeRequestHead(writer, 'GET', '/a b', 1, [])],
    ['an empty target', (writer) => writeRequestHead(writer, 'GET', '', 1, [])],
    ['an empty method', (writer) => writeRequestHead(writer, '', '/', 1, [])],
    ['an empty name', (writer) => writeRequestHead(writer, 'GET', '/', 1, ['', 'x'])],
    ['a pseudo-field of HTTP/2', (writer) => writeRequestHead(writer, 'GET', '/', 1, [':path', '/'])],
    ['a space in a name', (writer) => writeRequestHead(writer, 'GET', '/', 1, ['transfer-encoding ', 'chunked'])],
    ['a status of two digits', (writer) => writeResponseHead(writer, 20, undefined, 1, [])],
    ['a status that is no number', (writer) => writeResponseHead(writer, Number.NaN, undefined, 1, [])],
    ['a status between two numbers', (writer) => writeResponseHead(writer, 200.5, undefined, 1, [])],
  );

  it.each(bad)('throws for %s and writes nothing', (_, write) => {
    const writer = new ByteWriter();
    writer.writeLatin1('before');
    expect(() => write(writer)).toThrow(H1EncodeError);
    expect(writer.buffer.toString('latin1', 0, writer.length)).toBe('before');
  });
});

describe('[PROTO-07] the chunked coding', () => {
  const bytes = Buffer.alloc(70_000, 'x');

  it.each([
    [1, '1'],
    [15, 'f'],
    [16, '10'],
    [255, 'ff'],
    [4096, '1000'],
    [65_535, 'ffff'],
    [65_536, '10000'],
  ])('writes %i bytes behind their size', (length, size) => {
    expect(written((writer) => writeChunk(writer, bytes, 5, 5 + length))).toBe(`${size}\r\n${'x'.repeat(length)}\r\n`);
  });

  it('writes nothing for an empty piece, which would end the body', () => {
    expect(written((writer) => writeChunk(writer, bytes, 7, 7))).toBe('');
  });

  it('ends with the last chunk', () => {
    expect(written((writer) => writeLastChunk(writer))).toBe('0\r\n\r\n');
    expect(written((writer) => writeLastChunk(writer, []))).toBe('0\r\n\r\n');
    expect(written((writer) => writeLastChunk(writer, ['grpc-status', '0', 'b', '']))).toBe('0\r\ngrpc-status: 0\r\nb: \r\n\r\n');
  });
});
