// SPDX-License-Identifier: Apache-2.0
/*
 * Messages that are valid, or nearly: a sound message in which up to three things were replaced by something doubtful. The
 * doubtful things are those of bad inputs 1 to 7.
 */
import { Buffer } from 'node:buffer';
import * as fc from 'fast-check';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'DELETE', 'PATCH', 'QUERY', 'BREW-IT', 'get', '', 'G(T', 'GET\t'];
const TARGETS = [
  '/', '/a?b=c', '*', 'http://a/x', 'http://a:81', 'a:443', '[::1]:443', 'a', ':443', 'http://', 'http://u@a/', 'ftp://a/', '/a#b', '/\xc3\xa9', '/\0',
  '/\x7f', '/a b', '', '/"<>\\^`{|}', '//', 'HTTP://A/', 'http://[::1]/', 'http://a:x/', '/%', '/\t', 'a/b', '?', 'http:/a', '1http://a/',
]; // prettier-ignore
const VERSIONS = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/3.0', 'http/1.1', 'HTTP/1.10', 'HTTP/1', 'HTTP/1.1 ', ' HTTP/1.1', '', 'HTTP/11'];
const STATUSES = ['200 OK', '200', '200 ', '404 Not Found', '100 Continue', '101 Switching Protocols', '204 No Content', '304 Not Modified', '099 No', '999 Own', '20 OK', '2000 OK', '2x0 OK', ' 200 OK', '200\tOK', '200 caf\xe9', '200 O\0K', '200 O\x7fK', '-200 OK', '600 ?']; // prettier-ignore
const LINE_ENDS = ['\r\n', '\n', '\r', '\r\r\n', '\n\r', ' \r\n', '\r\n '];
const HOSTS = ['Host: a', 'Host: a:80', 'Host: [::1]:80', 'Host:', 'host:a', 'Host: a b', 'Host: a/b', 'Host: a:x', 'Host: u@a', 'Host: a,b', 'Host: \xe9', 'Host: ::1', 'Host : a', 'X: no-host', 'Host: a\r\nHost: b', 'Host: a\r\nHost: a', 'Host: a_b', 'Host: %41', 'Host: a:', 'Host: a:65536', ' Host: a']; // prettier-ignore
const FIELDS = [
  'X: y', 'X:y', 'X: ', 'X:', 'X:  y\t ', 'x_y: z', 'X.y: z', '1: 2', 'X: \xff', 'X: a\tb', 'X : y', 'X\t: y', 'X y: z', ': y', 'X', 'X\xff: y', 'X\0: y', 'X: \0', 'X: \x0b',
  'X: \x7f', 'X: a\r\n b', 'X: a\r\n\tb', 'X: a\rb', 'X: a\nb', 'X: a\r', '"X": y', 'X@: y', 'Expect: 100-continue', 'Expect: 200-ok', 'Connection: close', 'Connection: keep-alive',
  'Connection: Upgrade\r\nUpgrade: websocket', 'Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM', 'Upgrade: websocket', 'Trailer: X', 'TE: trailers',
  'Content-Length: 5', 'Content-Length: 0', 'Content-Length: 3', 'Set-Cookie: a=b', 'Transfer-Encoding: chunked',
]; // prettier-ignore
const CHUNKED = [
  'Transfer-Encoding: chunked', 'transfer-encoding:CHUNKED', 'Transfer-Encoding: chunked ', 'Transfer-Encoding: xchunked', 'Transfer-Encoding: gzip', 'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip', 'Transfer-Encoding: chunked, identity', 'Transfer-Encoding: identity, chunked', 'Transfer-Encoding: identity', 'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding:', 'Transfer-Encoding: ,chunked', 'Transfer-Encoding: chunked,', 'Transfer-Encoding: chunked;q=1', 'Transfer-Encoding: "chunked"', 'Transfer-Encoding : chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
  'Transfer-Encoding: \x0bchunked', 'Transfer-Encoding: \xa0chunked', 'Transfer_Encoding: chunked', 'Transfer-Encoding:\r\n chunked', 'Content-Length: 5\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 5', 'X-Transfer-Encoding: chunked', 'Transfer-Encoding: chunked\tx',
]; // prettier-ignore
const LENGTHS = [
  '5', '05', '+5', '-5', '5,5', '5, 5', '5, 6', '5\r\nContent-Length: 5', '5\r\nContent-Length: 6', '0x5', '5.0', '5e0', '', ' ', '5 5', '5\t', '\t5', '9007199254740992', '18446744073709551621',
  '5_0', '٥', '5;a', '\x0b5', "'5'", '00000000000000000000005',
]; // prettier-ignore
const CHUNK_SIZES = [
  '5', '05', '00000000000000005', '5;a', '5;a=b', '5;a="b"', '5; a', '5 ;a', '5 ', '5;', ' 5', '', '0x5', '+5', '-5', '5g', '5;a\n', '5;a\rb', '5;\0', '5;a=\x7f', 'FFFFFFFFFFFFFFFFF', '5\t', '5;=b', '5;;a', '5;a=b;c=d',
  '5;a="', '5;a="\\""', '5;a b', '5,a', '5\n', '5;\xff=\xff', '20000000000005',
]; // prettier-ignore
const TRAILERS = ['', 'X: y\r\n', 'X: y\r\nZ: z\r\n', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Host: b\r\n', 'X : y\r\n', 'X: y\r\n z\r\n', 'X\r\n', 'X: \0\r\n', 'X: y\n', ': y\r\n', 'Connection: close\r\n', ' X: y\r\n']; // prettier-ignore

/** Mostly the sound first one. */
function mostly(soundWeight: number, [sound, ...others]: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: soundWeight, arbitrary: fc.constant(sound) }, { weight: 1, arbitrary: fc.constantFrom(...others) });
}

