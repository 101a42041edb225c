// SPDX-License-Identifier: Apache-2.0
/* Get over changing objects: filters, families, late and moving endpoints, and what each endpoint's message says. */
import type { ResourceInput } from '@weft/resources';
import { afterEach, describe, expect, it } from 'vitest';

import type { DestinationServiceInit } from './index.ts';
import { statusOf, TestDiscovery } from './testdata/discovery.ts';
import { NAMESPACE, node, owner, pod, server, service, slice } from './testdata/objects.ts';

const running: TestDiscovery[] = [];

afterEach(() => {
  for (const discovery of running.splice(0)) discovery.close();
});

async function start(objects: readonly ResourceInput[], init?: Omit<DestinationServiceInit, 'source'>): Promise<TestDiscovery> {
  const discovery = await TestDiscovery.start(objects, init);
  running.push(discovery);
  return discovery;
}

const ZONES = [node('node-a', 'zone-a'), node('node-b', 'zone-b')];
const TWO_PODS = [pod('a', { ip: '10.0.0.1', node: 'node-a' }), pod('b', { ip: '10.0.0.2', node: 'node-b' })];

describe('topology hints', () => {
  const hinted = (hintA?: readonly string[], hintB?: readonly string[]): ResourceInput =>
    slice('web', 'x', [
      { ip: '10.0.0.1', pod: 'a', zone: 'zone-a', ...(hintA === undefined ? {} : { hints: hintA }) },
      { ip: '10.0.0.2', pod: 'b', zone: 'zone-b', ...(hintB === undefined ? {} : { hints: hintB }) },
    ]);

  it.each([
    ['keep the endpoints of the zone', hinted(['zone-a'], ['zone-b']), 'node-a', 'add 10.0.0.1:8080'],
    ['keep those of several zones', hinted(['zone-a', 'zone-b'], ['zone-b']), 'node-b', 'add 10.0.0.1:8080,10.0.0.2:8080'],
    ['are void while one endpoint has none', hinted(['zone-a'], undefined), 'node-a', 'add 10.0.0.1:8080,10.0.0.2:8080'],
    ['are void while one endpoint has an empty list', hinted(['zone-a'], []), 'node-a', 'add 10.0.0.1:8080,10.0.0.2:8080'],
    ['are void where they leave nothing', hinted(['zone-c'], ['zone-c']), 'node-a', 'add 10.0.0.1:8080,10.0.0.2:8080'],
    ['are void for clients without a node', hinted(['zone-a'], ['zone-b']), '', 'add 10.0.0.1:8080,10.0.0.2:8080'],
    ['are void for clients on unknown nodes', hinted(['zone-a'], ['zone-b']), 'node-z', 'add 10.0.0.1:8080,10.0.0.2:8080'],
  ])('[LB-09] %s', async (_, endpoints, nodeName, line) => {
    const discovery = await start([...ZONES, ...TWO_PODS, service('web'), endpoints]);
    expect((await discovery.get('web:80', nodeName)).lines()).toEqual([line]);
  });

  it('[LB-09] come and go while a client listens', async () => {
    const discovery = await start([...ZONES, ...TWO_PODS, service('web'), hinted()]);
    const client = await discovery.get('web:80', 'node-a');
    expect(client.lines()).toEqual(['add 10.0.0.1:8080,10.0.0.2:8080']);
    await discovery.put(hinted(['zone-a'], ['zone-b']));
    expect(client.lines()).toEqual(['add 10.0.0.1:8080', 'remove 10.0.0.2:8080']);
    await discovery.put(hinted(['zone-b'], ['zone-b']));
    expect(client.lines()).toEqual(['add 10.0.0.1:8080,10.0.0.2:8080']);
    await discovery.put(hinted(['zone-b'], undefined));
    expect(client.lines()).toEqual(['add 10.0.0.2:8080']);
  });
});

