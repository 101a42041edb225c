// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { contains, parseNetwork } from './cidr.ts';
import type { Network } from './cidr.ts';
import { hasPort } from './opaque-ports.ts';

describe('networks', () => {
  it.each([
    ['10.0.0.0/8', '10.244.0.0/24', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.244.0.0/24', '10.0.0.0/8', false],
    ['0.0.0.0/0', '192.0.2.1', true],
    ['fd00::/8', 'fd12:3456::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['::ffff:10.0.0.0/104', '::ffff:10.1.2.3', true],
    ['::/0', '10.0.0.1', false],
  ])('%s holds %s: %s', (outer, inner, expected) => {
    expect(contains(parseNetwork(outer) as Network, parseNetwork(inner) as Network)).toBe(expected);
  });

  it.each(['', 'x', '10.0.0.0/33', '10.0.0.0/8/8', '10.0.0/8', 'fd00::/129', '10.0.0.0/-1', '10.0.0.0/'])('%j is none', (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });
});

describe('opaque ports', () => {
  it.each([
    ['25,3306', 3306, true],
    ['25, 3000-4000 ', 3306, true],
    ['', 0, false],
    ['x-y,', 80, false],
    ['80-', 90, false],
  ])('%j holds %d: %s', (list, port, expected) => {
    expect(hasPort(list, port)).toBe(expected);
  });
});
