// SPDX-License-Identifier: Apache-2.0
/*
 * Objects made to hurt, in a world that enforces no schema (control-contract §3.1: what cannot be read is skipped with a warning): they cost
 * their own namespace an error, and nobody else anything.
 */
import { HTTPRouteKind, type ResourceInput, ServerKind, kindOf } from '@weft/resources';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { settle, startWorld } from './testing/manual-world.ts';
import { WEB_IP, acceptedRoute, egressNetwork, meshedPod, service, watchAddress, watchPodPort } from './testing/objects.ts';
import { callVector } from './testing/recorded-call.ts';

type Json = Readonly<Record<string, unknown>>;

const OTHER_IP = '10.96.0.20';

/** A namespace that wants to be left alone: `app` of the other tests. */
const VICTIM: readonly ResourceInput[] = [
  meshedPod('web'),
  service('web', WEB_IP),
  {
    apiVersion: 'policy.linkerd.io/v1beta3',
    kind: 'Server',
    metadata: { name: 's', namespace: 'app' },
    spec: { podSelector: {}, port: 8080 },
  },
  acceptedRoute('HTTPRoute', [{ matches: [{ path: { value: '/a' } }] }]),
];

/** A Service of namespace `hostile`. */
const THEIRS: ResourceInput = { ...service('h', OTHER_IP), metadata: { name: 'h', namespace: 'hostile' } };

const VICTIMS_QUESTIONS = [watchPodPort('web', 8080), watchAddress(WEB_IP), watchAddress(WEB_IP, 80, 'elsewhere')];

/** One good object of every custom kind that policy reads, in namespace `hostile`, on the victim's Service where it has a parent. */
const SEEDS: readonly ResourceInput[] = [
  policyObject('Server', 'v1beta3', { podSelector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] }, port: 80 }),
  policyObject('ServerAuthorization', 'v1beta1', {
    server: { selector: {} },
    client: { meshTLS: { identities: ['*'] }, networks: [{ cidr: '10.0.0.0/8' }] },
  }),
  policyObject('AuthorizationPolicy', 'v1alpha1', {
    targetRef: { kind: 'Namespace', name: 'hostile' },
    requiredAuthenticationRefs: [{ group: 'policy.linkerd.io', kind: 'MeshTLSAuthentication', name: 'x', namespace: 'app' }],
  }),
  policyObject('MeshTLSAuthentication', 'v1alpha1', { identities: ['*'], identityRefs: [{ kind: 'ServiceAccount', name: 'x' }] }),
  policyObject('NetworkAuthentication', 'v1alpha1', { networks: [{ cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] }] }),
  policyObject('HTTPLocalRateLimitPolicy', 'v1alpha1', {
    targetRef: { group: 'policy.linkerd.io', kind: 'Server', name: 'x' },
    overrides: [{ requestsPerSecond: 1, clientRefs: [{ kind: 'ServiceAccount', name: 'a' }] }],
  }),
  egressNetwork('e', { trafficPolicy: 'Deny', networks: [{ cidr: '0.0.0.0/0', except: ['10.0.0.0/8'] }] }, 'hostile'),
  ...['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'].map((kind) =>
    acceptedRoute(
      kind,
      [
        {
          matches: [{ headers: [{ name: 'a', value: 'b' }] }],
          filters: [{ type: 'RequestRedirect', requestRedirect: {} }],
          backendRefs: [{ name: 'web', port: 80, weight: 1 }],
        },
      ],
      { namespace: 'hostile' },
    ),
  ),
];

function policyObject(kind: string, version: string, spec: Json): ResourceInput {
  return { apiVersion: `policy.linkerd.io/${version}`, kind, metadata: { name: 'x', namespace: 'hostile' }, spec };
}

/** Values that no schema would let through where they end up. */
const NONSENSE: readonly unknown[] = [
  null,
  [],
  {},
  '',
  'x',
  0,
  -1,
  1e300,
  true,
  [null],
  [[]],
  { length: -1 },
  '\u0000',
  'a'.repeat(10_000),
];

