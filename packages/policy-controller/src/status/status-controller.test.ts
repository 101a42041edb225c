// SPDX-License-Identifier: Apache-2.0
import {
  EgressNetworkKind,
  GRPCRouteKind,
  HTTPLocalRateLimitPolicyKind,
  HTTPRouteKind,
  ResourceError,
  type ResourceInput,
  type RouteParentStatus,
  ServerKind,
  ServiceKind,
} from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { type ManualWorld, settle, startWorld } from '../testing/manual-world.ts';

const GATEWAY = 'gateway.networking.k8s.io/v1';

function service(
  name: string,
  spec: Readonly<Record<string, unknown>> = { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'] },
): ResourceInput {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'app' }, spec: { ports: [{ port: 80 }], ...spec } };
}

function route(kind: string, spec: Readonly<Record<string, unknown>>, status?: unknown): ResourceInput {
  return { apiVersion: GATEWAY, kind, metadata: { name: 'r', namespace: 'app' }, spec, ...(status === undefined ? {} : { status }) };
}

function onService(name: string, rest: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return { parentRefs: [{ group: 'core', kind: 'Service', name, ...rest }], rules: [{}] };
}

function rateLimit(name: string): ResourceInput {
  return {
    apiVersion: 'policy.linkerd.io/v1alpha1',
    kind: 'HTTPLocalRateLimitPolicy',
    metadata: { name, namespace: 'app' },
    spec: { targetRef: { group: 'policy.linkerd.io', kind: 'Server', name: 's' }, total: { requestsPerSecond: 10 } },
  };
}

async function parentsOf(world: ManualWorld, kind = HTTPRouteKind): Promise<readonly RouteParentStatus[] | undefined> {
  await settle();
  return (await world.source.get(kind, 'app', 'r')).status?.parents;
}

/** `type=status reason: message` of each condition of the first parent. */
async function verdictsOf(world: ManualWorld, kind = HTTPRouteKind): Promise<string[]> {
  const [parent] = (await parentsOf(world, kind)) ?? [];
  return (parent?.conditions ?? []).map(({ type, status, reason, message }) => `${type}=${status} ${reason}: ${message}`);
}

