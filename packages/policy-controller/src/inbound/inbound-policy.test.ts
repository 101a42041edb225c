// SPDX-License-Identifier: Apache-2.0
import {
  AuthorizationPolicyKind,
  HTTPRouteKind,
  MeshTLSAuthenticationKind,
  PodKind,
  type ResourceInput,
  ServerKind,
} from '@weft/resources';
import type { VectorJson } from '@weft/proto/testing';
import { describe, expect, it } from 'vitest';
import { type ManualWorld, settle, startWorld } from '../testing/manual-world.ts';
import { meshedPod, watchPodPort } from '../testing/objects.ts';
import { callVector } from '../testing/recorded-call.ts';
import type { PolicyControllerOptions } from '../types.ts';

type Json = Readonly<Record<string, unknown>>;

function policyObject(kind: string, version: string, name: string, spec: Json, namespace = 'app'): ResourceInput {
  return { apiVersion: `policy.linkerd.io/${version}`, kind, metadata: { name, namespace }, spec };
}

function server(name: string, spec: Json = {}): ResourceInput {
  return policyObject('Server', 'v1beta3', name, { podSelector: { matchLabels: { app: 'web' } }, port: 8080, ...spec });
}

function authorizationPolicy(name: string, targetRef: Json, refs: readonly Json[], namespace = 'app'): ResourceInput {
  return policyObject('AuthorizationPolicy', 'v1alpha1', name, { targetRef, requiredAuthenticationRefs: refs }, namespace);
}

async function policyOf(world: ManualWorld, port = 8080, pod = 'web'): Promise<Json> {
  const call = await callVector(world.controller, watchPodPort(pod, port));
  call.cancel();
  return call.messages[0] as Json;
}

/** Names of the server and of what authorizes its clients. */
async function namesOf(objects: readonly ResourceInput[], options: Partial<PolicyControllerOptions> = {}): Promise<unknown[]> {
  const { labels, authorizations } = await policyOf(await startWorld(objects, options));
  return [labels, ...((authorizations ?? []) as Json[]).map((authz) => authz['labels'])].map((each) => (each as Json)['name']);
}

const SERVER_TARGET = { group: 'policy.linkerd.io', kind: 'Server', name: 's' };
const MESH = { group: 'policy.linkerd.io', kind: 'MeshTLSAuthentication', name: 'm' };
const NETWORK = { group: 'policy.linkerd.io', kind: 'NetworkAuthentication', name: 'n' };

describe('which Server claims a port', () => {
  it.each([
    ['no label selector', { podSelector: {} }, 's'],
    ['another app', { podSelector: { matchLabels: { app: 'other' } } }, 'all-unauthenticated'],
    ['a name of the port', { port: 'http' }, 's'],
    ['a name of no port', { port: 'https' }, 'all-unauthenticated'],
    ['external workloads', { podSelector: undefined, externalWorkloadSelector: {} }, 'all-unauthenticated'],
    ['an unknown protocol', { proxyProtocol: 'HTTP/9' }, 'all-unauthenticated'],
    ['NotIn of an absent label', { podSelector: { matchExpressions: [{ key: 'x', operator: 'NotIn', values: ['y'] }] } }, 's'],
  ])('[AZ-01] [AZ-18] with %s', async (_name, spec, name) => {
    expect((await namesOf([meshedPod('web'), server('s', spec)]))[0]).toBe(name);
  });

  it('[AZ-17] is the oldest, then the first by name, and the conflict is logged once', async () => {
    const world = await startWorld([meshedPod('web'), server('b')]);
    await world.clock.advance(1000);
    await world.source.create(ServerKind, server('a'));
    await settle();
    expect(((await policyOf(world))['labels'] as Json)['name']).toBe('b');
    await policyOf(world);
    expect(world.log.filter(({ message }) => message === 'several Servers claim a port')).toHaveLength(1);
  });

  it('[AZ-08] [AZ-01] an unknown access policy opens nothing', async () => {
    expect(await namesOf([meshedPod('web'), server('s', { accessPolicy: 'everyone' })])).toEqual(['s']);
  });
});