describe('internalTrafficPolicy Local', () => {
  it('[LB-10] keeps the pods of the node, and follows the policy', async () => {
    const endpoints = slice('web', 'x', [{ ip: '10.0.0.1', pod: 'a' }, { ip: '10.0.0.2', pod: 'b' }, { ip: '10.0.0.3' }]);
    const local = service('web', { internalTrafficPolicy: 'Local' });
    const discovery = await start([...TWO_PODS, local, endpoints]);
    const [a, z] = [await discovery.get('web:80', 'node-a'), await discovery.get('web:80', 'node-z')];
    expect([a.lines(), z.lines()]).toEqual([['add 10.0.0.1:8080'], []]);
    await discovery.put(service('web'));
    expect([a.lines(), z.lines()]).toEqual([['add 10.0.0.2:8080,10.0.0.3:8080'], ['add 10.0.0.1:8080,10.0.0.2:8080,10.0.0.3:8080']]);
    await discovery.put(local);
    expect(a.lines()).toEqual(['remove 10.0.0.2:8080,10.0.0.3:8080']);
  });
});

describe('address families', () => {
  const dual = pod('a', { ips: ['10.0.0.1', '2001:db8::1'] });
  const v4 = slice('web', '4', [{ ip: '10.0.0.1', pod: 'a' }]);
  const v6 = slice('web', '6', [{ ip: '2001:db8::1', pod: 'a' }], { addressType: 'IPv6' });
  const V6 = '[20010db800000000/1]:8080';

  it('[LB-13] IPv6 is preferred per pod where it is enabled', async () => {
    const discovery = await start([dual, service('web'), v4, v6], { options: { isIpv6Enabled: true } });
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual([`add ${V6}`]);
    await discovery.remove(v6);
    expect(client.lines()).toEqual(['add 10.0.0.1:8080', `remove ${V6}`]);
    await discovery.put(v6);
    expect(client.lines()).toEqual([`add ${V6}`, 'remove 10.0.0.1:8080']);
  });

  it('[LB-13] IPv6 endpoints of pods are left out where it is not', async () => {
    const discovery = await start([dual, service('web'), v4, v6]);
    expect((await discovery.get('web:80')).lines()).toEqual(['add 10.0.0.1:8080']);
  });

  it('[LB-13] addresses that stand for themselves are kept in both families', async () => {
    const both = [slice('web', '4', [{ ip: '192.0.2.1' }]), slice('web', '6', [{ ip: '2001:db8::1' }], { addressType: 'IPv6' })];
    const discovery = await start([service('web'), ...both]);
    expect((await discovery.get('web:80')).lines()).toEqual([`add 192.0.2.1:8080,${V6}`]);
  });
});

