// SPDX-License-Identifier: Apache-2.0
import { SocketAddress } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipv6Text, unmapped } from './socket-address.ts';

function textOf(groups: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(16));
  groups.forEach((group, index) => view.setUint16(2 * index, group, false));
  return ipv6Text(view, 0);
}

describe('ipv6Text', () => {
  const cases: [number[], string][] = [
    [[0, 0, 0, 0, 0, 0, 0, 0], '::'],
    [[0, 0, 0, 0, 0, 0, 0, 1], '::1'],
    [[0xfe80, 0, 0, 0, 0, 0, 0, 0], 'fe80::'],
    [[0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], '2001:db8::1:0:0:1'],
    [[0x2001, 0xdb8, 0, 1, 1, 1, 1, 1], '2001:db8:0:1:1:1:1:1'],
    [[0x2001, 0, 0, 1, 0, 0, 0, 1], '2001:0:0:1::1'],
    [[0xfd00, 1, 2, 3, 4, 5, 6, 0xabcd], 'fd00:1:2:3:4:5:6:abcd'],
    [[0, 0, 0, 0, 0, 0xffff, 0x0a01, 0x0203], '10.1.2.3'],
  ];
  for (const [groups, text] of cases) it(`writes ${text}`, () => expect(textOf(groups)).toBe(text));

  it('writes every address as the kernel-facing parser of Node reads it back', () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xff_ff }));
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
        const full = groups.map((value) => value.toString(16)).join(':');
        const text = textOf(groups);
        const again = new SocketAddress({ address: text, family: text.includes(':') ? 'ipv6' : 'ipv4' });
        expect(unmapped(new SocketAddress({ address: full, family: 'ipv6' }).address)).toBe(unmapped(again.address));
      }),
    );
  });
});

it('unwraps IPv4-mapped addresses only', () => {
  expect(unmapped('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect(unmapped('::ffff:1')).toBe('::ffff:1');
  expect(unmapped('fd00::1')).toBe('fd00::1');
});