describe('who is authorized', () => {
  it.each([
    ['all of the namespace', { kind: 'Namespace', name: 'app' }, [], ['s', 'ap']],
    ['another namespace', { kind: 'Namespace', name: 'other' }, [], ['s']],
    ['the Server, whatever the case', { group: 'Policy.Linkerd.io', kind: 'server', name: 's' }, [], ['s', 'ap']],
    ['a Server of another group', { group: 'x.org', kind: 'Server', name: 's' }, [], ['s']],
    ['identities that exist', SERVER_TARGET, [MESH], ['s', 'ap']],
    ['identities and networks', SERVER_TARGET, [NETWORK, MESH], ['s', 'ap']],
    ['something that does not exist', SERVER_TARGET, [{ ...MESH, name: 'gone' }], ['s']],
    ['something in a namespace where it is not', SERVER_TARGET, [{ ...MESH, namespace: 'other' }], ['s']],
    ['two sets of identities', SERVER_TARGET, [MESH, { kind: 'ServiceAccount', name: 'x' }], ['s']],
    ['two networks', SERVER_TARGET, [NETWORK, NETWORK], ['s']],
    ['an unknown kind of reference', SERVER_TARGET, [{ group: 'x.org', kind: 'Secret', name: 'x' }], ['s']],
  ])('[AZ-03] by a policy for %s', async (_name, target, refs, names) => {
    const objects = [
      meshedPod('web'),
      server('s'),
      policyObject('MeshTLSAuthentication', 'v1alpha1', 'm', { identities: ['*'] }),
      policyObject('NetworkAuthentication', 'v1alpha1', 'n', { networks: [{ cidr: '10.0.0.0/8' }] }),
      authorizationPolicy('ap', target, refs),
    ];
    expect(await namesOf(objects)).toEqual(names);
  });

  it('[AZ-11] follows an authentication of another namespace as it comes and goes', async () => {
    const world = await startWorld([meshedPod('web'), server('s')]);
    const call = await callVector(world.controller, watchPodPort('web', 8080));
    const names = (message: VectorJson | undefined): unknown =>
      (((message as unknown as Json | undefined)?.['authorizations'] ?? []) as Json[]).map((authz) => (authz['labels'] as Json)['name']);
    await world.source.create(AuthorizationPolicyKind, authorizationPolicy('ap', SERVER_TARGET, [{ ...MESH, namespace: 'auth' }]));
    await settle();
    await world.source.create(
      MeshTLSAuthenticationKind,
      policyObject('MeshTLSAuthentication', 'v1alpha1', 'm', { identities: ['a.b'] }, 'auth'),
    );
    await settle();
    await world.source.delete(MeshTLSAuthenticationKind, 'auth', 'm');
    await settle();
    expect(call.messages.map(names)).toEqual([[], ['ap'], []]);
  });

  it.each([
    ['nobody', {}, ['s']],
    ['anyone', { unauthenticated: true }, ['s', 'saz']],
    ['an empty list of identities', { meshTLS: {} }, ['s']],
    ['a network that is none', { unauthenticated: true, networks: [{ cidr: 'x' }] }, ['s']],
  ])('[AZ-02] by a ServerAuthorization for %s', async (_name, client, names) => {
    const saz = policyObject('ServerAuthorization', 'v1beta1', 'saz', { server: { name: 's' }, client });
    expect(await namesOf([meshedPod('web'), server('s'), saz])).toEqual(names);
  });
});

describe('default policies', () => {
  it.each(['all-unauthenticated', 'all-authenticated', 'cluster-unauthenticated', 'cluster-authenticated', 'audit'] as const)(
    '[AZ-07] %s of the cluster',
    async (defaultPolicy) => {
      expect(await namesOf([meshedPod('web')], { defaultPolicy })).toEqual([defaultPolicy, defaultPolicy]);
    },
  );

  it('[AZ-07] deny authorizes nobody', async () => {
    expect(await namesOf([meshedPod('web')], { defaultPolicy: 'deny' })).toEqual(['deny']);
  });
});

