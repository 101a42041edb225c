// SPDX-License-Identifier: Apache-2.0
/*
 * HTTP/1 framing (bad-inputs 1–5 and 7) at a running inbound proxy. Each attack follows a good request on the same connection and has another
 * request hidden behind it: the proxy answers the attack with the stated status and closes, and neither the attack nor what hides in it
 * reaches the application.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_IP } from '@weft/testkit/sidecar-rig';
import { expectUnharmed, HTTP1_PORT, peerErrors, seen, startWorld, statuses, textOf, type World } from './world.ts';

const FIRST = 'GET /first HTTP/1.1\r\nhost: a\r\n\r\n';
const HIDDEN = 'GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n';

/** A POST with these fields, and a body that two parsers could end in two places. */
function post(fields: string, body = `0\r\n\r\n${HIDDEN}`): string {
  return `POST /attack HTTP/1.1\r\nhost: a\r\n${fields}\r\n${body}`;
}

function get(fields: string): string {
  return `GET /attack HTTP/1.1\r\nhost: a\r\n${fields}\r\n${HIDDEN}`;
}

/** A chunked POST with these chunks. */
function chunked(chunks: string): string {
  return post('transfer-encoding: chunked\r\n', `${chunks}${HIDDEN}`);
}

/** Line of bad-inputs.md, name, bytes, status of the answer. */
const REFUSED: readonly (readonly [number, string, string, number])[] = [
  [1, 'Content-Length and Transfer-Encoding', post('content-length: 6\r\ntransfer-encoding: chunked\r\n'), 400],
  [1, 'Transfer-Encoding and Content-Length', post('transfer-encoding: chunked\r\ncontent-length: 6\r\n'), 400],
  [1, 'a space before the colon', post('transfer-encoding : chunked\r\ncontent-length: 6\r\n'), 400],
  [1, 'xchunked', post('transfer-encoding: xchunked\r\n'), 501],
  [1, 'xchunked with a length', post('transfer-encoding: xchunked\r\ncontent-length: 6\r\n'), 501],
  [1, 'a vertical tab before chunked', post('transfer-encoding: \x0bchunked\r\n'), 400],
  [1, 'chunked, identity', post('transfer-encoding: chunked, identity\r\n'), 400],
  [1, 'identity', post('transfer-encoding: identity\r\n'), 400],
  [1, 'two lines: chunked, then identity', post('transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n'), 400],
  [1, 'chunked twice', post('transfer-encoding: chunked, chunked\r\n'), 400],
  [1, 'Transfer-Encoding folded', post('transfer-encoding:\r\n chunked\r\n'), 400],
  [1, 'a quoted coding', post('transfer-encoding: "chunked"\r\n'), 400],
  [1, 'an empty coding', post('transfer-encoding:\r\n'), 400],
  [1, 'chunked over HTTP/1.0', `POST /attack HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`, 400],
  [2, 'two lengths, equal', post('content-length: 5\r\ncontent-length: 5\r\n'), 400],
  [2, 'two lengths, different', post('content-length: 5\r\ncontent-length: 6\r\n'), 400],
  [2, 'two lengths in a list, different', post('content-length: 5, 6\r\n'), 400],
  [2, '+5', post('content-length: +5\r\n'), 400],
  [2, '0x5', post('content-length: 0x5\r\n'), 400],
  [2, '-1', post('content-length: -1\r\n'), 400],
  [2, '5 5', post('content-length: 5 5\r\n'), 400],
  [2, '5.0', post('content-length: 5.0\r\n'), 400],
  [2, '1e1', post('content-length: 1e1\r\n'), 400],
  [2, 'nothing', post('content-length:\r\n'), 400],
  [2, 'beyond 2^53', post('content-length: 9007199254740993\r\n'), 400],
  [2, 'beyond 2^64', post('content-length: 18446744073709551621\r\n'), 400],
  [3, 'a bare LF after the start line', `GET /attack HTTP/1.1\nhost: a\r\n\r\n${HIDDEN}`, 400],
  [3, 'a bare LF after a field', get('a: b\nc: d\r\n'), 400],
  [3, 'a bare CR after a field', get('a: b\rc: d\r\n'), 400],
  [3, 'CR inside a value', get('a: b\rc\r\n'), 400],
  [3, 'NUL inside a value', get('a: b\0c\r\n'), 400],
  [3, 'NUL inside a name', get('a\0b: c\r\n'), 400],
  [3, 'a folded line', get('a: b\r\n c\r\n'), 400],
  [3, 'a space before a colon', get('a : b\r\n'), 400],
  [3, 'a tab before a colon', get('a\t: b\r\n'), 400],
  [3, 'white space before the first field', `GET /attack HTTP/1.1\r\n host: a\r\n\r\n${HIDDEN}`, 400],
  [3, 'an empty name', get(': b\r\n'), 400],
  [3, 'a line without colon', get('ab\r\n'), 400],
  [3, 'an octet above 127 in a name', get('\xe4: b\r\n'), 400],
  [4, 'a chunk size beyond 2^64', chunked('10000000000000005\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'a chunk size beyond 2^53', chunked('20000000000001\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'a chunk size of very many digits', chunked(`${'0'.repeat(1000)}5\r\nhello\r\n0\r\n\r\n`), 400],
  [4, 'a chunk size with 0x', chunked('0x5\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'a chunk size with a sign', chunked('+5\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'a negative chunk size', chunked('-5\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'an empty chunk size', chunked('\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'a bare LF after the size', chunked('5\nhello\r\n0\r\n\r\n'), 400],
  [4, 'a bare CR after the size', chunked('5\rhello\r\n0\r\n\r\n'), 400],
  [4, 'LF inside an extension', chunked('5;a\nb\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'CR inside an extension', chunked('5;a\rb\r\nhello\r\n0\r\n\r\n'), 400],
  [4, 'an extension of 1 MB', chunked(`5;${'a'.repeat(1_000_000)}\r\nhello\r\n0\r\n\r\n`), 400],
  [4, 'no CRLF after the data', chunked('5\r\nhello0\r\n\r\n'), 400],
  [4, 'more data than its size', chunked('5\r\nhello!\r\n0\r\n\r\n'), 400],
  [5, 'a trailer section too large', chunked(`0\r\n${'t: x\r\n'.repeat(5000)}\r\n`), 431],
  [5, 'a folded trailer', chunked('0\r\na: b\r\n c\r\n\r\n'), 400],
  [7, 'no Host', `GET /attack HTTP/1.1\r\n\r\n${HIDDEN}`, 400],
  [7, 'Host twice', get('host: b\r\n'), 400],
  [7, 'a Host that is none', `GET /attack HTTP/1.1\r\nhost: a b\r\n\r\n${HIDDEN}`, 400],
  [7, 'a Host with userinfo', `GET /attack HTTP/1.1\r\nhost: u@a\r\n\r\n${HIDDEN}`, 400],
  [7, 'a start line of 1 MB', `GET /${'a'.repeat(1_000_000)} HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`, 414],
  [7, 'a method of 40 KB', `${'M'.repeat(40_000)} / HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`, 414],
  [7, 'a field line of 1 MB', get(`a: ${'b'.repeat(1_000_000)}\r\n`), 431],
  [7, 'a field name of 1 MB', get(`${'b'.repeat(1_000_000)}: a\r\n`), 431],
  [7, '10,000 fields', get('a: b\r\n'.repeat(10_000)), 431],
  [7, 'a fragment in the target', `GET /attack#x HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`, 400],
  [7, 'a space in the target', `GET /attack x HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`, 400],
  [7, 'HTTP/1.2', `GET /attack HTTP/1.2\r\nhost: a\r\n\r\n${HIDDEN}`, 505],
  [7, 'HTTP/2.0 amid HTTP/1', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${HIDDEN}`, 505],
  [7, 'no version', `GET /attack\r\nhost: a\r\n\r\n${HIDDEN}`, 400],
];

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.rig.stop());

describe('an HTTP/1 message that two parsers could read in two ways', () => {
  it.each(REFUSED)('[PROTO-07] bad-inputs %i: %s is refused', async (_line, _name, text, status) => {
    await seen(world);
    const before = await peerErrors(world, 'server', 'ERR_H1');
    const outcome = await world.outside.call('attack', {
      host: SERVER_IP,
      port: HTTP1_PORT,
      steps: [{ text: FIRST, awaitBytes: 50 }, { text }],
    });
    expect(statuses(textOf(outcome))).toEqual([200, status]);
    // What was sent after the refusal may turn the FIN into RST; the connection is over either way.
    expect(outcome.end).not.toBe('open');
    expect((await seen(world)).map(({ url }) => url)).toEqual(['/first']);
    expect(await peerErrors(world, 'server', 'ERR_H1')).toBe(before + 1);
    await expectUnharmed(world);
  });
});