describe('endpoints that are late, move or change hands', () => {
  it('[LB-05] an endpoint appears when its pod does', async () => {
    const discovery = await start([service('web'), slice('web', 'x', [{ pod: 'a' }])]);
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual([]);
    await discovery.put(pod('a'));
    expect(client.lines()).toEqual(['add 10.0.0.1:8080']);
  });

  it('[LB-05] a predecessor of the same name is not taken for the pod that the slice means', async () => {
    const discovery = await start([
      service('web'),
      pod('a', { uid: 'old', mesh: '' }),
      slice('web', 'x', [{ pod: 'a', uid: 'new', ip: '10.0.0.9' }]),
    ]);
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual([]);
    await discovery.remove(pod('a'));
    await discovery.put(pod('a', { uid: 'new', ip: '10.0.0.9' }));
    expect(client.lines()).toEqual(['add 10.0.0.9:8080']);
  });

  it('[LB-05] an external workload is waited for too', async () => {
    const discovery = await start([service('web'), slice('web', 'x', [{ ip: '192.0.2.1', workload: 'vm' }])]);
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual([]);
    await discovery.put({
      apiVersion: 'workload.linkerd.io/v1beta1',
      kind: 'ExternalWorkload',
      metadata: { name: 'vm', namespace: NAMESPACE },
      spec: { meshTLS: { identity: 'spiffe://a/vm', serverName: 'vm' }, workloadIPs: [{ ip: '192.0.2.1' }], ports: [{ port: 8080 }] },
    });
    expect(client.endpoint('192.0.2.1:8080')).toMatchObject({
      tlsIdentity: { strategy: { case: 'uriLikeIdentity', value: { uri: 'spiffe://a/vm' } }, serverName: { name: 'vm' } },
      protocolHint: { protocol: { case: 'h2' }, opaqueTransport: { inboundPort: 4143 } },
    });
  });

  it('[LB-03] an owner that is late corrects the label', async () => {
    const discovery = await start([service('web'), pod('a', { owner: ['ReplicaSet', 'web-1'] }), slice('web', 'x', [{ pod: 'a' }])]);
    const client = await discovery.get('web:80');
    expect(client.endpoint('10.0.0.1:8080')?.metricLabels).toMatchObject({ replicaset: 'web-1' });
    await discovery.put(owner('ReplicaSet', 'web-1', ['Deployment', 'web']));
    expect(client.endpoint('10.0.0.1:8080')?.metricLabels).toMatchObject({ deployment: 'web' });
  });

  it('[LB-05] an endpoint that moves between slices stays', async () => {
    const discovery = await start([
      service('web'),
      ...TWO_PODS,
      slice('web', '1', [
        { ip: '10.0.0.1', pod: 'a' },
        { ip: '10.0.0.2', pod: 'b' },
      ]),
    ]);
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual(['add 10.0.0.1:8080,10.0.0.2:8080']);
    await discovery.put(slice('web', '2', [{ ip: '10.0.0.2', pod: 'b' }]));
    await discovery.put(slice('web', '1', [{ ip: '10.0.0.1', pod: 'a' }]));
    expect(client.lines()).toEqual([]);
    await discovery.remove(slice('web', '2', []));
    expect(client.lines()).toEqual(['remove 10.0.0.2:8080']);
  });

  it('[LB-03] a pod that changes its address leaves nothing behind', async () => {
    const discovery = await start([service('web'), pod('a', { ip: '10.0.0.1' }), slice('web', 'x', [{ ip: '10.0.0.1', pod: 'a' }])]);
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual(['add 10.0.0.1:8080']);
    await discovery.put(pod('a', { ip: '10.0.0.5' }), slice('web', 'x', [{ ip: '10.0.0.5', pod: 'a' }]));
    expect(client.lines()).toEqual(['add 10.0.0.5:8080', 'remove 10.0.0.1:8080']);
  });

  it('[LB-03] an address that passes to another pod is added and not removed', async () => {
    const discovery = await start([service('web'), pod('a'), pod('b'), slice('web', 'x', [{ pod: 'a' }])]);
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual(['add 10.0.0.1:8080']);
    await discovery.put(slice('web', 'x', [{ pod: 'b' }]));
    expect(client.lines()).toEqual(['add 10.0.0.1:8080']);
    expect(client.endpoint('10.0.0.1:8080')?.metricLabels).toMatchObject({ pod: 'b' });
    await discovery.put(slice('web', 'x', [{ pod: 'b' }, { pod: 'a' }]));
    client.lines();
    await discovery.put(slice('web', 'x', [{ pod: 'b' }]));
    expect(client.lines()).toEqual(['add 10.0.0.1:8080']);
    expect(client.endpoint('10.0.0.1:8080')?.metricLabels).toMatchObject({ pod: 'b' });
  });

  it('[LB-05] an endpoint that is not ready goes, one without the condition is ready', async () => {
    const discovery = await start([
      service('web'),
      ...TWO_PODS,
      slice('web', 'x', [
        { ip: '10.0.0.1', pod: 'a' },
        { ip: '10.0.0.2', pod: 'b' },
      ]),
    ]);
    const client = await discovery.get('web:80');
    client.lines();
    await discovery.put(
      slice('web', 'x', [
        { ip: '10.0.0.1', pod: 'a', ready: false },
        { ip: '10.0.0.2', pod: 'b', ready: null },
      ]),
    );
    expect(client.lines()).toEqual(['remove 10.0.0.1:8080']);
  });

  it('[LB-03] a changed target port moves every endpoint', async () => {
    const discovery = await start([
      service('web'),
      pod('a'),
      slice('web', 'x', [{ pod: 'a' }], {
        ports: [
          { name: 'http', port: 8080 },
          { name: 'other', port: 9000 },
        ],
      }),
    ]);
    const client = await discovery.get('web:80');
    client.lines();
    await discovery.put(service('web', { ports: [{ name: 'other', port: 80, targetPort: 9000 }] }));
    expect(client.lines()).toEqual(['add 10.0.0.1:9000', 'remove 10.0.0.1:8080']);
  });
});

