// SPDX-License-Identifier: Apache-2.0
/*
 * Exactly one message per effective change (control-contract §3.1): whatever happens to objects that a proxy's policy does not rest on, or
 * to parts of its own that proxies cannot see, its streams are silent. Over every kind that is watched.
 */
import { type Resource, type ResourceInput, type ResourceKind, allKinds, kindOf } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { type ManualWorld, settle, startWorld } from './testing/manual-world.ts';
import { WEB_IP, acceptedRoute, egressNetwork, meshedPod, service, watchAddress, watchPodPort } from './testing/objects.ts';
import { callVector } from './testing/recorded-call.ts';

type Json = Readonly<Record<string, unknown>>;

const OUTSIDE_IP = '203.0.113.7';

function policyObject(kind: string, version: string, spec: Json): ResourceInput {
  return { apiVersion: `policy.linkerd.io/${version}`, kind, metadata: { name: 'x', namespace: 'app' }, spec };
}

const SERVER_REF = { group: 'policy.linkerd.io', kind: 'Server', name: 's' };

/** One object of every kind that has a part in policy; pods and Services are those that the streams ask about. */
const IN_FORCE: readonly ResourceInput[] = [
  meshedPod('web'),
  service('web', WEB_IP),
  { ...policyObject('Server', 'v1beta3', { podSelector: {}, port: 8080 }), metadata: { name: 's', namespace: 'app' } },
  policyObject('ServerAuthorization', 'v1beta1', { server: { name: 's' }, client: { meshTLS: { identities: ['a.b'] } } }),
  policyObject('MeshTLSAuthentication', 'v1alpha1', { identities: ['a.app.serviceaccount.identity.linkerd.cluster.local'] }),
  policyObject('NetworkAuthentication', 'v1alpha1', { networks: [{ cidr: '10.0.0.0/8' }] }),
  policyObject('AuthorizationPolicy', 'v1alpha1', {
    targetRef: SERVER_REF,
    requiredAuthenticationRefs: [
      { group: 'policy.linkerd.io', kind: 'MeshTLSAuthentication', name: 'x' },
      { group: 'policy.linkerd.io', kind: 'NetworkAuthentication', name: 'x' },
    ],
  }),
  policyObject('HTTPLocalRateLimitPolicy', 'v1alpha1', { targetRef: SERVER_REF, total: { requestsPerSecond: 5 } }),
  egressNetwork('e', { trafficPolicy: 'Allow' }),
  acceptedRoute('HTTPRoute', [{ backendRefs: [{ name: 'web', port: 80 }] }], { name: 'http' }),
  acceptedRoute('GRPCRoute', [{ backendRefs: [{ name: 'web', port: 80 }] }], { name: 'grpc' }),
  acceptedRoute('TLSRoute', [{ backendRefs: [{ name: 'web', port: 80 }] }], { name: 'tls' }),
  acceptedRoute('TCPRoute', [{ backendRefs: [{ name: 'web', port: 80 }] }], { name: 'tcp' }),
  {
    ...acceptedRoute('HTTPRoute', [{ backendRefs: [{ name: 'web', port: 80 }] }], { name: 'mesh' }),
    apiVersion: 'policy.linkerd.io/v1beta3',
  },
  {
    apiVersion: 'workload.linkerd.io/v1beta1',
    kind: 'ExternalWorkload',
    metadata: { name: 'vm', namespace: 'app' },
    spec: { meshTLS: { identity: 'a', serverName: 'b' }, workloadIPs: [{ ip: '192.0.2.1' }], ports: [{ name: 'http', port: 8080 }] },
  },
];

interface Streams {
  readonly world: ManualWorld;
  /** Messages and ends since the last question. */
  readonly news: () => Promise<number[]>;
}

async function openStreams(): Promise<Streams> {
  const world = await startWorld(IN_FORCE);
  await world.controller.statusController.whenIdle();
  await settle();
  const requests = [watchPodPort('web', 8080), watchAddress(WEB_IP), watchAddress(WEB_IP, 80, 'elsewhere'), watchAddress(OUTSIDE_IP)];
  const calls = await Promise.all(requests.map((request) => callVector(world.controller, request)));
  for (const { messages } of calls) messages.splice(0);
  return {
    world,
    news: async () => {
      await settle();
      await world.controller.statusController.whenIdle();
      await settle();
      return calls.map(({ messages, status }) => messages.splice(0).length + (status === null ? 0 : 1));
    },
  };
}

