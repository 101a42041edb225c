// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { resolveControlAddress, srvTarget } from './resolve.ts';

describe('addresses of the control plane', () => {
  it.each([
    ['10-1-2-3.dst.linkerd.svc.cluster.local', { ip: '10.1.2.3', port: 8086 }],
    ['fd00--1.dst.linkerd.svc.cluster.local', { ip: 'fd00::1', port: 8086 }],
    ['fd00-0-0-0-0-0-0-1.x', { ip: 'fd00:0:0:0:0:0:0:1', port: 8086 }],
    ['pod-0.dst.linkerd.svc', undefined],
    ['10-1-2.x', undefined],
    ['', undefined],
  ])('[LB-22] are the first labels of SRV targets: %s', (target, expected) => {
    expect(srvTarget(target, 8086)).toEqual(expected);
  });

  it.each([
    ['10.5.6.7', '10.5.6.7'],
    ['fd00::5', 'fd00::5'],
    ['localhost.', '127.0.0.1'],
  ])('need no lookup for %s', (host, ip) => {
    const found: unknown[] = [];
    const lookups: string[] = [];
    resolveControlAddress(
      { host, port: 1, identity: undefined },
      (recordType) => void lookups.push(recordType),
      (addresses) => found.push(...addresses),
      (message) => found.push(message),
    );
    expect([found, lookups]).toEqual([[{ ip, port: 1 }], []]);
  });
});