describe('[AZ-12] probes', () => {
  const probe = (path: string, port: number | string = 8080): Json => ({ httpGet: { path, port } });
  const pathsOf = async (
    pod: ResourceInput,
    port = 8080,
    options: Partial<PolicyControllerOptions> = {},
    ...more: ResourceInput[]
  ): Promise<string[]> => {
    const policy = JSON.stringify(await policyOf(await startWorld([pod, ...more], options), port));
    return [...policy.matchAll(/"exact":"([^"]*)"/g)].map(([, path]) => path ?? '');
  };
  const app = (fields: Json): Json => ({ name: 'app', image: 'app', ports: [{ containerPort: 8080, name: 'http' }], ...fields });

  it('of all containers are let in by path, once each, without query', async () => {
    const pod = meshedPod('web', {
      initContainers: [{ name: 'sidecar', image: 'x', restartPolicy: 'Always', startupProbe: probe('/started') }],
      containers: [
        app({ livenessProbe: probe('/live?full=1'), readinessProbe: probe('/live', 'http') }),
        { name: 'b', image: 'x', readinessProbe: probe('ready'), livenessProbe: probe('/by-foreign-name', 'http') },
      ],
    });
    expect(await pathsOf(pod)).toEqual(['/live', '/ready', '/started']);
  });

  it('are let in on their own port only, and not at all without probe networks', async () => {
    const pod = meshedPod('web', { containers: [app({ livenessProbe: probe('/live') })] });
    expect([await pathsOf(pod, 8081), await pathsOf(pod, 8080, { probeNetworks: [] })]).toEqual([[], []]);
  });

  it('give way to routes on the Server', async () => {
    const pod = meshedPod('web', { containers: [app({ livenessProbe: probe('/live') })] });
    const route: ResourceInput = {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'r', namespace: 'app' },
      spec: { parentRefs: [SERVER_TARGET], rules: [{ matches: [{ path: { type: 'Exact', value: '/only' } }] }] },
    };
    const world = await startWorld([pod, server('s'), route]);
    await settle();
    expect(JSON.stringify(await policyOf(world))).not.toContain('"default":"probe"');
    expect(await pathsOf(pod, 8080, {}, server('s'))).toEqual(['/live']);
  });
});

describe('objects that change', () => {
  it('a Server that becomes invalid counts as absent', async () => {
    const world = await startWorld([meshedPod('web'), server('s')]);
    const call = await callVector(world.controller, watchPodPort('web', 8080));
    await world.source.apply(ServerKind, server('s', { proxyProtocol: 'HTTP/9' }), 'test');
    await settle();
    expect(call.messages.map((message) => ((message as unknown as Json)['labels'] as Json)['name'])).toEqual(['s', 'all-unauthenticated']);
    expect(world.log.some(({ message }) => message === 'ignoring an invalid object')).toBe(true);
  });

  it('[AZ-18] a port name follows the pod', async () => {
    const world = await startWorld([server('s', { port: 'http' })]);
    const named = (name: string): ResourceInput =>
      meshedPod('web', { containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 8080, name }] }] });
    world.source.store.seed(named('other'));
    await settle();
    const call = await callVector(world.controller, watchPodPort('web', 8080));
    world.source.store.seed(named('http'));
    await settle();
    expect(call.messages.map((message) => ((message as unknown as Json)['labels'] as Json)['name'])).toEqual(['all-unauthenticated', 's']);
  });

  it('[AZ-06] the last route of one kind takes no other with it', async () => {
    const route = (group: string): ResourceInput => ({
      apiVersion: group,
      kind: 'HTTPRoute',
      metadata: { name: group.split('.')[0] ?? '', namespace: 'app' },
      spec: { parentRefs: [SERVER_TARGET], rules: [{ matches: [{ path: { value: '/' } }] }] },
    });
    const world = await startWorld([
      meshedPod('web'),
      server('s'),
      route('policy.linkerd.io/v1beta3'),
      route('gateway.networking.k8s.io/v1'),
    ]);
    await settle();
    await world.source.delete(HTTPRouteKind, 'app', 'gateway');
    await settle();
    expect(JSON.stringify(await policyOf(world))).toContain('"name":"policy"');
  });
});

describe('[AZ-22] streams', () => {
  it('share one computation per port and are all told once', async () => {
    const world = await startWorld([meshedPod('web')]);
    const calls = await Promise.all([1, 2, 3].map(() => callVector(world.controller, watchPodPort('web', 8080))));
    await world.source.create(ServerKind, server('s'));
    await settle();
    expect(calls.map(({ messages }) => messages.length)).toEqual([2, 2, 2]);
    await world.source.delete(PodKind, 'app', 'web');
    await settle();
    expect(calls.map(({ status }) => status)).toEqual([1, 2, 3].map(() => ({ code: 0, details: '' })));
  });

  it('say nothing of objects that do not concern them', async () => {
    const world = await startWorld([meshedPod('web'), meshedPod('other')]);
    const call = await callVector(world.controller, watchPodPort('web', 8080));
    await world.source.create(ServerKind, server('s', { podSelector: { matchLabels: { app: 'other' } } }));
    await world.source.create(ServerKind, server('t', { port: 8081 }));
    await settle();
    expect(call.messages).toHaveLength(1);
  });
});