function kindOfObject(object: ResourceInput): ResourceKind {
  const kind = kindOf(object);
  if (kind === undefined) throw new Error(`no such kind: ${object.kind}`);
  return kind;
}

const CASES = IN_FORCE.map((object) => [`${object.kind} of ${object.apiVersion}`, object] as const);

describe('[RT-27] [AZ-22] streams say nothing', () => {
  it.each(CASES)('of a %s in a namespace that is none of theirs', async (_name, object) => {
    const { world, news } = await openStreams();
    const spec = object['spec'] as Json;
    const stranger = {
      ...object,
      metadata: { ...object.metadata, namespace: 'strangers' },
      ...(object.kind === 'Service' ? { spec: { ...spec, clusterIP: '10.96.9.9', clusterIPs: ['10.96.9.9'] } } : {}),
    };
    const kind = kindOfObject(object);
    await world.source.create(kind, stranger);
    await world.source.patch(
      kind,
      'strangers',
      object.metadata.name,
      { metadata: { annotations: { 'retry.linkerd.io/limit': '3' } } },
      'test',
    );
    await world.source.delete(kind, 'strangers', object.metadata.name);
    expect(await news()).toEqual([0, 0, 0, 0]);
  });

  it.each(CASES.filter(([, { kind }]) => kind !== 'EgressNetwork'))('of a label or a foreign annotation on a %s', async (_name, object) => {
    const { world, news } = await openStreams();
    const kind = kindOfObject(object);
    const { name } = object.metadata;
    await world.source.patch(kind, 'app', name, { metadata: { labels: { team: 'a' }, annotations: { 'example.org/x': 'y' } } }, 'test');
    expect(await news()).toEqual([0, 0, 0, 0]);
  });

  it.each(CASES.filter(([, { kind }]) => kind.endsWith('Route')))(
    'of what another controller writes to the status of a %s',
    async (_name, object) => {
      const { world, news } = await openStreams();
      const kind = kindOfObject(object) as ResourceKind<Resource<unknown, { readonly parents?: readonly Json[] }>>;
      const { status } = await world.source.get(kind, 'app', object.metadata.name);
      const foreign = { controllerName: 'example.org/gateway', parentRef: { name: 'gw' }, conditions: [] };
      const parents = [...(status?.parents ?? []), foreign];
      await world.source.patchStatus(kind, 'app', object.metadata.name, { status: { parents } }, 'test');
      expect(await news()).toEqual([0, 0, 0, 0]);
    },
  );

  it('of kinds that have no part in policy', () => {
    const watched = new Set(IN_FORCE.map(({ kind }) => kind));
    // Fails when a kind is added to the controller's watches and not to the cases above.
    const known = allKinds.filter(({ group }) => group === 'policy.linkerd.io' || group === 'gateway.networking.k8s.io');
    expect(known.filter(({ kind }) => !watched.has(kind))).toEqual([]);
  });
});

describe('[RT-27] [AZ-22] streams say one thing', () => {
  it.each<[string, ResourceInput, readonly number[]]>([
    [
      'ServerAuthorization',
      policyObject('ServerAuthorization', 'v1beta1', { server: { name: 's' }, client: { meshTLS: { identities: ['*'] } } }),
      [1, 0, 0, 0],
    ],
    ['MeshTLSAuthentication', policyObject('MeshTLSAuthentication', 'v1alpha1', { identities: ['*.app'] }), [1, 0, 0, 0]],
    ['NetworkAuthentication', policyObject('NetworkAuthentication', 'v1alpha1', { networks: [{ cidr: '10.1.0.0/16' }] }), [1, 0, 0, 0]],
    [
      'HTTPLocalRateLimitPolicy',
      policyObject('HTTPLocalRateLimitPolicy', 'v1alpha1', { targetRef: SERVER_REF, total: { requestsPerSecond: 6 } }),
      [1, 0, 0, 0],
    ],
    ['GRPCRoute', acceptedRoute('GRPCRoute', [{ backendRefs: [{ name: 'gone', port: 80 }] }], { name: 'grpc' }), [0, 1, 1, 0]],
    ['Service', service('web', WEB_IP, {}, { 'timeout.linkerd.io/request': '1s' }), [0, 1, 1, 0]],
  ])('of a %s that changes', async (_kind, object, expected) => {
    const { world, news } = await openStreams();
    const { status: _status, ...bare } = object;
    await world.source.apply(kindOfObject(object), bare, 'test');
    expect(await news()).toEqual(expected);
  });
});
