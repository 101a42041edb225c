// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type HostMatch, sniTable } from './index.ts';

const EXACT: HostMatch = { kind: 'exact', host: 'a.x.y' };
const SUFFIX: HostMatch = { kind: 'suffix', reverseLabels: ['y', 'x'] };
const SHORT: HostMatch = { kind: 'suffix', reverseLabels: ['y'] };

describe('[RT-03] SniRouteTable', () => {
  it.each<[readonly HostMatch[][], string, number | undefined]>([
    [[[], [SHORT], [SUFFIX], [EXACT]], 'a.x.y', 3],
    [[[EXACT], [SUFFIX], [SHORT], []], 'b.x.y', 1],
    [[[SHORT], [SUFFIX]], 'a.b.x.y', 1],
    [[[SUFFIX], []], 'x.y', 1],
    [[[SUFFIX]], 'x.y', undefined],
    [[[EXACT]], 'A.x.y', undefined],
    [[[EXACT], [EXACT]], 'a.x.y', 0],
    [[[], []], 'z', 0],
    [[[SHORT, EXACT], [SUFFIX]], 'a.x.y', 0],
    [[], 'a', undefined],
  ])('of %j for %s gives %s', (hostLists, sni, expected) => {
    const routes = hostLists.map((hosts) => ({ hosts }));
    expect(sniTable(routes).match(sni)?.route).toBe(expected === undefined ? undefined : routes[expected]);
  });
});
