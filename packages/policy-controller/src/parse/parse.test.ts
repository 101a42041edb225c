// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseServiceAuthority } from './authority.ts';
import { durationOf, parseAnnotationDuration, parseGoDuration } from './duration.ts';
import { addressCount, contains, ipKey, ipMessage, overlaps, parseIp, parseNetwork } from './ip-network.ts';
import { type Parsed } from './parsed.ts';
import { parsePortSet } from './port-set.ts';
import { parseWorkload } from './workload.ts';

function valueOf<T>(parsed: Parsed<T>): T | undefined {
  return parsed.ok ? parsed.value : undefined;
}

describe('[REL-04] durations of annotations', () => {
  it.each([
    ['150ms', 150],
    ['10s', 10_000],
    ['1m', 60_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['0', 0],
    ['0s', 0],
    ['5', undefined],
    ['1.5s', undefined],
    ['-1s', undefined],
    ['1m30s', undefined],
    ['1 s', undefined],
    ['s', undefined],
    ['', undefined],
    ['1us', undefined],
    ['99999999999999999999d', undefined],
    ['9'.repeat(400), undefined],
  ])('%s', (text, ms) => {
    expect(valueOf(parseAnnotationDuration(text))).toBe(ms);
  });
});

describe('[REL-05] durations of route timeouts', () => {
  it.each([
    ['0s', 0],
    ['0', 0],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['100ms', 100],
    ['250us', 0.25],
    ['1h2m3s4ms', 3_723_004],
    ['-1s', undefined],
    ['5', undefined],
    ['1s ', undefined],
    ['', undefined],
    ['1d', undefined],
    [`${'9'.repeat(400)}h`, undefined],
  ])('%s', (text, ms) => {
    expect(valueOf(parseGoDuration(text))).toBe(ms);
  });

  it('become seconds and nanoseconds', () => {
    expect(durationOf(1500.25)).toEqual({ seconds: 1n, nanos: 500_250_000 });
  });
});

describe('[PROTO-05] port lists', () => {
  it.each([
    ['4000,5000-5002', [4000, 5000, 5002], [4001, 4999, 5003]],
    [' 80 , 81 ,', [80, 81], [82]],
    ['1-65535', [1, 65_535], []],
    ['', [], [80]],
  ])('%s', (text, inside, outside) => {
    const ports = valueOf(parsePortSet(text));
    expect(inside.map((port) => ports?.has(port))).toEqual(inside.map(() => true));
    expect(outside.map((port) => ports?.has(port))).toEqual(outside.map(() => false));
  });

  it.each(['http', '80,http', '0', '65536', '5-4', '1-2-3', '-5', '80;81', '1e3'])('%s is no list', (text) => {
    expect(parsePortSet(text).ok).toBe(false);
  });
});

describe('addresses and networks', () => {
  it.each([
    ['10.0.0.1', { ip: { case: 'ipv4', value: 0x0a00_0001 } }],
    ['255.255.255.255', { ip: { case: 'ipv4', value: 0xffff_ffff } }],
    ['2001:db8::1', { ip: { case: 'ipv6', value: { first: 0x2001_0db8_0000_0000n, last: 1n } } }],
    ['::', { ip: { case: 'ipv6', value: { first: 0n, last: 0n } } }],
    ['::ffff:10.0.0.1', { ip: { case: 'ipv6', value: { first: 0n, last: 0xffff_0a00_0001n } } }],
    ['1:2:3:4:5:6:7:8', { ip: { case: 'ipv6', value: { first: 0x0001_0002_0003_0004n, last: 0x0005_0006_0007_0008n } } }],
  ])('%s on the wire', (text, message) => {
    const address = parseIp(text);
    expect(address === undefined ? undefined : ipMessage(address)).toEqual(message);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7::8',
    'None',
  ])('%s is no address', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  it.each(['10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8', '/8'])('%s is no network', (text) => {
    expect(parseNetwork(text).ok).toBe(false);
  });

  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['0.0.0.0/0', '255.1.2.3', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '::1', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.1.0.0/16', '10.0.0.0/8', false],
  ])('%s holds %s: %s', (outer, inner, isHeld) => {
    const [a, b] = [valueOf(parseNetwork(outer)), valueOf(parseNetwork(inner))];
    expect(a !== undefined && b !== undefined && contains(a, b)).toBe(isHeld);
  });

  it('overlap exactly when one holds the other, in either order', () => {
    const octet = fc.integer({ min: 0, max: 3 });
    fc.assert(
      fc.property(octet, octet, fc.integer({ min: 28, max: 32 }), fc.integer({ min: 28, max: 32 }), (x, y, m, n) => {
        const [a, b] = [valueOf(parseNetwork(`10.0.0.${x * 4}/${m}`)), valueOf(parseNetwork(`10.0.0.${y * 4}/${n}`))];
        if (a === undefined || b === undefined) throw new Error('not a network');
        const common = [...Array(16).keys()].some((i) => {
          const address = parseIp(`10.0.0.${i}`);
          return address !== undefined && contains(a, address) && contains(b, address);
        });
        expect([overlaps(a, b), overlaps(b, a), addressCount(a)]).toEqual([common, common, 2n ** BigInt(32 - m)]);
      }),
    );
  });

  it('have one key per address', () => {
    const keys = ['10.0.0.1', '::a00:1', '::ffff:10.0.0.1'].map((text) => ipKey(parseIp(text) ?? { bits: 32, value: 0n }));
    expect(new Set(keys).size).toBe(3);
  });
});

describe('[AZ-22] workload names', () => {
  it.each([
    ['ns:pod', { kind: 'pod', namespace: 'ns', name: 'pod' }],
    ['{"ns":"ns","pod":"p"}', { kind: 'pod', namespace: 'ns', name: 'p' }],
    ['{"ns":"ns", "pod":"p", "node":"x"}\n', { kind: 'pod', namespace: 'ns', name: 'p' }],
    ['{"ns":"ns","external_workload":"vm"}', { kind: 'external-workload', namespace: 'ns', name: 'vm' }],
    ['', undefined],
    ['ns', undefined],
    [':pod', undefined],
    ['ns:', undefined],
    ['{"ns":"ns"}', undefined],
    ['{"pod":"p"}', undefined],
    ['{"ns":1,"pod":"p"}', undefined],
    ['{"ns":"ns","pod":', undefined],
    ['{}', undefined],
  ])('%s', (text, workload) => {
    expect(parseWorkload(text)).toEqual(workload);
  });
});

describe('authorities of Services', () => {
  it.each([
    ['web.app.svc.cluster.local:8080', { name: 'web', namespace: 'app', port: 8080 }],
    ['web.app.svc', { name: 'web', namespace: 'app', port: 80 }],
    ['web.app.svc.other.domain:81', { name: 'web', namespace: 'app', port: 81 }],
    ['web.app.svc.cluster.local...:81', { name: 'web', namespace: 'app', port: 81 }],
    ['web.app.svc.cluster.local:65536', { name: 'web', namespace: 'app', port: 80 }],
    ['user@web.app.svc:81', { name: 'web', namespace: 'app', port: 81 }],
    ['', 'not-an-authority'],
    ['web app.svc', 'not-an-authority'],
    ['web/app.svc', 'not-an-authority'],
    ['web.app', 'not-a-service'],
    ['.app.svc', 'not-a-service'],
    ['web..svc', 'not-a-service'],
    ['WEB.app.svc', 'not-a-service'],
    ['-web.app.svc', 'not-a-service'],
    ['web.app.svc..x', 'not-a-service'],
    ['[::1]:80', 'not-a-service'],
    ['10.0.0.1:80', 'not-a-service'],
    [`${'a'.repeat(64)}.app.svc`, 'not-a-service'],
    [`web.app.svc${'.'.repeat(100_000)}`, { name: 'web', namespace: 'app', port: 80 }],
  ])('%.60s', (text, expected) => {
    expect(parseServiceAuthority(text, 'cluster.local')).toEqual(expected);
  });
});
