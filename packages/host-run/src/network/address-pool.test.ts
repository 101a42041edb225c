// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ADDRESS_REST_MS, AddressPool, overlaps, parseNetwork } from './address-pool.ts';

const network = (text: string): NonNullable<ReturnType<typeof parseNetwork>> => {
  const parsed = parseNetwork(text);
  if (parsed === undefined) throw new Error(`no network: ${text}`);
  return parsed;
};

describe('AddressPool', () => {
  it('leaves out the network, the gateway and the last address', () => {
    const pool = new AddressPool(network('10.244.0.0/29'));
    expect(pool.gateway).toBe('10.244.0.1');
    const taken = Array.from({ length: 5 }, () => pool.take(0));
    expect(taken).toEqual(['10.244.0.2', '10.244.0.3', '10.244.0.4', '10.244.0.5', '10.244.0.6']);
    expect(() => pool.take(0)).toThrow('no free pod address');
  });

  it('lets an address rest before another pod gets it', () => {
    const pool = new AddressPool(network('10.244.0.0/29'));
    const taken = Array.from({ length: 5 }, () => pool.take(0));
    pool.release(taken[2] ?? '', 1000);
    expect(() => pool.take(1000 + ADDRESS_REST_MS - 1)).toThrow('no free pod address');
    expect(pool.take(1000 + ADDRESS_REST_MS)).toBe('10.244.0.4');
  });

  it('takes new addresses before used ones', () => {
    const pool = new AddressPool(network('10.244.0.0/16'));
    pool.release(pool.take(0), 0);
    expect(pool.take(ADDRESS_REST_MS)).toBe('10.244.0.3');
  });
});

describe('parseNetwork', () => {
  it.each(['10.0.0.0', '10.0.0.0/33', '10.0.0/8', '10.0.0.0/30', 'fd00::/64', '10.0.0.0/8/8', ''])('refuses %j', (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });

  it('begins at the network, wherever the address lies in it', () => {
    expect(parseNetwork('10.244.7.9/16')).toEqual(parseNetwork('10.244.0.0/16'));
  });

  it.each([
    ['10.244.0.0/16', '10.244.3.0/24', true],
    ['10.244.0.0/16', '10.243.0.0/16', false],
    ['10.0.0.0/8', '10.244.0.0/16', true],
  ])('%s and %s overlap: %s', (a, b, result) => {
    expect(overlaps(network(a), network(b))).toBe(result);
    expect(overlaps(network(b), network(a))).toBe(result);
  });
});
