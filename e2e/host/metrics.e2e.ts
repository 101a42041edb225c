// SPDX-License-Identifier: Apache-2.0
/*
 * The metrics pages of two proxies after traffic of every kind, against a table of the reference's families (testdata/metric-families.json, made from
 * its captured pages): type, unit, buckets and labels with their order. What is missing and what is more is listed here, with its reason.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HostMesh, type PodView, until } from './mesh.ts';

/** A family as the table has it, or as a page has it. */
interface Family {
  readonly type: string;
  readonly unit?: string;
  readonly buckets?: readonly string[];
  /** Label names in their order, joined by commas. Labels of an endpoint that the control plane names are one `dst_*`. */
  readonly labels: readonly string[];
}

const REFERENCE = JSON.parse(readFileSync(join(import.meta.dirname, 'testdata/metric-families.json'), 'utf8')) as Readonly<
  Record<string, Family>
>;

/** Families of the reference that these proxies do not write. */
const ABSENT: readonly (readonly [prefix: string, reason: string])[] = [
  ['tokio_rt_', 'counts of an engine that is not ours'],
  ['outbound_http_route_retry_', 'retries are not built'],
];

/** Families that the contract names and the captured pages do not have, for want of such traffic. */
const BEYOND: readonly string[] = [
  'inbound_grpc_',
  'outbound_grpc_',
  'outbound_tls_',
  'inbound_tcp_authz_terminate_total',
  'opentelemetry_',
  'route_',
];

/** Label sets that follow from captured ones, but were not captured: a meshed pod dialled by its address has no authority; plain bytes can be refused. */
const IMPLIED: readonly string[] = [
  ...['open_total', 'open_connections', 'read_bytes_total', 'write_bytes_total'].map(
    (name) => `tcp_${name}{direction,peer,target_addr,target_ip,target_port,tls,server_id,dst_*}`,
  ),
  'tcp_close_total{direction,peer,target_addr,target_ip,target_port,tls,server_id,dst_*,errno}',
  'inbound_tcp_authz_deny_total{target_addr,target_ip,target_port,srv_group,srv_kind,srv_name,srv_port,tls,no_tls_reason}',
];

let mesh: HostMesh;
let server: PodView;
let client: PodView;
let bare: PodView;
const families = new Map<string, Family>();
const helpless: string[] = [];

/** Adds the families of a page. */
function readPage(text: string): void {
  let name = '';
  let labels = new Set<string>();
  let buckets = new Set<string>();
  let type = '';
  let unit: string | undefined;
  const flush = (): void => {
    if (name === '') return;
    const known = families.get(name);
    families.set(name, {
      type,
      ...(unit === undefined ? {} : { unit }),
      ...(buckets.size === 0 ? {} : { buckets: [...buckets] }),
      labels: [...new Set([...(known?.labels ?? []), ...labels])],
    });
  };
  const helped = new Set<string>();
  for (const line of text.split('\n')) {
    const [, kind, family = '', value = ''] = /^# (\w+) (\S+) ?(.*)$/.exec(line) ?? [];
    if (kind === 'HELP' && value !== '') helped.add(family);
    if (kind === 'TYPE') {
      flush();
      [name, type, unit, labels, buckets] = [family, value, undefined, new Set(), new Set()];
      if (!helped.has(family)) helpless.push(family);
    } else if (kind === 'UNIT') unit = value;
    if (kind !== undefined || line === '' || line.startsWith('#')) continue;
    const names: string[] = [];
    for (const [, label = '', text_ = ''] of (/\{(.*)\}/.exec(line)?.[1] ?? '').matchAll(/([a-z0-9_]+)="((?:[^"\\]|\\.)*)"/g)) {
      if (label === 'le') buckets.add(text_);
      else if (!label.startsWith('dst_')) names.push(label);
      else if (names.at(-1) !== 'dst_*') names.push('dst_*');
    }
    labels.add(names.join(','));
  }
  flush();
}

const text = async (pod: PodView): Promise<string> => {
  const [page] = await mesh.client<{ body: string }[]>(pod, 'http1', { host: '127.0.0.1', port: 4191, path: '/metrics' });
  return page?.body ?? '';
};

beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'authorization', name: 'metrics' });
  [server, client, bare] = await Promise.all(['server', 'client', 'bare'].map((app) => mesh.pod('e2e', app)));
  const policy = (kind: string, name: string, spec: unknown, apiVersion = 'policy.linkerd.io/v1beta3'): string =>
    JSON.stringify({ apiVersion, kind, metadata: { name, namespace: 'e2e' }, spec });
  const podSelector = { matchLabels: { app: 'server' } };
  mesh.write(
    'policy.yaml',
    [
      policy('Server', 'denied', { podSelector, port: 8081, proxyProtocol: 'HTTP/2' }),
      policy('Server', 'opaque-denied', { podSelector, port: 9002, proxyProtocol: 'opaque' }),
      policy('Server', 'limited', { podSelector, port: 8082, proxyProtocol: 'HTTP/1', accessPolicy: 'all-unauthenticated' }),
      policy(
        'HTTPLocalRateLimitPolicy',
        'limited',
        { targetRef: { group: 'policy.linkerd.io', kind: 'Server', name: 'limited' }, total: { requestsPerSecond: 1 } },
        'policy.linkerd.io/v1alpha1',
      ),
      policy('Server', 'routed', { podSelector, port: 8080, proxyProtocol: 'unknown', accessPolicy: 'all-unauthenticated' }),
      policy('HTTPRoute', 'known', {
        parentRefs: [{ group: 'policy.linkerd.io', kind: 'Server', name: 'routed' }],
        rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/known' } }, { path: { type: 'PathPrefix', value: '/healthz' } }] }],
      }),
      policy(
        'AuthorizationPolicy',
        'known',
        { targetRef: { group: 'policy.linkerd.io', kind: 'HTTPRoute', name: 'known' }, requiredAuthenticationRefs: [] },
        'policy.linkerd.io/v1alpha1',
      ),
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'empty', namespace: 'e2e' },
        spec: {
          selector: { app: 'nobody' },
          ports: [
            { name: 'http', port: 80 },
            { name: 'raw', port: 9001 },
          ],
        },
      }),
    ].join('\n---\n'),
  );
  const get = (from: PodView, options: Readonly<Record<string, unknown>>): Promise<readonly { status?: number }[]> =>
    mesh.client(from, 'http1', options);
  await until('routes are in force', async () => (await get(client, { host: 'server', path: '/lost' }))[0]?.status === 404);
  for (const from of [client, bare]) {
    await get(from, { host: 'server', requests: [{ path: '/known' }, { path: '/lost' }, { path: '/known', method: 'POST', body: 'x' }] });
    await mesh.client(from, 'http2', { host: 'server', port: 8081, requests: [{ path: '/' }] });
    await get(from, { host: 'server', port: 8082, count: 3 });
    await mesh.client(from, 'grpc', { host: 'server', port: 50_051 });
    await mesh.client(from, 'raw', { host: 'server', port: 9001, text: 'hello\n', timeoutMs: 700 });
    await mesh.client(from, 'raw', { host: server.ip, port: 9002, text: 'hello\n', timeoutMs: 700 });
    // TLS for somebody else, and bytes of no protocol.
    await mesh.client(from, 'raw', { host: server.ip, port: 9999, text: 'not http at all, but long enough', timeoutMs: 700 });
  }
  await get(client, { host: 'empty' });
  await get(client, { host: bare.ip, port: 8080 });
  await mesh.client(client, 'raw', { host: 'empty', port: 9001, text: 'not http at all, but long enough', timeoutMs: 5000 });
  readPage(await text(server));
  readPage(await text(client));
});
afterAll(() => mesh?.stop());

describe('families', () => {
  it('[MET-25] have help and a type, and end with EOF', async () => {
    expect(helpless).toEqual([]);
    const page = await text(server);
    expect(page.endsWith('\n# EOF\n')).toBe(true);
  });

  it('[MET-01] [MET-04] [MET-05] [MET-06] [MET-07] [MET-08] [MET-09] [MET-13] [MET-14] [MET-15] [MET-16] [MET-17] [MET-18] [MET-19] [MET-20] [MET-21] [MET-22] [MET-24] are all there but for those that are listed', () => {
    const missing = Object.keys(REFERENCE).filter(
      (name) =>
        !families.has(name) && !ABSENT.some(([prefix]) => name.startsWith(prefix)) && !BEYOND.some((prefix) => name.startsWith(prefix)),
    );
    expect(missing).toEqual([]);
  });

  it('are those of the reference, of the contract or our own', () => {
    const more = [...families.keys()].filter(
      (name) => REFERENCE[name] === undefined && !name.startsWith('weft_') && !BEYOND.some((prefix) => name.startsWith(prefix)),
    );
    expect(more).toEqual([]);
  });

  it('[MET-01] [MET-09] have the types, units and buckets of the reference', () => {
    const differing: unknown[] = [];
    for (const [name, { type, unit, buckets }] of families) {
      const expected = REFERENCE[name];
      if (expected === undefined) continue;
      const found = { type, unit, buckets };
      if (JSON.stringify(found) !== JSON.stringify({ type: expected.type, unit: expected.unit, buckets: expected.buckets })) {
        differing.push({ name, found, expected });
      }
    }
    expect(differing).toEqual([]);
  });

  it('[MET-02] [MET-11] have the labels of the reference in their order', () => {
    const differing: string[] = [];
    for (const [name, { labels }] of families) {
      const expected = REFERENCE[name];
      if (expected === undefined) continue;
      for (const set of labels) {
        const found = `${name}{${set}}`;
        if (!expected.labels.includes(set) && !IMPLIED.includes(found)) differing.push(found);
      }
    }
    expect(differing).toEqual([]);
  });
});

describe('hostile values', () => {
  it('are escaped and cut, and leave the page readable', async () => {
    const host = `x\\"\\u0000${'h'.repeat(200)}`;
    await mesh.client(bare, 'raw', {
      host: server.ip,
      port: 8080,
      text: `GET /known HTTP/1.1\r\nhost: evil"} 1 \\ ${host}\r\nuser-agent: x\r\n\r\n`,
      timeoutMs: 700,
    });
    for (const line of (await text(server)).split('\n')) {
      expect(line).toMatch(
        /^(?:# (?:HELP|TYPE|UNIT|EOF).*|[a-z0-9_]+(?:\{(?:[a-z0-9_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? [-+0-9.eInfNa]+)?$/,
      );
    }
  });

  it('[MET-26] no authority is a label unless it is asked for', async () => {
    expect(await text(server)).not.toMatch(/^[a-z_]+\{[^}]*direction="inbound"[^}]*authority="/m);
  });
});