describe('port resolution', () => {
  it.each([
    [
      'the TCP port of a number with two protocols',
      {
        ports: [
          { name: 'u', port: 53, protocol: 'UDP' },
          { name: 't', port: 53 },
        ],
      },
      'web:53',
      'add 10.0.0.1:5353',
    ],
    ['the number itself where the Service has no such port', {}, 'web:1234', 'add 10.0.0.1:1234'],
  ])('[LB-03] means %s', async (_, spec, path, line) => {
    const endpoints = slice('web', 'x', [{ pod: 'a' }], {
      ports: [
        { name: 'u', port: 5300, protocol: 'UDP' },
        { name: 't', port: 5353 },
      ],
    });
    const discovery = await start([service('web', spec), pod('a'), endpoints]);
    expect((await discovery.get(path)).lines()).toEqual([line]);
  });

  it.each([
    ['no port of that name', [{ name: 'other', port: 1 }]],
    ['no list of ports', null],
  ])('[LB-03] a slice with %s offers nothing', async (_, ports) => {
    const discovery = await start([service('web'), pod('a'), slice('web', 'x', [{ pod: 'a' }], { ports })]);
    expect((await discovery.get('web:80')).lines()).toEqual([]);
  });
});

describe('legacy Endpoints', () => {
  it('[LB-05] are the source where slices are off', async () => {
    const endpoints = (addresses: readonly object[]): ResourceInput => ({
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name: 'web', namespace: NAMESPACE },
      subsets: [
        { addresses, notReadyAddresses: [{ ip: '10.0.0.9' }], ports: [{ name: 'http', port: 8080 }] },
        { addresses: [{ ip: '2001:db8::1' }], ports: [{ name: 'other', port: 1 }] },
      ],
    });
    const a = { ip: '10.0.0.1', hostname: 'h', targetRef: { kind: 'Pod', name: 'a', namespace: NAMESPACE } };
    const discovery = await start([service('web'), ...TWO_PODS, slice('web', 'x', [{ ip: '10.0.0.7' }]), endpoints([a])], {
      options: { usesEndpointSlices: false },
    });
    const client = await discovery.get('web:80');
    expect(client.lines()).toEqual(['add 10.0.0.1:8080']);
    await discovery.put(endpoints([a, { ip: '10.0.0.2', targetRef: { kind: 'Pod', name: 'b', namespace: NAMESPACE } }]));
    expect(client.lines()).toEqual(['add 10.0.0.2:8080']);
    expect((await discovery.get('h.web:80')).lines()).toEqual(['add 10.0.0.1:8080']);
    await discovery.remove(endpoints([]));
    expect(client.lines()).toEqual(['remove 10.0.0.1:8080,10.0.0.2:8080']);
  });
});

