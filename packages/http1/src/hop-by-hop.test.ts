// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { stripHopByHop } from './hop-by-hop.ts';

describe('[PROTO-07] hop-by-hop fields', () => {
  it('gives the same array back where nothing has to go', () => {
    const fields = ['host', 'a', 'te', 'trailers', 'content-length', '5'];
    expect(stripHopByHop(fields)).toBe(fields);
  });

  it.each([
    [
      'what the contract names',
      ['a', '1', 'connection', 'close', 'keep-alive', 'timeout=5', 'proxy-connection', 'x', 'b', '2'],
      ['a', '1', 'b', '2'],
    ],
    ['transfer-encoding, which framing replaces', ['transfer-encoding', 'chunked', 'b', '2'], ['b', '2']],
    ['an upgrade', ['connection', 'Upgrade', 'upgrade', 'websocket', 'b', '2'], ['b', '2']],
    ['an offer of h2c', ['connection', 'Upgrade, HTTP2-Settings', 'upgrade', 'h2c', 'http2-settings', 'AAM'], []],
    ['an offer of h2c that forgot to list its settings', ['connection', 'Upgrade', 'upgrade', 'h2c', 'http2-settings', 'AAM'], []],
    ['what Connection lists, in any case', ['x-a', '1', 'connection', 'X-A , x-b', 'x-b', '2', 'x-c', '3'], ['x-c', '3']],
    ['what a second Connection lists', ['connection', 'x-a', 'connection', 'x-b', 'x-a', '1', 'x-b', '2', 'x-c', '3'], ['x-c', '3']],
    ['te other than trailers', ['te', 'gzip, trailers', 'b', '2'], ['b', '2']],
    ['te: trailers is kept though Connection lists it', ['connection', 'te', 'te', 'Trailers'], ['te', 'Trailers']],
    [
      'no framing or routing, though Connection lists it',
      ['connection', 'host, content-length', 'host', 'a', 'content-length', '5'],
      ['host', 'a', 'content-length', '5'],
    ],
  ])('removes %s', (_, fields, kept) => {
    const before = [...fields];
    expect(stripHopByHop(fields)).toEqual(kept);
    expect(fields).toEqual(before);
  });
});