describe('[RT-14] [RT-04] verdicts on parents', () => {
  it.each([
    ['a Service with an address', [service('web')], ['Accepted=True Accepted: ', 'ResolvedRefs=True ResolvedRefs: ']],
    [
      'a headless Service',
      [service('web', { clusterIP: 'None', clusterIPs: ['None'] })],
      ['Accepted=False NoMatchingParent: parent service must have a ClusterIP', 'ResolvedRefs=True ResolvedRefs: '],
    ],
    [
      'an external name',
      [service('web', { type: 'ExternalName', externalName: 'example.org' })],
      ['Accepted=False NoMatchingParent: parent service must have a ClusterIP', 'ResolvedRefs=True ResolvedRefs: '],
    ],
    ['no Service', [], ['Accepted=False NoMatchingParent: ', 'ResolvedRefs=True ResolvedRefs: ']],
  ])('%s', async (_name, objects, expected) => {
    const world = await startWorld([...objects, route('HTTPRoute', onService('web'))]);
    expect(await verdictsOf(world)).toEqual(expected);
  });

  it('follow the parent as it comes and goes', async () => {
    const world = await startWorld([route('HTTPRoute', onService('web'))]);
    await world.source.create(ServiceKind, service('web'));
    expect((await verdictsOf(world))[0]).toBe('Accepted=True Accepted: ');
    await world.source.delete(ServiceKind, 'app', 'web');
    expect((await verdictsOf(world))[0]).toBe('Accepted=False NoMatchingParent: ');
  });

  it('[RT-13] give way to a stronger kind on the same port, accepted or not, and return when it goes', async () => {
    const world = await startWorld([service('web'), route('HTTPRoute', onService('web', { port: 80 }))]);
    await world.source.create(GRPCRouteKind, route('GRPCRoute', onService('web')));
    expect((await verdictsOf(world))[0]).toBe('Accepted=True Accepted: ');
    await world.source.apply(GRPCRouteKind, route('GRPCRoute', onService('web', { port: 80 })), 'test');
    expect((await verdictsOf(world))[0]).toBe('Accepted=False RouteReasonConflicted: ');
    expect((await verdictsOf(world, GRPCRouteKind as never))[0]).toBe('Accepted=True Accepted: ');
    await world.source.delete(GRPCRouteKind, 'app', 'r');
    expect((await verdictsOf(world))[0]).toBe('Accepted=True Accepted: ');
  });

  it('[RT-08] name the first backend that cannot be resolved', async () => {
    const backends = (...refs: readonly unknown[]): ResourceInput =>
      route('HTTPRoute', { ...onService('web'), rules: [{ backendRefs: [{ name: 'web', port: 80 }] }, { backendRefs: refs }] });
    const world = await startWorld([service('web'), backends({ name: 'web', port: 80 })]);
    const verdicts: string[] = [];
    for (const refs of [
      [{ name: 'web', port: 80 }],
      [
        { name: 'gone', port: 80 },
        { group: 'x.org', kind: 'Thing', name: 't' },
      ],
      [
        { group: 'x.org', kind: 'Thing', name: 't' },
        { name: 'gone', port: 80 },
      ],
      [{ name: 'web', namespace: 'other', port: 80 }],
      [{ group: 'policy.linkerd.io', kind: 'EgressNetwork', name: 'e', port: 80 }],
    ]) {
      await world.source.apply(HTTPRouteKind, backends(...refs), 'test');
      verdicts.push((await verdictsOf(world))[1] ?? '');
    }
    expect(verdicts).toEqual([
      'ResolvedRefs=True ResolvedRefs: ',
      'ResolvedRefs=False BackendNotFound: ',
      'ResolvedRefs=False InvalidKind: ',
      'ResolvedRefs=False BackendNotFound: ',
      'ResolvedRefs=False InvalidKind: EgressNetwork backend needs to be on a route that has an EgressNetwork parent',
    ]);
  });

  it('do without ResolvedRefs on a Server', async () => {
    const parentRefs = [{ group: 'policy.linkerd.io', kind: 'Server', name: 's', port: 80 }];
    const world = await startWorld([route('HTTPRoute', { parentRefs, rules: [{}] })]);
    expect(await verdictsOf(world)).toEqual(['Accepted=False NoMatchingParent: ']);
    await world.source.create(ServerKind, {
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: { name: 's', namespace: 'app' },
      spec: { podSelector: {}, port: 80 },
    });
    expect(await verdictsOf(world)).toEqual(['Accepted=True Accepted: ']);
    expect((await parentsOf(world))?.[0]?.parentRef).toEqual({ group: 'policy.linkerd.io', kind: 'Server', namespace: 'app', name: 's' });
  });
});

