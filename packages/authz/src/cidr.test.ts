// SPDX-License-Identifier: Apache-2.0
import { BlockList, isIP } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIp } from './ip-address.ts';
import { type Cidr, parseCidr, parseCidrSet } from './index.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if ('error' in parsed) throw new Error(`${parsed.error.code}: ${text}`);
  return parsed.cidr;
}

function isAddress(text: string): boolean {
  return parseIp(text, new Uint32Array(4)) !== 0;
}

describe('Cidr', () => {
  it.each<[string, string, boolean]>([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.0.0.0/8', '9.255.255.255', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['10.0.0.1/32', '10.0.0.1', true],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['255.255.255.255/1', '128.0.0.0', true],
    ['255.255.255.255/1', '127.0.0.0', false],
    ['::/0', '2001:db8::1', true],
    ['::/0', '10.0.0.1', false],
    ['::/0', '::ffff:10.0.0.1', false],
    ['2001:db8::/32', '2001:db8:ffff::', true],
    ['2001:db8::/32', '2001:db9::', false],
    ['2001:db8::/33', '2001:db8:8000::', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['::1/128', '::1', true],
    ['::1', '::2', false],
    ['10.0.0.0/8', '::ffff:10.1.2.3', true],
    ['10.0.0.0/8', '::ffff:a01:203', true],
    ['10.0.0.0/8', '0:0:0:0:0:FFFF:10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '10.1.2.3', true],
    ['::ffff:10.0.0.0/104', '11.1.2.3', false],
    ['::ffff:10.0.0.1', '10.0.0.1', true],
    ['::ffff:0.0.0.0/96', '1.2.3.4', true],
    ['10.0.0.0/8', '', false],
    ['10.0.0.0/8', '10.0.0', false],
    ['10.0.0.0/8', '10.0.0.1:80', false],
    ['10.0.0.0/8', 'localhost', false],
  ])('%s contains %s: %s', (network, ip, expected) => {
    expect(cidr(network).contains(ip)).toBe(expected);
    expect(parseCidrSet(['192.0.2.0/24', network]).set.contains(ip)).toBe(expected);
  });

  it.each([
    ['', 'ERR_CIDR_ADDRESS'],
    ['/', 'ERR_CIDR_ADDRESS'],
    ['/8', 'ERR_CIDR_ADDRESS'],
    ['10.0.0/8', 'ERR_CIDR_ADDRESS'],
    ['10.0.0.0.0/8', 'ERR_CIDR_ADDRESS'],
    ['10.0.0.256/8', 'ERR_CIDR_ADDRESS'],
    ['010.0.0.0/8', 'ERR_CIDR_ADDRESS'],
    ['10.0.0.0 /8', 'ERR_CIDR_ADDRESS'],
    ['0x0a.0.0.0/8', 'ERR_CIDR_ADDRESS'],
    ['fe80::1%eth0/64', 'ERR_CIDR_ADDRESS'],
    ['2001:db8/32', 'ERR_CIDR_ADDRESS'],
    [':::/0', 'ERR_CIDR_ADDRESS'],
    ['10.0.0.0/', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/33', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/-1', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/+8', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/08', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/8/8', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/255.0.0.0', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/8 ', 'ERR_CIDR_PREFIX'],
    ['10.0.0.0/9999999999999999999999', 'ERR_CIDR_PREFIX'],
    ['::/129', 'ERR_CIDR_PREFIX'],
    ['::ffff:10.0.0.0/8', 'ERR_CIDR_PREFIX'],
  ])('refuses %j with %s', (text, code) => {
    expect(parseCidr(text)).toEqual({ error: { code, text } });
    expect(parseCidrSet(['10.0.0.0/8', text]).errors).toEqual([{ code, text }]);
  });

  it('does not repeat megabytes of a bad network', () => {
    const parsed = parseCidr('x'.repeat(1_000_000));
    expect('error' in parsed && parsed.error.text.length).toBe(103);
  });

  it('reads every address that Node reads, and no other', () => {
    const group = fc.stringMatching(/^[0-9a-fA-F]{0,5}$/);
    const octet = fc.oneof(fc.nat(300).map(String), fc.constantFrom('', '00', '01', '1a', '-1'));
    const ipv4 = fc.array(octet, { minLength: 3, maxLength: 5 }).map((octets) => octets.join('.'));
    const like = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      ipv4,
      fc.array(group, { maxLength: 9 }).map((groups) => groups.join(':')),
      fc.tuple(fc.array(group, { maxLength: 7 }), ipv4).map(([groups, tail]) => [...groups, tail].join(':')),
      fc.stringMatching(/^[0-9a-f:.%]{0,12}$/),
      fc.ipV6().map((text) => `${text}%eth0`),
    );
    fc.assert(
      fc.property(like, (text) => {
        expect(`${text} ${isAddress(text)}`).toBe(`${text} ${isIP(text) !== 0}`);
      }),
      { numRuns: 5000 },
    );
  });

  it('contains what Node says that a network contains', () => {
    // Few distinct octets, so that addresses and networks often meet.
    const near4 = fc.array(fc.constantFrom(0, 1, 10, 127, 128, 255), { minLength: 4, maxLength: 4 }).map((octets) => octets.join('.'));
    const near6 = fc
      .array(fc.constantFrom('0', '1', '8000', 'ffff', 'fe80'), { minLength: 8, maxLength: 8 })
      .map((groups) => groups.join(':'));
    const check = (family: 'ipv4' | 'ipv6', network: string, ip: string, bits: number): void => {
      const oracle = new BlockList();
      oracle.addSubnet(network, bits, family);
      expect(cidr(`${network}/${bits}`).contains(ip)).toBe(oracle.check(ip, family));
    };
    fc.assert(
      fc.property(near4, near4, fc.integer({ min: 0, max: 32 }), (network, ip, bits) => check('ipv4', network, ip, bits)),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(near6, near6, fc.integer({ min: 0, max: 128 }), (network, ip, bits) => {
        const isMapped = (text: string): boolean => text.startsWith('0:0:0:0:0:ffff:');
        fc.pre(!isMapped(network) && !isMapped(ip));
        check('ipv6', network, ip, bits);
      }),
      { numRuns: 1000 },
    );
  });
});
