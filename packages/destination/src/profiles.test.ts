// SPDX-License-Identifier: Apache-2.0
/* GetProfile over changing objects: which ServiceProfile wins, what makes one invalid, and what stands behind an address. */
import { destination } from '@weft/proto';
import { toVectorJson, type VectorJson } from '@weft/proto/testing';
import type { ResourceInput } from '@weft/resources';
import { afterEach, describe, expect, it } from 'vitest';

import type { DestinationServiceInit } from './index.ts';
import { MAX_MATCH_DEPTH } from './profile/service-profile-message.ts';
import { statusOf, TestDiscovery } from './testdata/discovery.ts';
import { NAMESPACE, owner, pod, profile, server, service, slice } from './testdata/objects.ts';
import type { RecordingStream } from './testdata/recording-stream.ts';

const running: TestDiscovery[] = [];

afterEach(() => {
  for (const discovery of running.splice(0)) discovery.close();
});

async function start(objects: readonly ResourceInput[], init?: Omit<DestinationServiceInit, 'source'>): Promise<TestDiscovery> {
  const discovery = await TestDiscovery.start(objects, init);
  running.push(discovery);
  return discovery;
}

type Profiles = RecordingStream<typeof destination.DestinationProfileSchema>;

/** The route names, and `opaque`, of the messages that came since the last call. */
function summaries(stream: Profiles): string[] {
  return stream.messages.splice(0).map(({ routes, opaqueProtocol }) => {
    return [...routes.map(({ metricsLabels }) => metricsLabels['route'] ?? ''), ...(opaqueProtocol ? ['opaque'] : [])].join(' ');
  });
}

/** The pod, or external workload, of the endpoint of each message that came since the last call; `-` for a bare address. */
function workloads(stream: Profiles): string[] {
  return stream.messages.splice(0).map(({ endpoint, opaqueProtocol }) => {
    const labels = endpoint?.metricLabels ?? {};
    return `${labels['pod'] ?? labels['external_workload'] ?? '-'}${opaqueProtocol ? ' opaque' : ''}`;
  });
}

const route = (name: string): object => ({ routes: [{ name, condition: { pathRegex: '/' } }] });