describe('[RT-14] entries in a status', () => {
  const foreign = { controllerName: 'example.org/gateway', parentRef: { name: 'gw' }, conditions: [] };

  it('of other controllers stay, removed parents vanish, times change only with the status', async () => {
    const world = await startWorld([service('web'), route('HTTPRoute', onService('web'), { parents: [foreign] })]);
    const [first, own] = (await parentsOf(world)) ?? [];
    expect([first, own?.controllerName]).toEqual([foreign, 'linkerd.io/policy-controller']);
    await world.clock.advance(60_000);
    const spec = { ...onService('web'), rules: [{ backendRefs: [{ name: 'gone', port: 80 }] }] };
    await world.source.apply(HTTPRouteKind, route('HTTPRoute', spec), 'test');
    const [, changed] = (await parentsOf(world)) ?? [];
    expect(changed?.conditions?.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([
      '2026-11-23T12:00:00Z',
      '2026-11-23T12:01:00Z',
    ]);
    await world.source.apply(HTTPRouteKind, route('HTTPRoute', { rules: [{}] }), 'test');
    expect(await parentsOf(world)).toEqual([foreign]);
  });

  it('that another controller writes meanwhile are not overwritten', async () => {
    const world = await startWorld([service('web'), route('HTTPRoute', onService('web'), { parents: [foreign] })]);
    await settle();
    const { source } = world;
    const patchStatus = source.patchStatus.bind(source);
    const versions: unknown[] = [];
    source.patchStatus = (kind, namespace, name, patch, fieldManager) => {
      versions.push((patch['metadata'] as { readonly resourceVersion?: string } | undefined)?.resourceVersion);
      return patchStatus(kind, namespace, name, patch, fieldManager);
    };
    const { resourceVersion } = (await source.apply(HTTPRouteKind, route('HTTPRoute', onService('gone')), 'test')).metadata;
    await settle();
    expect(versions).toEqual([resourceVersion]);
  });

  it('are not written to routes that are none of our business', async () => {
    const world = await startWorld([route('HTTPRoute', { parentRefs: [{ name: 'gw' }], rules: [{}] })]);
    expect(await parentsOf(world)).toBeUndefined();
  });
});

describe('[REL-17] rate limits', () => {
  it('one per Server: the older is accepted, the other when it goes', async () => {
    const world = await startWorld([rateLimit('first')]);
    const reasons = async (): Promise<(string | undefined)[]> => {
      await settle();
      const limits = await world.source.list(HTTPLocalRateLimitPolicyKind);
      return limits.map(({ status }) => status?.conditions?.[0]?.reason);
    };
    expect(await reasons()).toEqual(['NoMatchingTarget']);
    await world.source.create(ServerKind, {
      apiVersion: 'policy.linkerd.io/v1beta3',
      kind: 'Server',
      metadata: { name: 's', namespace: 'app' },
      spec: { podSelector: {}, port: 80 },
    });
    await world.clock.advance(5000);
    await world.source.create(HTTPLocalRateLimitPolicyKind, rateLimit('another'));
    expect(await reasons()).toEqual(['RateLimitReasonAlreadyExists', 'Accepted']);
    await world.source.delete(HTTPLocalRateLimitPolicyKind, 'app', 'first');
    expect(await reasons()).toEqual(['Accepted']);
  });
});

describe('[EG-02] EgressNetworks', () => {
  it.each([
    ['the default networks', undefined, 'Accepted'],
    ['networks outside', [{ cidr: '203.0.113.0/24' }], 'Accepted'],
    ['a part of the cluster', [{ cidr: '10.1.0.0/16' }], 'EgressReasonNetworkOverlap'],
    ['everything', [{ cidr: '0.0.0.0/0' }], 'EgressReasonNetworkOverlap'],
    ['a network whose cluster part is excepted', [{ cidr: '10.0.0.0/7', except: ['10.0.0.0/8'] }], 'Accepted'],
  ])('%s', async (_name, networks, reason) => {
    const world = await startWorld([
      {
        apiVersion: 'policy.linkerd.io/v1alpha1',
        kind: 'EgressNetwork',
        metadata: { name: 'e', namespace: 'app' },
        spec: { trafficPolicy: 'Allow', ...(networks === undefined ? {} : { networks }) },
      },
    ]);
    await settle();
    expect((await world.source.get(EgressNetworkKind, 'app', 'e')).status?.conditions?.[0]?.reason).toBe(reason);
  });
});

describe('[RT-14] the writer', () => {
  it('writes nothing while it does not lead, and everything once it does', async () => {
    const world = await startWorld([service('web'), route('HTTPRoute', onService('web'))]);
    world.controller.statusController.lead(false);
    await world.source.delete(ServiceKind, 'app', 'web');
    expect((await verdictsOf(world))[0]).toBe('Accepted=True Accepted: ');
    world.controller.statusController.lead(true);
    expect((await verdictsOf(world))[0]).toBe('Accepted=False NoMatchingParent: ');
  });

  it('tries again within ten seconds when a patch fails, times out or finds the object changed', async () => {
    const world = await startWorld([service('web')]);
    const { source } = world;
    const patchStatus = source.patchStatus.bind(source);
    for (const failure of [
      (): Promise<never> => Promise.reject(new ResourceError('ERR_UNAVAILABLE', 'away')),
      (): Promise<never> => Promise.reject(new ResourceError('ERR_CONFLICT', 'changed')),
      (): Promise<never> => new Promise(() => undefined),
    ]) {
      source.patchStatus = failure;
      await source.create(HTTPRouteKind, route('HTTPRoute', onService('web')));
      expect(await parentsOf(world)).toBeUndefined();
      source.patchStatus = patchStatus;
      await world.clock.advance(10_000);
      expect((await verdictsOf(world))[0]).toBe('Accepted=True Accepted: ');
      await source.delete(HTTPRouteKind, 'app', 'r');
      await settle();
    }
    const { counts } = world;
    expect([counts.get('resource_status_patch_api_errors_total'), counts.get('resource_status_patch_timeouts_total')]).toEqual([2, 1]);
  });
});
