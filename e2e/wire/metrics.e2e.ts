// SPDX-License-Identifier: Apache-2.0
/*
 * Names, types and label names on `/metrics` of both proxies after a known mix of traffic, compared with those of the reference after a mix of
 * the same kinds. What is not there, what is there in addition, and label sets that differ are listed with their reason, both ways.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LabelDifference, METRIC_DIFFERENCES } from './differences/metrics.ts';
import { identity, PODS, SERVICES, startWorld, type World } from './world.ts';

interface Family {
  readonly type: string;
  /** Label names of a series, sorted and joined by spaces; `le` left out. */
  readonly labelSets: Set<string>;
}

type Families = ReadonlyMap<string, Family>;

const SIDES = ['inbound-side', 'outbound-side'] as const;

let world: World;
const ours = new Map<string, Families>();

beforeAll(async () => {
  world = await startWorld();
  await traffic(world);
  ours.set('inbound-side', parseMetrics(await world.rig.metrics('server')));
  ours.set('outbound-side', parseMetrics(await world.rig.metrics('client')));
});
afterAll(() => world.rig.stop());

describe.each(SIDES)('families of the %s', (side) => {
  const reference = parseFamilies(readFileSync(join(import.meta.dirname, 'testdata/metrics', `${side}.families.txt`), 'utf8'));
  const known = METRIC_DIFFERENCES[side];

  it('[MET-01] [MET-05] [MET-06] [MET-08] [MET-19] are there, but for those listed', () => {
    const found = ours.get(side) as Families;
    expect([...reference.keys()].filter((name) => !found.has(name)).sort()).toEqual(Object.keys(known.missing).sort());
  });

  it('have no others beside them, but for those listed', () => {
    const found = ours.get(side) as Families;
    expect([...found.keys()].filter((name) => !reference.has(name)).sort()).toEqual(Object.keys(known.added).sort());
  });

  it('[MET-02] [MET-11] have the type and the label names of the reference, but for those listed', () => {
    const found = ours.get(side) as Families;
    const differing: Record<string, LabelDifference> = {};
    for (const [name, { type, labelSets }] of reference) {
      const mine = found.get(name);
      if (mine === undefined) continue;
      const missing = [...labelSets].filter((set) => !mine.labelSets.has(set)).sort();
      const added = [...mine.labelSets].filter((set) => !labelSets.has(set)).sort();
      if (mine.type === type && missing.length === 0 && added.length === 0) continue;
      differing[name] = {
        ...(mine.type === type ? {} : { type: mine.type }),
        ...(missing.length === 0 ? {} : { missing }),
        ...(added.length === 0 ? {} : { added }),
      };
    }
    expect(differing).toEqual(Object.fromEntries(Object.entries(known.differing).map(([name, { how }]) => [name, how])));
  });
});