const LINE_END = mostly(60, LINE_ENDS);
const OTHER_FIELDS = fc.oneof(
  { weight: 3, arbitrary: fc.constant<string[]>([]) },
  { weight: 2, arbitrary: fc.array(fc.constantFrom(...FIELDS), { minLength: 1, maxLength: 2 }) },
);
const COUNTED = mostly(2, LENGTHS).map((length) => ({ field: `Content-Length: ${length}`, body: 'hello' }));
const CHUNKED_BODY = fc
  .tuple(mostly(5, CHUNKED), mostly(2, CHUNK_SIZES), mostly(20, LINE_ENDS), mostly(20, LINE_ENDS), mostly(3, ['0', '00', '0;a', '0 ', '', '0x0', '-0', '00000000000000000']), mostly(3, TRAILERS), mostly(20, LINE_ENDS))
  .map(([field, size, sizeEnd, dataEnd, last, trailers, end]) => ({ field, body: `${size}${sizeEnd}hello${dataEnd}${last}\r\n${trailers}${end}` })); // prettier-ignore
const CONTENT = fc.oneof(fc.constant({ field: undefined, body: '' }), COUNTED, { weight: 2, arbitrary: CHUNKED_BODY });

function message(startLine: fc.Arbitrary<string>, first: fc.Arbitrary<string[]>): fc.Arbitrary<Buffer> {
  return fc.tuple(mostly(30, ['', '\r\n', '\n', '\r', '\r\n\r\n', ' ']), startLine, first, OTHER_FIELDS, CONTENT, fc.array(LINE_END, { minLength: 8, maxLength: 8 }), LINE_END).map(
    ([before, start, firstFields, others, { field, body }, ends, end]) => {
      const lines = [start, ...firstFields, ...(field === undefined ? [] : [field]), ...others];
      return Buffer.from(`${before}${lines.map((line, i) => line + ends[i]).join('')}${end}${body}`, 'latin1');
    },
  ); // prettier-ignore
}

export const NEAR_VALID_REQUEST: fc.Arbitrary<Buffer> = message(
  fc.tuple(mostly(3, ['POST', ...METHODS]), mostly(4, TARGETS), mostly(12, VERSIONS)).map((parts) => parts.join(' ')),
  mostly(4, HOSTS).map((host) => [host]),
);

export const NEAR_VALID_RESPONSE: fc.Arbitrary<Buffer> = message(
  fc.tuple(mostly(12, VERSIONS), mostly(2, STATUSES)).map((parts) => parts.join(' ')),
  fc.constant([]),
);
