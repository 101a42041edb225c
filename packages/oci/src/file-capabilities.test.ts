// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { decodeFileCapabilities, encodeFileCapabilities } from './file-capabilities.ts';

describe('file capabilities', () => {
  it('writes what `setcap cap_net_admin,cap_net_raw+ep` writes', () => {
    const value = encodeFileCapabilities({ permitted: ['net_admin', 'net_raw'], isEffective: true });
    expect(value.toString('hex')).toBe('0100000200300000000000000000000000000000');
  });

  it.each([
    { permitted: ['net_raw'], isEffective: true },
    { permitted: ['net_admin', 'net_raw'], isEffective: false },
    { permitted: [], isEffective: false },
  ] as const)('reads what it writes: %o', (capabilities) => {
    expect(decodeFileCapabilities(encodeFileCapabilities(capabilities))).toEqual(capabilities);
  });

  it.each([
    ['an unknown revision', '0100000100300000000000000000000000000000'],
    ['a capability without a name here', '0100000201000000000000000000000000000000'],
    ['too few bytes', '01000002'],
  ])('refuses %s', (_, hex) => {
    expect(() => decodeFileCapabilities(Buffer.from(hex, 'hex'))).toThrow(RangeError);
  });
});
