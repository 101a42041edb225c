// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HTTP_DETECTION_MAX_BYTES, type HttpDetection, TransportHeaderDecoder, detectHttp } from './index.ts';
import { readHex } from './testdata/read-vectors.ts';

function detect(text: string): HttpDetection {
  const bytes = Buffer.from(text, 'latin1');
  return detectHttp(bytes, 0, bytes.length);
}

describe('[PROTO-01] detectHttp', () => {
  it.each([
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'PRI * HTTP/2.0',
    // The preface line decides; what follows is for the HTTP/2 codec to refuse.
    'PRI * HTTP/2.0xx',
  ])('takes %j for HTTP/2', (text) => {
    expect(detect(text)).toBe('http/2');
  });

  it('takes what the reference proxy sends behind its transport header for HTTP/2', () => {
    const [header, preface] = readHex('h2-client-first-bytes.hex') as [Buffer, Buffer];
    expect(new TransportHeaderDecoder().push(header, 0, header.length)).toMatchObject({
      kind: 'header',
      header: { sessionProtocol: 'http2' },
    });
    expect(detectHttp(preface, 0, preface.length)).toBe('http/2');
  });

  it.each([
    ['a whole request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
    ['exactly 14 bytes', 'GET / HTTP/1.1'],
    ['a method of its own', 'PURGE /x HTTP/1.1\r\n'],
    ['a lower-case method', 'get /index.html HTTP/1.1\r\n'],
    ['a bare LF', 'GET / HTTP/1.1\nHost: a\n'],
    ['empty lines before', '\r\n\n\r\nGET / HTTP/1.1\r\n'],
    ['an unfinished method', 'AVERYLONGMETHOD'],
    ['an unfinished target', 'GET /aaaaaaaaaaaaaa'],
    ['an unfinished version', 'GET /aaaaaaaa HTT'],
    ['a target with UTF-8', 'GET /caf\xc3\xa9 HTTP/1.1\r\n'],
    ['CONNECT', 'CONNECT a.example:443 HTTP/1.1\r\n'],
    ['bad fields, which the codec answers with 400', 'GET / HTTP/1.1\r\n bad field\0\r\n'],
    ['a request line longer than the limit', `GET /${'a'.repeat(2000)}`],
    ['CR at the end', 'GET / HTTP/1.1\r'],
    ['a beginning of the preface that turns into a request', 'PRI * HTTP/1.1\r\n'],
  ])('takes %s for HTTP/1', (_, text) => {
    expect(detect(text)).toBe('http/1');
  });

  it.each([
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaa'],
    ['SMTP', 'EHLO mail.example.com\r\n'],
    ['SSH', 'SSH-2.0-OpenSSH_9.9 comment\r\n'],
    ['Redis', '*1\r\n$4\r\nPING\r\n*1\r\n'],
    ['a Redis command as one line', 'SET key-of-mine some value\r\n'],
    ['MongoDB', '\x3a\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\xd4\x07\x00\x00'],
    ['PostgreSQL', '\x00\x00\x00\x08\x04\xd2\x16\x2f\x00\x00\x00\x00\x00\x00'],
    ['HTTP/0.9', 'GET /index.html\r\n'],
    ['HTTP/1.2', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'],
    ['HTTP/2.0 in a request line', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
    ['a lower-case version', 'GET / http/1.1\r\n\r\n'],
    ['two spaces', 'GET  / HTTP/1.1\r\n\r\n'],
    ['no method', ' / HTTP/1.1\r\nHost: a'],
    ['something after the version', 'GET / HTTP/1.1x\r\n'],
    ['CR without LF', 'GET / HTTP/1.1\rx'],
    ['CR without LF before the request', '\rGET / HTTP/1.1\r\n'],
    ['DEL in the target', 'GET /\x7f HTTP/1.1\r\n'],
    ['NUL', '\0'.repeat(14)],
    ['a short read', 'hello'],
    ['a short lower-case command', 'get key\r\n'],
    ['a short line with a method that ends too early', 'GET key\r\n'],
    ['13 bytes of a method nobody registered', 'PURGE /x HTTP'],
  ])('takes %s for opaque', (_, text) => {
    expect(detect(text)).toBe('not-http');
  });

  it.each(['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'GET /a HTTP/1.1\r\n\r\n', 'OPTIONS * HTTP/1.0\r\n\r\n', 'DELETE /a/b/c HTTP/1.1\r\n\r\n'])(
    'never takes a beginning of %j for opaque',
    (text) => {
      const whole = detect(text);
      for (let cut = 0; cut < text.length; cut++) expect(detect(text.slice(0, cut))).toBe(cut < 14 ? 'incomplete' : whole);
    },
  );

  it('looks only at its range, and at no more than its limit', () => {
    const bytes = Buffer.from('\0\0GET / HTTP/1.1\r\n\r\n\0\0', 'latin1');
    expect(detectHttp(bytes, 2, bytes.length - 2)).toBe('http/1');
    expect(detectHttp(bytes, 1, bytes.length)).toBe('not-http');
    const long = Buffer.from(`${'A'.repeat(HTTP_DETECTION_MAX_BYTES)}\0`, 'latin1');
    expect(detectHttp(long, 0, long.length)).toBe('http/1');
    expect(detectHttp(long, 1, long.length)).toBe('not-http');
  });

  it('answers anything with one of its four values, the same wherever the bytes lie', () => {
    const letters = fc.stringMatching(/^[A-Z /.*HTP12\r\n:]{0,40}$/).map((text) => Buffer.from(text, 'latin1'));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), letters), fc.nat(20), (bytes, offset) => {
        const shifted = Buffer.concat([Buffer.alloc(offset, 'G'), bytes, Buffer.from('T /')]);
        const answer = detectHttp(bytes, 0, bytes.length);
        expect(['http/1', 'http/2', 'not-http', 'incomplete']).toContain(answer);
        expect(detectHttp(shifted, offset, offset + bytes.length)).toBe(answer);
      }),
    );
  });
});