/** Good and bad requests of every protocol, meshed and not, in both directions. */
async function traffic(world: World): Promise<void> {
  const { client, plain, ca } = world;
  const get = (host: string, path = '/x'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
  const http2 = [':method', 'GET', ':scheme', 'http', ':authority', 'a.example.com', ':path', '/x'];
  const grpc = [
    ':method',
    'POST',
    ':scheme',
    'http',
    ':authority',
    'a.example.com',
    ':path',
    '/echo.Echo/Say',
    'content-type',
    'application/grpc',
  ];
  const fail = grpc.with(7, '/echo.Echo/Fail');
  const { server } = SERVICES;
  const texts: readonly (readonly [string, number, string?])[] = [
    [server, 8080],
    [server, 8080, '/fail'],
    [server, 8080, '/reset'],
    [server, 8083],
    [server, 8084],
    // Its limit is one a second.
    [server, 8086],
    [server, 8086],
    [server, 8087],
    [server, 8088],
    [SERVICES.plain, 8080],
    [SERVICES.plain, 8084],
    [SERVICES.empty, 80],
    [SERVICES.routes, 8080, '/only'],
    [SERVICES.routes, 8080, '/nope'],
    [PODS.plain, 8080],
    [server, 7777],
  ];
  for (const [host, port, path] of texts) await client.call('callText', { host, port, text: get('a.example.com', path) });
  for (const [host, port] of [
    [server, 9000],
    [server, 9001],
    [SERVICES.standin, 9000],
    [SERVICES.empty, 80],
  ] as const) {
    await client.call('callText', { host, port, text: 'bytes that are not HTTP\n' });
  }
  for (const [port, headers] of [
    [8081, http2],
    [8082, grpc],
    [8082, fail],
    [8083, grpc],
  ] as const) {
    await client.call('callHttp2', { host: server, port, headers, ...(headers === http2 ? {} : { bodyHex: '0000000000' }) });
    await plain.call('callHttp2', { host: PODS.server, port, headers, ...(headers === http2 ? {} : { bodyHex: '0000000000' }) });
  }
  for (const [port, path] of [[8080], [8080, '/fail'], [8080, '/reset'], [8083], [8084], [8086], [8086], [8087], [8088]] as const) {
    await plain.call('callText', { host: PODS.server, port, text: get('a.example.com', path) });
  }
  for (const port of [9000, 9001, 8084]) await plain.call('callText', { host: PODS.server, port, text: 'bytes that are not HTTP\n' });
  // Callers that go away before the answer.
  for (const [caller, host] of [
    [client, SERVICES.server],
    [plain, PODS.server],
  ] as const) {
    await caller.call('callText', { host, port: 8080, text: get('a.example.com', '/slow'), maxMs: 300, resets: true });
  }
  // The admin port of the client, from another pod.
  await plain.call('callText', { host: PODS.client, port: 4191, text: get('a.example.com', '/live') });
  const tls = { host: PODS.server, ca, sni: identity('server') };
  // Without a certificate, through with a foreign name, opaque to a port that denies.
  await plain.call('callTls', { ...tls, port: 8080, alpn: [], text: get('a.example.com') });
  await plain.call('callTls', { ...tls, port: 9001, alpn: [], sni: 'other.example.com' });
  await plain.call('callTls', {
    ...tls,
    port: 4143,
    alpn: ['transport.l5d.io/v1'],
    credentials: world.credentials('client'),
    headerHex: '7472616e73706f72742e6c35642e696f2f76310d0a0d0a0000000308933f',
    text: 'opaque bytes',
  });
}

function parseFamilies(text: string): Families {
  const families = new Map<string, Family>();
  let labelSets = new Set<string>();
  for (const line of text.split('\n')) {
    if (line.startsWith(' ')) {
      labelSets.add(line.trim());
    } else if (line !== '') {
      const [name = '', type = ''] = line.split(' ');
      labelSets = new Set();
      families.set(name, { type, labelSets });
    }
  }
  // A family whose series have no labels is listed without a set.
  for (const { labelSets: sets } of families.values()) if (sets.size === 0) sets.add('');
  return families;
}

function parseMetrics(text: string): Families {
  const families = new Map<string, Family>();
  for (const line of text.split('\n')) {
    const [, declared, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (declared !== undefined && type !== undefined) {
      families.set(declared, { type, labelSets: new Set() });
      continue;
    }
    const [, name, labels = ''] = /^([a-zA-Z0-9_:]+)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const family = families.get(name) ?? families.get(name.replace(/_(total|bucket|sum|count)$/, ''));
    if (family === undefined) throw new Error(`series ${name} has no # TYPE`);
    const names = [...labels.matchAll(/([a-zA-Z0-9_]+)="(?:[^"\\]|\\.)*"/g)].map(([, label]) => label).filter((label) => label !== 'le');
    family.labelSets.add(names.sort().join(' '));
  }
  // The reference leaves out what has no series yet.
  return new Map([...families].filter(([, { labelSets }]) => labelSets.size > 0));
}