describe('service profiles', () => {
  it('[LB-23] of the client namespace win whole, then those of the service', async () => {
    const discovery = await start([service('web')]);
    const [client, other, anonymous] = [
      await discovery.profile('web:80', 'cli'),
      await discovery.profile('web:80', 'other'),
      await discovery.profile('web:80'),
    ];
    const all = (): string[][] => [client, other, anonymous].map((stream) => summaries(stream));
    expect(all()).toEqual([[''], [''], ['']]);
    await discovery.put(
      profile('web', NAMESPACE, { ...route('server'), retryBudget: { retryRatio: 0.5, minRetriesPerSecond: 1, ttl: '1s' } }),
    );
    expect(all()).toEqual([['server'], ['server'], ['server']]);
    await discovery.put(profile('web', 'cli', route('client')));
    expect(client.messages[0]?.retryBudget).toMatchObject({ minRetriesPerSecond: 10 });
    expect(all()).toEqual([['client'], [], []]);
    await discovery.remove(profile('web', 'cli', {}));
    expect(all()).toEqual([['server'], [], []]);
    await discovery.remove(profile('web', NAMESPACE, {}));
    expect(all()).toEqual([[''], [''], ['']]);
  });

  it('[LB-04] that say the same are not sent again', async () => {
    const discovery = await start([service('web'), profile('web', NAMESPACE, route('a'))]);
    const stream = await discovery.profile('web:80');
    summaries(stream);
    const same = profile('web', NAMESPACE, route('a'));
    await discovery.put({ ...same, metadata: { ...same.metadata, labels: { x: 'y' } } });
    expect(summaries(stream)).toEqual([]);
  });

  it.each<[string, object]>([
    ['a route without condition', { routes: [{ name: 'x' }] }],
    ['an empty condition', { routes: [{ name: 'x', condition: {} }] }],
    ['an empty nested condition', { routes: [{ name: 'x', condition: { all: [{}] } }] }],
    ['a nested null', { routes: [{ name: 'x', condition: { any: [null] } }] }],
    ['a nested condition that is a list', { routes: [{ name: 'x', condition: { not: [] } }] }],
    ['alternatives that are no list', { routes: [{ name: 'x', condition: { any: { method: 'GET' } } }] }],
    ['a method that is no text', { routes: [{ name: 'x', condition: { not: { method: 5 } } }] }],
    ['a response class without condition', { routes: [{ name: 'x', condition: { method: 'GET' }, responseClasses: [{}] }] }],
    [
      'a status out of range',
      { routes: [{ name: 'x', condition: { method: 'GET' }, responseClasses: [{ condition: { status: { min: 600 } } }] }] },
    ],
    [
      'a status range upside down',
      { routes: [{ name: 'x', condition: { method: 'GET' }, responseClasses: [{ condition: { status: { min: 500, max: 400 } } }] }] },
    ],
    [
      'a status that is no number',
      { routes: [{ name: 'x', condition: { method: 'GET' }, responseClasses: [{ condition: { not: { status: { min: '5' } } } }] }] },
    ],
    ['a budget without a duration', { retryBudget: { retryRatio: 0.1, minRetriesPerSecond: 1, ttl: 'soon' } }],
    ['a budget with an endless duration', { retryBudget: { retryRatio: 0.1, minRetriesPerSecond: 1, ttl: `${'9'.repeat(30)}h` } }],
    ['a budget below zero', { retryBudget: { retryRatio: -1, minRetriesPerSecond: 1, ttl: '1s' } }],
    ['a budget with half a retry', { retryBudget: { retryRatio: 0.1, minRetriesPerSecond: 0.5, ttl: '1s' } }],
    ['a weight that is no quantity', { dstOverrides: [{ authority: 'a', weight: 'much' }] }],
  ])('[RT-18] with %s keep what clients have', async (_, spec) => {
    const discovery = await start([service('web'), profile('web', NAMESPACE, route('good'))]);
    const stream = await discovery.profile('web:80');
    summaries(stream);
    await discovery.put(profile('web', NAMESPACE, spec));
    expect(summaries(stream)).toEqual([]);
    expect(summaries(await discovery.profile('web:80'))).toEqual(['good']);
    await discovery.put(profile('web', NAMESPACE, route('better')));
    expect(summaries(stream)).toEqual(['better']);
  });

  it('[RT-18] nest conditions up to a limit', async () => {
    const nested = (depth: number): object => (depth === 0 ? { method: 'GET' } : { not: nested(depth - 1) });
    const discovery = await start([service('web')]);
    const stream = await discovery.profile('web:80');
    summaries(stream);
    await discovery.put(profile('web', NAMESPACE, { routes: [{ name: 'deep', condition: nested(MAX_MATCH_DEPTH) }] }));
    expect(summaries(stream)).toEqual(['deep']);
    await discovery.put(profile('web', NAMESPACE, { routes: [{ name: 'deeper', condition: nested(MAX_MATCH_DEPTH + 1) }] }));
    expect(summaries(stream)).toEqual([]);
  });

  it('[RT-18] [RT-21] become messages', async () => {
    const condition = { all: [{ method: 'get' }], any: [{ method: 'x-y' }], method: 'Post', not: { pathRegex: 'n' }, pathRegex: 'p' };
    const status = { all: [{ status: { min: 200 } }], status: { min: 500, max: 500 }, not: { status: { max: 100 } } };
    const spec = {
      routes: [
        { name: 'r', condition, timeout: 'never', responseClasses: [{ condition: status }] },
        { name: 's', condition: { method: 'GET' }, timeout: '1.5s', isRetryable: true },
      ],
      dstOverrides: [
        { authority: 'a', weight: '1' },
        { authority: 'b:1', weight: '500m' },
        { authority: 'c', weight: '-1' },
        { authority: 'd', weight: '99G' },
      ],
    };
    const discovery = await start([service('web'), profile('web', NAMESPACE, spec)]);
    const { messages } = await discovery.profile('web:80');
    const [json] = messages.map((message) => toVectorJson(destination.DestinationProfileSchema, message) as Record<string, VectorJson>);
    expect(json?.['routes']).toEqual([
      {
        condition: {
          all: {
            matches: [
              { all: { matches: [{ method: { registered: 'GET' } }] } },
              { any: { matches: [{ method: { unregistered: 'X-Y' } }] } },
              { method: { registered: 'POST' } },
              { not: { path: { regex: 'n' } } },
              { path: { regex: 'p' } },
            ],
          },
        },
        response_classes: [
          {
            condition: {
              all: {
                matches: [
                  { all: { matches: [{ status: { min: 200 } }] } },
                  { status: { min: 500, max: 500 } },
                  { not: { status: { max: 100 } } },
                ],
              },
            },
          },
        ],
        metrics_labels: { route: 'r' },
      },
      {
        condition: { method: { registered: 'GET' } },
        metrics_labels: { route: 's' },
        is_retryable: true,
        timeout: { seconds: '1', nanos: 500_000_000 },
      },
    ]);
    expect(json?.['dst_overrides']).toEqual([
      { authority: 'a:80', weight: 10_000 },
      { authority: 'b:1', weight: 5000 },
      { authority: 'c:80' },
      { authority: 'd:80', weight: 4_294_967_295 },
    ]);
  });

  it('[PROTO-03] follow the opaque annotation, and keep its last value that parsed', async () => {
    const annotated = (value: string): ResourceInput => service('web', {}, { 'config.linkerd.io/opaque-ports': value });
    const discovery = await start([service('web')], { options: { defaultOpaquePorts: '9' } });
    const stream = await discovery.profile('web:80');
    expect(summaries(stream)).toEqual(['']);
    await discovery.put(annotated('http'));
    expect(summaries(stream)).toEqual(['opaque']);
    await discovery.put(annotated('nonsense'));
    expect(summaries(stream)).toEqual([]);
    await discovery.put(annotated('81-90'));
    expect(summaries(stream)).toEqual(['']);
    await discovery.put(annotated('79-80'));
    expect(summaries(stream)).toEqual(['opaque']);
    await discovery.remove(service('web'));
    expect(summaries(stream)).toEqual(['']);
  });

  it('[LB-04] of an address that two services share are refused', async () => {
    const both = ['a', 'b'].map((name) => service(name, { clusterIP: '10.96.0.1' }));
    const discovery = await start(both);
    expect(await statusOf(discovery.profile('10.96.0.1:80'))).toBe('9 Service IP address conflict: ns/a, ns/b');
    await discovery.remove(service('b'));
    const stream = await discovery.profile('10.96.0.1:80');
    expect(stream.messages[0]?.fullyQualifiedName).toBe('a.ns.svc.cluster.local');
  });

  it('[LB-04] are found by either cluster IP of a dual-stack service', async () => {
    const discovery = await start([service('web', { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'] })]);
    for (const path of ['10.96.0.1:80', '[fd00::1]:80', '[FD00:0::0:1]:80', '[::ffff:10.96.0.1]:80']) {
      expect((await discovery.profile(path)).messages[0]?.fullyQualifiedName).toBe('web.ns.svc.cluster.local');
    }
  });
});

describe('endpoint profiles', () => {
  it('[LB-06] follow a pod that stops, goes, and whose address another takes', async () => {
    const discovery = await start([pod('a')]);
    const stream = await discovery.profile('10.0.0.1:8080');
    const undeclared = await discovery.profile('10.0.0.1:12345');
    expect([workloads(stream), workloads(undeclared)]).toEqual([['a'], ['a']]);
    await discovery.put(pod('a', { phase: 'Succeeded' }));
    expect(workloads(stream)).toEqual(['-']);
    await discovery.remove(pod('a'));
    expect(workloads(stream)).toEqual([]);
    await discovery.put(pod('b', { mesh: '' }));
    expect([workloads(stream), workloads(undeclared)]).toEqual([['b'], ['-', 'b']]);
  });

  it('[LB-06] are bare until the pod runs', async () => {
    const discovery = await start([pod('a', { phase: 'Pending' })]);
    const stream = await discovery.profile('10.0.0.1:8080');
    expect(workloads(stream)).toEqual(['-']);
    await discovery.put(pod('a'));
    expect(workloads(stream)).toEqual(['a']);
  });

  it('[LB-06] prefer the pod network to host ports, and host ports to external workloads', async () => {
    const workload: ResourceInput = {
      apiVersion: 'workload.linkerd.io/v1beta1',
      kind: 'ExternalWorkload',
      metadata: { name: 'vm', namespace: NAMESPACE },
      spec: { meshTLS: { identity: 'spiffe://a/vm', serverName: 'vm' }, workloadIPs: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] },
    };
    const host = pod('host', { ip: '10.0.0.77', hostIp: '10.0.0.1', ports: [{ containerPort: 8080, hostPort: 80 }] });
    const discovery = await start([workload]);
    const stream = await discovery.profile('10.0.0.1:80');
    expect(workloads(stream)).toEqual(['vm']);
    await discovery.put(host);
    expect(workloads(stream)).toEqual(['host']);
    await discovery.put(pod('a'));
    expect(workloads(stream)).toEqual(['a']);
    await discovery.remove(pod('a'), host, workload);
    expect(workloads(stream)).toEqual(['host', 'vm', '-']);
  });

  it('[LB-06] pods on the host network are found by their host ports only', async () => {
    const discovery = await start([pod('h', { ip: '10.99.0.1', hostNetwork: true, ports: [{ containerPort: 80, hostPort: 80 }] })]);
    expect(workloads(await discovery.profile('10.99.0.1:80'))).toEqual(['h']);
    expect(workloads(await discovery.profile('10.99.0.1:81'))).toEqual(['-']);
  });

  it('[LB-04] of an address that two pods claim are refused, until one is over', async () => {
    const discovery = await start([pod('a', { createdAt: '2026-01-01T00:00:00Z' }), pod('b', { createdAt: '2026-01-01T00:00:01Z' })]);
    expect(await statusOf(discovery.profile('10.0.0.1:80'))).toBe('9 Workload IP address conflict: ns/a, ns/b');
    await discovery.put(pod('a', { phase: 'Failed' }));
    expect(workloads(await discovery.profile('10.0.0.1:80'))).toEqual(['b']);
  });

  it('[LB-06] an open stream takes the newer of two pods with its address', async () => {
    const discovery = await start([pod('a', { createdAt: '2026-01-01T00:00:00Z' })]);
    const stream = await discovery.profile('10.0.0.1:80');
    await discovery.put(pod('b', { createdAt: '2026-01-01T00:00:01Z' }));
    expect(workloads(stream)).toEqual(['a', 'b']);
  });

  it('[PROTO-03] turn opaque with a Server and back without it', async () => {
    const discovery = await start([pod('a')]);
    const stream = await discovery.profile('10.0.0.1:8080');
    await discovery.put(server('s', 'http', 'opaque'));
    await discovery.put(server('s', 'http', 'HTTP/2'));
    await discovery.put(server('s', 8080, 'opaque'));
    await discovery.remove(server('s', 8080, 'opaque'));
    expect(workloads(stream)).toEqual(['a', 'a opaque', 'a', 'a opaque', 'a']);
  });

  it('[LB-04] correct the label of an owner that is late', async () => {
    const discovery = await start([pod('a', { owner: ['ReplicaSet', 'web-1'] })]);
    const stream = await discovery.profile('10.0.0.1:8080');
    await discovery.put(owner('ReplicaSet', 'web-1', ['Deployment', 'web']));
    expect(stream.messages.map(({ endpoint }) => endpoint?.metricLabels['replicaset'] ?? endpoint?.metricLabels['deployment'])).toEqual([
      'web-1',
      'web',
    ]);
  });

  it('[LB-06] a meshed pod without proxy ports is a bare address', async () => {
    const discovery = await start([pod('a', { hasProxy: false })]);
    expect(workloads(await discovery.profile('10.0.0.1:8080'))).toEqual(['-']);
  });

  it('[LB-07] of a pod by name need the pod', async () => {
    const discovery = await start([
      service('db'),
      slice('db', 'x', [
        { pod: 'db-0', hostname: 'db-0' },
        { ip: '192.0.2.1', hostname: 'plain' },
      ]),
    ]);
    const missing = '5 no pod found in EndpointSlices of Service ns/db for hostname';
    expect(await statusOf(discovery.profile('db-0.db:80'))).toBe(`${missing} db-0`);
    expect(await statusOf(discovery.profile('plain.db:80'))).toBe(`${missing} plain`);
    await discovery.put(pod('db-0'));
    expect(workloads(await discovery.profile('db-0.db:80'))).toEqual(['db-0']);
  });
});