describe('the message of an endpoint', () => {
  const one = [service('web'), slice('web', 'x', [{ pod: 'a', zone: 'zone-a' }])];
  const endpoint = async (object: ResourceInput, init?: Omit<DestinationServiceInit, 'source'>, nodeName = ''): Promise<unknown> => {
    const discovery = await start([...ZONES, ...one, object], init);
    return (await discovery.get('web:80', nodeName)).endpoint('10.0.0.1:8080');
  };

  it('[LB-11] says how far the zone is, and weighs the same zone more only when told to', async () => {
    const zoned = { options: { hasZoneWeights: true } };
    expect(await endpoint(pod('a'), zoned, 'node-a')).toMatchObject({
      weight: 100_000,
      metricLabels: { zone: 'zone-a', zone_locality: 'local' },
    });
    expect(await endpoint(pod('a'), zoned, 'node-b')).toMatchObject({ weight: 10_000, metricLabels: { zone_locality: 'remote' } });
    expect(await endpoint(pod('a'), {}, 'node-a')).toMatchObject({ weight: 10_000, metricLabels: { zone_locality: 'local' } });
    expect(await endpoint(pod('a'), zoned)).toMatchObject({ weight: 10_000, metricLabels: { zone_locality: 'unknown' } });
  });

  it('[LB-12] weighs the same zone ten times as much under the experimental option', async () => {
    expect(await endpoint(pod('a'), { options: { hasZoneWeights: true } }, 'node-a')).toMatchObject({ weight: 100_000 });
  });

  it('[ID-01] gives an identity only for pods of this control plane', async () => {
    const name = `sa.${NAMESPACE}.serviceaccount.identity.linkerd.cluster.local`;
    expect(await endpoint(pod('a'))).toMatchObject({ tlsIdentity: { strategy: { value: { name } }, serverName: { name } } });
    const other = await endpoint(pod('a', { mesh: 'other' }));
    expect(other).toMatchObject({ protocolHint: { protocol: { case: 'h2' } }, metricLabels: { control_plane_ns: 'other' } });
    expect(other).not.toHaveProperty('tlsIdentity');
    const domain = await endpoint(pod('a'), { options: { trustDomain: 'root.example' } });
    expect(domain).toMatchObject({ tlsIdentity: { serverName: { name: `sa.${NAMESPACE}.serviceaccount.identity.linkerd.root.example` } } });
  });

  it('[PROTO-03] hints by the options', async () => {
    const hint = async (options: object): Promise<unknown> =>
      ((await endpoint(pod('a'), { options })) as { readonly protocolHint: unknown }).protocolHint;
    expect(await hint({})).toMatchObject({ protocol: { case: 'h2' }, opaqueTransport: { inboundPort: 4143 } });
    expect(await hint({ isH2UpgradeEnabled: false })).toMatchObject({
      protocol: { case: undefined },
      opaqueTransport: { inboundPort: 4143 },
    });
    expect(await hint({ transportMode: 'transparent' })).toMatchObject({ protocol: { case: 'h2' } });
    expect(await hint({ transportMode: 'transparent' })).not.toHaveProperty('opaqueTransport');
    expect(await hint({ transportMode: 'transparent', defaultOpaquePorts: '8080' })).toMatchObject({
      protocol: { case: 'opaque' },
      opaqueTransport: { inboundPort: 4143 },
    });
  });

  it('[PROTO-03] an empty annotation means no opaque ports', async () => {
    const options = { defaultOpaquePorts: '8080' };
    const annotated = pod('a', { annotations: { 'config.linkerd.io/opaque-ports': '' } });
    expect(await endpoint(annotated, { options })).toMatchObject({ protocolHint: { protocol: { case: 'h2' } } });
  });

  it.each([
    [['Job', 'task'] as const, undefined, { k8s_job: 'task' }],
    [['Job', 'task'] as const, owner('Job', 'task', ['CronJob', 'nightly']), { cronjob: 'nightly' }],
    [['ReplicaSet', 'rs'] as const, owner('ReplicaSet', 'rs', ['Rollout', 'x']), { replicaset: 'rs' }],
    [['ReplicationController', 'rc'] as const, undefined, { replicationcontroller: 'rc' }],
  ])('[LB-03] names the owner %j', async (ownerOf, parent, labels) => {
    const discovery = await start([...one, pod('a', { owner: ownerOf }), ...(parent === undefined ? [] : [parent])]);
    expect((await discovery.get('web:80')).endpoint('10.0.0.1:8080')?.metricLabels).toMatchObject(labels);
  });

  it('[LB-03] a pod that claims to be meshed without a proxy is left out', async () => {
    const discovery = await start([...one, pod('a', { hasProxy: false })]);
    expect((await discovery.get('web:80')).lines()).toEqual([]);
  });
});

describe('Servers', () => {
  it('[PROTO-03] of other ports, protocols and namespaces change nothing', async () => {
    const discovery = await start([service('web'), pod('a'), slice('web', 'x', [{ pod: 'a' }])]);
    const client = await discovery.get('web:80');
    client.lines();
    await discovery.put(server('s', 9999, 'opaque'), server('t', 8080, 'HTTP/1'));
    const elsewhere = server('u', 8080, 'opaque');
    await discovery.put({ ...elsewhere, metadata: { ...elsewhere.metadata, namespace: 'other' } });
    expect(client.lines()).toEqual([]);
    await discovery.put(server('t', 'http', 'opaque'));
    expect(client.endpoint('10.0.0.1:8080')).toMatchObject({ protocolHint: { protocol: { case: 'opaque' } } });
  });
});

describe('services of other clusters', () => {
  it.each([
    [{ 'multicluster.linkerd.io/remote-discovery': 'west' }, '9 Remote discovery service missing remote service name web.ns'],
    [
      { 'multicluster.linkerd.io/remote-discovery': 'west', 'multicluster.linkerd.io/remote-service': 'web' },
      '5 Remote cluster not found: west',
    ],
  ])('[LB-17] are refused while no cluster is linked: %j', async (labels, status) => {
    const web = service('web');
    const discovery = await start([{ ...web, metadata: { ...web.metadata, labels } }]);
    expect(await statusOf(discovery.get('web:80'))).toBe(status);
  });
});