/** A copy of `value` in which the `at`-th value, counted depth first, is `nonsense`. */
function spoil(value: unknown, at: number, nonsense: unknown): unknown {
  let count = 0;
  const visit = (item: unknown): unknown => {
    count += 1;
    if (count === at) return nonsense;
    if (Array.isArray(item)) return item.map(visit);
    if (typeof item === 'object' && item !== null)
      return Object.fromEntries(Object.entries(item).map(([key, inner]) => [key, visit(inner)]));
    return item;
  };
  return visit(value);
}

describe('[RT-11] [AZ-22] objects of impossible shape', () => {
  it('are skipped, whatever is wrong with them, and change nothing for other namespaces', async () => {
    const spoilt = fc.tuple(fc.constantFrom(...SEEDS), fc.integer({ min: 1, max: 25 }), fc.constantFrom(...NONSENSE), fc.boolean());
    const reference = await startWorld(VICTIM);
    const expected = await Promise.all(VICTIMS_QUESTIONS.map((request) => callVector(reference.controller, request)));
    await fc.assert(
      fc.asyncProperty(fc.array(spoilt, { minLength: 1, maxLength: 5 }), async (cases) => {
        const objects = new Map<string, ResourceInput>();
        for (const [seed, at, nonsense, isStatus] of cases) {
          const part = isStatus && seed['status'] !== undefined ? 'status' : 'spec';
          objects.set(`${seed.apiVersion}/${seed.kind}`, { ...seed, [part]: spoil(seed[part], at, nonsense) });
        }
        const world = await startWorld([...VICTIM, THEIRS, ...objects.values()]);
        const calls = await Promise.all(VICTIMS_QUESTIONS.map((request) => callVector(world.controller, request)));
        await world.clock.advance(10_000);
        expect(calls.map(({ messages, status }) => [messages, status])).toEqual(expected.map(({ messages, status }) => [messages, status]));
        // And those who asked for it get an answer or a status, not a dead process.
        await Promise.all(
          [watchAddress(WEB_IP, 80, 'hostile'), watchAddress(OTHER_IP, 80, 'hostile')].map((request) =>
            callVector(world.controller, request),
          ),
        );
        await world.controller.close();
      }),
      { numRuns: 150 },
    );
  });

  it('leave the other routes of their parent in force: a weight that the wire has no room for, a condition that is none', async () => {
    const heavy = acceptedRoute('HTTPRoute', [{ backendRefs: [{ name: 'web', port: 80, weight: 1e300 }] }], {
      name: 'heavy',
      namespace: 'hostile',
    });
    const { status } = acceptedRoute('HTTPRoute', []) as unknown as { readonly status: { readonly parents: readonly Json[] } };
    const odd = {
      ...acceptedRoute('HTTPRoute', [{}], { name: 'odd', namespace: 'hostile' }),
      status: { parents: [null, { ...status.parents[0], conditions: [null, { type: 'Accepted', status: 'True' }] }] },
    } as ResourceInput;
    const world = await startWorld([...VICTIM, heavy, odd]);
    const call = await callVector(world.controller, watchAddress(WEB_IP, 80, 'hostile'));
    const text = JSON.stringify(call.messages[0]);
    expect(['r', 'odd', 'heavy'].map((name) => text.includes(`"name":"${name}"`))).toEqual([true, true, false]);
  });

  it('are read again once they are mended', async () => {
    const world = await startWorld([
      ...VICTIM,
      { ...acceptedRoute('HTTPRoute', [{ backendRefs: [null as never] }], { namespace: 'hostile' }), status: undefined },
    ]);
    const read = async (): Promise<string | undefined> => {
      await settle();
      return (await world.source.get(HTTPRouteKind, 'hostile', 'r')).status?.parents?.[0]?.conditions?.[0]?.reason;
    };
    expect([await read(), world.log.some(({ message }) => message === 'ignoring an object in status')]).toEqual([undefined, true]);
    await world.source.patch(
      HTTPRouteKind,
      'hostile',
      'r',
      { spec: { rules: [{ backendRefs: [{ name: 'web', namespace: 'app', port: 80 }] }] } },
      'test',
    );
    expect(await read()).toBe('Accepted');
  });
});

