// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { normaliseArguments, parseBoolean, parseInteger, parseList, parseListenAddress } from './flags.ts';

describe('normaliseArguments', () => {
  it.each([
    [
      ['destination', '-addr=:8086', '-log-level', 'debug'],
      ['destination', '--addr=:8086', '--log-level', 'debug'],
    ],
    [
      ['policy', '--grpc-addr=0.0.0.0:8090', '-h'],
      ['policy', '--grpc-addr=0.0.0.0:8090', '-h'],
    ],
    [
      ['-enable-ipv6', '-1', '-', '--', '-addr'],
      ['--enable-ipv6', '-1', '-', '--', '-addr'],
    ],
  ])('%j becomes %j', (given, expected) => {
    expect(normaliseArguments(given)).toEqual(expected);
  });
});

describe('values', () => {
  it.each([
    [':8086', { host: '', port: 8086 }],
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:65535', { host: '::1', port: 65_535 }],
    ['localhost:80', { host: 'localhost', port: 80 }],
  ])('address %j', (text, expected) => {
    expect(parseListenAddress(text)).toEqual(expected);
  });

  it.each(['', '8086', ':', ':x', ':65536', '::1:80', '[::1]', 'a:1:2'])('address %j is refused', (text) => {
    expect(() => parseListenAddress(text)).toThrow(/expected an address/);
  });

  it('booleans are those of Go, numbers whole, lists without empty items', () => {
    expect(['1', 't', 'true', 'T'].map(parseBoolean)).toEqual([true, true, true, true]);
    expect(['0', 'f', 'false', 'FALSE'].map(parseBoolean)).toEqual([false, false, false, false]);
    expect(() => parseBoolean('yes')).toThrow(/true or false/);
    expect([parseInteger('100'), parseInteger('-1')]).toEqual([100, -1]);
    for (const text of ['', '1.5', '1e3', '0x10', ' 1']) expect(() => parseInteger(text)).toThrow(/whole number/);
    expect(parseList('a, b,,c,')).toEqual(['a', 'b', 'c']);
  });
});