describe('[RT-06] patterns', () => {
  const big = 'a{1000}';
  const withPatterns = (name: string, count: number, namespace = 'app'): ResourceInput =>
    acceptedRoute(
      'HTTPRoute',
      [{ matches: Array.from({ length: count }, (_, i) => ({ path: { type: 'RegularExpression', value: `/${i}${big}` } })) }],
      { name, namespace },
    );

  it('that are too large together void their own route', async () => {
    const world = await startWorld([service('web', WEB_IP), withPatterns('huge', 70), acceptedRoute('HTTPRoute', [{}])]);
    const call = await callVector(world.controller, watchAddress(WEB_IP));
    const text = JSON.stringify(call.messages[0]);
    expect([text.includes('"huge"'), text.includes('"r"')]).toEqual([false, true]);
    expect(world.log.filter(({ message }) => message === 'ignoring a route')).toMatchObject([
      { fields: { route: 'gateway.networking.k8s.io/HTTPRoute/app/huge' } },
    ]);
  });

  it('of many routes on one parent are bounded too; a new route does not take the place of an old one', async () => {
    const world = await startWorld([service('web', WEB_IP), withPatterns('z', 1)]);
    const call = await callVector(world.controller, watchAddress(WEB_IP));
    await world.clock.advance(5000);
    for (let i = 0; i < 6; i += 1) await world.source.create(HTTPRouteKind, withPatterns(`n${i}`, 60));
    await settle();
    const text = JSON.stringify(call.messages.at(-1));
    expect(['z', 'n0', 'n1', 'n2', 'n3', 'n4', 'n5'].map((name) => text.includes(`"name":"${name}"`))).toEqual([
      true,
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
  });
});

describe('[RT-13] [RT-05] routes of another namespace on a Service', () => {
  it('do not put the routes of its owner out of force, nor cost its clients a message', async () => {
    const world = await startWorld(VICTIM);
    const calls = await Promise.all(VICTIMS_QUESTIONS.map((request) => callVector(world.controller, request)));
    const own = await callVector(world.controller, watchAddress(WEB_IP, 80, 'hostile'));
    const { status: _status, ...grpc } = acceptedRoute('GRPCRoute', [{}], { namespace: 'hostile' });
    await world.source.create(kindOf(grpc) ?? HTTPRouteKind, grpc);
    await settle();
    const { status } = await world.source.get(HTTPRouteKind, 'app', 'r');
    expect(status?.parents[0]?.conditions?.[0]).toMatchObject({ type: 'Accepted', status: 'True' });
    expect([...calls.map(({ messages }) => messages.length), own.messages.length]).toEqual([1, 1, 1, 2]);
  });

  it('give way to stronger ones of its owner, as those of its owner do', async () => {
    const { status: _grpc, ...grpc } = acceptedRoute('GRPCRoute', [{}]);
    const { status: _http, ...http } = acceptedRoute('HTTPRoute', [{}], { namespace: 'hostile' });
    const world = await startWorld([service('web', WEB_IP), grpc, http]);
    await settle();
    const { status } = await world.source.get(HTTPRouteKind, 'hostile', 'r');
    expect(status?.parents[0]?.conditions?.[0]).toMatchObject({ status: 'False', reason: 'RouteReasonConflicted' });
  });
});

describe('[AZ-17] many Servers of one namespace', () => {
  it('leave another namespace its policy and its silence', async () => {
    const world = await startWorld(VICTIM);
    const call = await callVector(world.controller, watchPodPort('web', 8080));
    for (let i = 0; i < 500; i += 1) {
      await world.source.create(ServerKind, {
        apiVersion: 'policy.linkerd.io/v1beta3',
        kind: 'Server',
        metadata: { name: `s${i}`, namespace: 'hostile' },
        spec: { podSelector: {}, port: 8080 },
      });
    }
    await settle();
    expect([call.messages.length, call.status]).toEqual([1, null]);
  });
});
