// SPDX-License-Identifier: Apache-2.0
import {
  EgressNetworkKind,
  GRPCRouteKind,
  HTTPRouteKind,
  type ResourceInput,
  type ResourceKind,
  ServiceKind,
  TCPRouteKind,
  TLSRouteKind,
} from '@weft/resources';
import type { VectorJson } from '@weft/proto/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ManualWorld, settle, startWorld } from '../testing/manual-world.ts';
import { WEB_IP, acceptedRoute, egressNetwork, service, watchAddress, watchAuthority } from '../testing/objects.ts';
import { type RecordedCall, callVector } from '../testing/recorded-call.ts';

type Json = Readonly<Record<string, unknown>>;

const OUTSIDE_IP = '203.0.113.7';

/** All values of the objects called `field`, anywhere below. */
function every(value: VectorJson | undefined, field: string): VectorJson[] {
  if (typeof value !== 'object') return [];
  if (Array.isArray(value)) return value.flatMap((item) => every(item, field));
  return Object.entries(value).flatMap(([key, item]) => [...(key === field ? [item] : []), ...every(item, field)]);
}

/** The kind of protocol of a policy. */
function protocolOf(message: VectorJson | undefined): string | undefined {
  const { protocol } = message as { readonly protocol: Json };
  return Object.keys(protocol)[0];
}

async function policyOf(objects: readonly ResourceInput[], request = watchAddress(WEB_IP)): Promise<VectorJson | undefined> {
  const world = await startWorld(objects, {}, {}, false);
  const call = await callVector(world.controller, request);
  await world.controller.close();
  return call.messages[0];
}

async function open(
  objects: readonly ResourceInput[],
  request = watchAddress(WEB_IP),
): Promise<{ world: ManualWorld; call: RecordedCall<never> }> {
  const world = await startWorld(objects);
  const call = await callVector(world.controller, request);
  await settle();
  return { world, call: call as unknown as RecordedCall<never> };
}

function httpRule(weights: readonly number[]): Json {
  return { backendRefs: weights.map((weight) => ({ name: 'web', port: 80, weight })) };
}

describe('what a proxy must never be sent', () => {
  it.each([
    ['HTTPRoute', { failure_injector: { status: 500, message: 'all backends have weight zero' } }],
    ['GRPCRoute', { failure_injector: { code: 500, message: 'all backends have weight zero' } }],
    ['TLSRoute', { invalid: { message: 'all backends have weight zero' } }],
    ['TCPRoute', { invalid: { message: 'all backends have weight zero' } }],
  ])('[RT-07] weights that are all zero fail in a %s', async (kind, filter) => {
    const policy = await policyOf([service('web', WEB_IP), acceptedRoute(kind, [httpRule([0, 0])])]);
    const [distribution] = every(policy, 'random_available');
    expect(every(distribution, 'weight')).toEqual([1]);
    expect(every(distribution, 'filters')[0]).toEqual([filter]);
    expect(every(distribution, 'balancer')).toEqual([]);
  });

  it('holds for any routes and annotations', async () => {
    const text = fc.oneof(
      fc.constantFrom(
        'consecutive',
        'unified',
        '5xx',
        '500-404',
        '1s',
        '0',
        '-1',
        '1e9',
        '99999d',
        'true',
        '0.5',
        '101',
        'gateway-error,599',
      ),
      fc.string({ maxLength: 12 }),
    );
    const annotations = fc.dictionary(
      fc.constantFrom(
        'balancer.linkerd.io/failure-accrual',
        'balancer.linkerd.io/failure-accrual-consecutive-max-failures',
        'balancer.linkerd.io/failure-accrual-consecutive-min-penalty',
        'balancer.linkerd.io/failure-accrual-consecutive-jitter-ratio',
        'balancer.alpha.linkerd.io/failure-accrual-success-rate-threshold',
        'balancer.alpha.linkerd.io/penalize-failures',
        'retry.linkerd.io/http',
        'retry.linkerd.io/limit',
        'retry.linkerd.io/timeout',
        'timeout.linkerd.io/request',
        'config.linkerd.io/opaque-ports',
      ),
      text,
    );
    const backend = fc.record(
      {
        name: fc.constantFrom('web', 'gone', 'e'),
        kind: fc.constantFrom('Service', 'EgressNetwork', 'Thing'),
        group: fc.constantFrom('', 'core', 'policy.linkerd.io'),
        port: fc.constantFrom(0, 1, 80, 65_535, 65_536),
        weight: fc.nat(3),
      },
      { requiredKeys: ['name'] },
    );
    const rule = fc.record({ backendRefs: fc.array(backend, { maxLength: 4 }) });
    const kind = fc.constantFrom('HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute');
    await fc.assert(
      fc.asyncProperty(kind, fc.array(rule, { maxLength: 3 }), annotations, annotations, async (routeKind, rules, onParent, onRoute) => {
        const objects = [service('web', WEB_IP, {}, onParent), acceptedRoute(routeKind, rules, { annotations: onRoute })];
        expect(hazards(await policyOf(objects))).toEqual([]);
        const egress = egressNetwork('e', { trafficPolicy: 'Deny' });
        expect(hazards(await policyOf([egress, ...objects], watchAddress(OUTSIDE_IP, 443)))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('holds for any authority', async () => {
    const world = await startWorld([]);
    const part = fc.oneof(
      fc.constantFrom('web', 'app', 'svc', 'cluster', 'local', '10', '::1', '', '.', ':', '80', '0'),
      fc.string({ maxLength: 4 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 7 }), fc.constantFrom('', ':80', ':0', ':x', ':99999'), async (parts, port) => {
        const call = await callVector(world.controller, watchAuthority(`${parts.join('.')}${port}`));
        expect(call.status === null ? hazards(call.messages[0]) : []).toEqual([]);
        call.cancel();
      }),
      { numRuns: 300 },
    );
  });
});

/** What in a policy would break a proxy, whatever users wrote (proxy-contract §5.5). */
function hazards(policy: VectorJson | undefined): string[] {
  if (policy === undefined) return ['no policy'];
  const found: string[] = [];
  for (const path of every(policy, 'path')) {
    if (typeof path !== 'string') continue;
    if (!/^[a-z0-9-]+\.[a-z0-9-]+\.svc\.cluster\.local:[1-9][0-9]*$/.test(path)) found.push(`discovery path ${path}`);
  }
  for (const distribution of every(policy, 'random_available')) {
    const { backends } = distribution as unknown as { readonly backends: readonly { readonly weight?: number }[] };
    if (!backends.some(({ weight }) => (weight ?? 0) > 0)) found.push('no weight');
  }
  for (const forward of every(policy, 'forward')) if (every(forward, 'port')[0] === undefined) found.push('forward to port 0');
  for (const { start, end } of every(policy, 'status_ranges').flat() as unknown as { start: number; end: number }[]) {
    if (!(start >= 100 && end <= 599 && start <= end)) found.push(`status range ${start}-${end}`);
  }
  for (const retries of every(policy, 'max_retries')) if (Number(retries) > 65_535) found.push(`retries ${JSON.stringify(retries)}`);
  for (const backoff of every(policy, 'backoff') as unknown as Json[]) {
    if (backoff['min_backoff'] === undefined || backoff['max_backoff'] === undefined) found.push('half a backoff');
  }
  for (const conditions of every(policy, 'retry') as unknown as Json[])
    if (conditions['conditions'] === undefined) found.push('no conditions');
  return found;
}

describe('protocol selection', () => {
  it.each([
    ['http', [], 'http1'],
    ['HTTP', ['GRPCRoute'], 'http1'],
    ['kubernetes.io/h2c', [], 'http2'],
    ['kubernetes.io/h2c', ['GRPCRoute'], 'grpc'],
    ['grpc', [], 'http2'],
    ['grpc', ['GRPCRoute'], 'grpc'],
    ['linkerd.io/tcp', ['HTTPRoute'], 'opaque'],
    ['https', [], 'opaque'],
    [undefined, [], 'detect'],
    [undefined, ['TCPRoute'], 'opaque'],
    [undefined, ['TCPRoute', 'TLSRoute'], 'tls'],
    [undefined, ['TCPRoute', 'TLSRoute', 'HTTPRoute'], 'detect'],
    [undefined, ['TCPRoute', 'TLSRoute', 'HTTPRoute', 'GRPCRoute'], 'grpc'],
  ])('[PROTO-18] [RT-13] appProtocol %s with %j is %s', async (appProtocol, kinds, protocol) => {
    const routes = kinds.map((kind) => acceptedRoute(kind, [httpRule([1])]));
    const port = appProtocol === undefined ? {} : { appProtocol };
    expect(protocolOf(await policyOf([service('web', WEB_IP, port), ...routes]))).toBe(protocol);
  });

  it('[PROTO-05] a list of opaque ports in the annotation replaces the default one', async () => {
    const annotated = (ports: string): ResourceInput => service('web', WEB_IP, { port: 3306 }, { 'config.linkerd.io/opaque-ports': ports });
    const protocols = [];
    for (const object of [service('web', WEB_IP, { port: 3306 }), annotated('9000'), annotated(''), annotated('3000-4000')]) {
      protocols.push(protocolOf(await policyOf([object], watchAddress(WEB_IP, 3306))));
    }
    expect(protocols).toEqual(['opaque', 'detect', 'detect', 'opaque']);
  });
});

describe('routes that cannot be honoured', () => {
  it.each([
    ['[RT-11] a rewrite', { filters: [{ type: 'URLRewrite', urlRewrite: {} }] }, {}],
    ['[RT-11] a mirror', { filters: [{ type: 'RequestMirror', requestMirror: {} }] }, {}],
    ['[RT-06] a pattern that only backtracking engines know', { matches: [{ path: { type: 'RegularExpression', value: '(a)\\1' } }] }, {}],
    ['[RT-06] a huge pattern', { matches: [{ path: { type: 'RegularExpression', value: 'a'.repeat(5000) } }] }, {}],
    ['[RT-06] a relative path', { matches: [{ path: { type: 'Exact', value: 'a' } }] }, {}],
    ['[RT-06] an impossible header', { matches: [{ headers: [{ name: 'a b', value: '' }] }] }, {}],
    [
      '[RT-09] a header value with a line break',
      { filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'a', value: 'b\r\nc: d' }] } }] },
      {},
    ],
    [
      '[RT-10] a relative redirect',
      { filters: [{ type: 'RequestRedirect', requestRedirect: { path: { type: 'ReplaceFullPath', replaceFullPath: 'x' } } }] },
      {},
    ],
    ['[REL-20] a bad retry', {}, { 'retry.linkerd.io/http': 'banana' }],
    ['[REL-20] a bad timeout', {}, { 'timeout.linkerd.io/request': '5' }],
    ['[REL-05] a negative timeout', { timeouts: { request: '-1s' } }, {}],
  ])('%s: the whole route is left out', async (_name, rule, annotations) => {
    const policy = await policyOf([service('web', WEB_IP), acceptedRoute('HTTPRoute', [{}, rule], { annotations })]);
    expect(every(policy, 'default')).toContain('http');
  });

  it('[RT-06] patterns that would blow up a backtracking engine are fine', async () => {
    const matches = [{ path: { type: 'RegularExpression', value: '(/a+)+$' } }];
    const policy = await policyOf([service('web', WEB_IP), acceptedRoute('HTTPRoute', [{ matches }])]);
    expect(every(policy, 'regex')).toEqual(['(/a+)+$', '(/a+)+$']);
  });

  it.each([[[]], [[{}, {}]]])('[RT-03] a TCPRoute or TLSRoute with %j rules', async (rules) => {
    for (const kind of ['TCPRoute', 'TLSRoute']) {
      expect(protocolOf(await policyOf([service('web', WEB_IP), acceptedRoute(kind, rules)]))).toBe('detect');
    }
  });

  it('are reported once, not at every recomputation', async () => {
    const { world } = await open([service('web', WEB_IP), acceptedRoute('HTTPRoute', [{ filters: [{ type: 'URLRewrite' }] }])]);
    for (const color of ['red', 'blue']) {
      await world.source.apply(ServiceKind, service('web', WEB_IP, {}, { color }), 'test');
      await settle();
    }
    expect(world.log.filter(({ message }) => message === 'ignoring a route')).toHaveLength(1);
  });
});

describe('filters', () => {
  it('[RT-10] a redirect without a status is a 302', async () => {
    const filters = [{ type: 'RequestRedirect', requestRedirect: { hostname: 'example.org' } }];
    const policy = await policyOf([service('web', WEB_IP), acceptedRoute('HTTPRoute', [{ filters }])]);
    expect(every(policy, 'redirect')[0]).toEqual({ host: 'example.org', status: 302 });
  });

  it('[RT-09] a response header modifier of a policy.linkerd.io route changes responses', async () => {
    const filters = [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ name: 'a', value: 'b' }] } }];
    const route = { ...acceptedRoute('HTTPRoute', [{ filters }]), apiVersion: 'policy.linkerd.io/v1beta3' };
    const policy = await policyOf([service('web', WEB_IP), route]);
    expect([every(policy, 'response_header_modifier').length, every(policy, 'request_header_modifier').length]).toEqual([2, 0]);
  });
});

describe('reliability settings', () => {
  const parent = {
    'retry.linkerd.io/http': '5xx',
    'retry.linkerd.io/limit': '3',
    'timeout.linkerd.io/request': '7s',
    'timeout.linkerd.io/idle': '9s',
  };

  it.each([
    ['nothing of its own', {}, {}, 3, { request: { seconds: '7' }, idle: { seconds: '9' } }],
    ['a retry condition', { 'retry.linkerd.io/http': 'gateway-error' }, {}, 1, { request: { seconds: '7' }, idle: { seconds: '9' } }],
    ['a timeout', { 'timeout.linkerd.io/response': '1s' }, {}, 3, { response: { seconds: '1' } }],
    ['a timeout in the rule', {}, { timeouts: { request: '2s' } }, 3, { request: { seconds: '2' } }],
    ['a timeout in both', { 'timeout.linkerd.io/request': '4s' }, { timeouts: { request: '2s' } }, 3, { request: { seconds: '4' } }],
    ['a zero in the rule', {}, { timeouts: { request: '0s' } }, 3, { request: { seconds: '7' }, idle: { seconds: '9' } }],
  ])('[REL-03] [REL-05] of a route with %s', async (_name, annotations, rule, maxRetries, timeouts) => {
    const policy = await policyOf([service('web', WEB_IP, {}, parent), acceptedRoute('HTTPRoute', [rule], { annotations })]);
    expect(every(policy, 'max_retries')).toEqual([maxRetries, maxRetries]);
    expect(every(policy, 'timeouts')).toEqual([timeouts, timeouts]);
  });
});

describe('streams', () => {
  it('[RT-05] a consumer route reaches clients of its namespace only, and costs the others no message', async () => {
    const world = await startWorld([service('web', WEB_IP)]);
    const calls = await Promise.all(['app', 'consumers', 'others'].map((ns) => callVector(world.controller, watchAddress(WEB_IP, 80, ns))));
    const route = acceptedRoute('HTTPRoute', [{ matches: [{ path: { value: '/c' } }] }], { namespace: 'consumers' });
    await world.source.create(HTTPRouteKind, route);
    await settle();
    expect(calls.map(({ messages }) => messages.length)).toEqual([1, 2, 1]);
  });

  it('[RT-27] take a route out as soon as its status no longer accepts it', async () => {
    const route = acceptedRoute('HTTPRoute', [{ matches: [{ path: { value: '/c' } }] }]);
    const { world, call } = await open([service('web', WEB_IP), route]);
    world.controller.statusController.lead(false);
    await world.source.patchStatus(HTTPRouteKind, 'app', 'r', { status: { parents: [] } }, 'test');
    await settle();
    expect(call.messages.map((message) => every(message, 'default').includes('http'))).toEqual([false, true]);
  });

  it.each<[string, ResourceKind]>([
    ['HTTPRoute', HTTPRouteKind],
    ['GRPCRoute', GRPCRouteKind],
    ['TLSRoute', TLSRouteKind],
    ['TCPRoute', TCPRouteKind],
  ])('[RT-27] send one message when a %s comes and one when it goes', async (kind, resourceKind) => {
    const { world, call } = await open([service('web', WEB_IP)]);
    const { status: _status, ...bare } = acceptedRoute(kind, [httpRule([1])]);
    await world.source.create(resourceKind, bare);
    await settle();
    await world.source.delete(resourceKind, 'app', 'r');
    await settle();
    expect(call.messages).toHaveLength(3);
    expect(call.messages[2]).toEqual(call.messages[0]);
  });

  it('end when their address goes to another Service, not when it is merely given up', async () => {
    const { world, call } = await open([service('web', WEB_IP)]);
    await world.source.delete(ServiceKind, 'app', 'web');
    await settle();
    expect([call.messages.length, call.status]).toEqual([1, null]);
    await world.source.create(ServiceKind, service('other', WEB_IP));
    await settle();
    expect([call.messages.length, call.status]).toEqual([1, { code: 0, details: '' }]);
  });

  it('keep the settings of a Service that is deleted', async () => {
    const { world, call } = await open([service('web', WEB_IP, { appProtocol: 'http' }, { 'timeout.linkerd.io/request': '1s' })]);
    await world.source.delete(ServiceKind, 'app', 'web');
    await settle();
    expect([call.messages.length, call.status]).toEqual([1, null]);
  });

  it('stay with the Service that claimed an address first', async () => {
    const { world, call } = await open([service('web', WEB_IP)]);
    await world.source.create(ServiceKind, service('another', WEB_IP));
    await settle();
    const later = await callVector(world.controller, watchAddress(WEB_IP));
    expect([call.messages.length, call.status, later.messages[0]]).toEqual([1, null, call.messages[0]]);
  });

  it('[EG-01] survive a mere status change of their EgressNetwork', async () => {
    const { world, call } = await open([egressNetwork('e', { trafficPolicy: 'Allow' })], watchAddress(OUTSIDE_IP));
    await world.source.patchStatus(EgressNetworkKind, 'app', 'e', { status: { conditions: [{ type: 'Other', status: 'True' }] } }, 'test');
    await settle();
    expect([call.messages.length, call.status]).toEqual([1, null]);
  });

  it.each([
    ['app', { code: 0, details: '' }],
    ['linkerd-egress', { code: 0, details: '' }],
    ['elsewhere', null],
  ])('[EG-03] end or stay when an EgressNetwork of %s comes', async (namespace, status) => {
    const { world, call } = await open([egressNetwork('e', { trafficPolicy: 'Allow' })], watchAddress(OUTSIDE_IP));
    await world.source.create(EgressNetworkKind, egressNetwork('f', { trafficPolicy: 'Deny' }, namespace));
    await settle();
    expect(call.status).toEqual(status);
  });

  it('are forgotten when the client leaves', async () => {
    const world = await startWorld([service('web', WEB_IP), egressNetwork('e', { trafficPolicy: 'Allow' })]);
    const calls = await Promise.all(
      [watchAddress(WEB_IP), watchAddress(OUTSIDE_IP)].map((request) => callVector(world.controller, request)),
    );
    for (const call of calls) call.cancel();
    await world.source.delete(EgressNetworkKind, 'app', 'e');
    await world.source.delete(ServiceKind, 'app', 'web');
    await settle();
    expect(calls.map(({ messages }) => messages.length)).toEqual([1, 1]);
  });
});

describe('[EG-03] the EgressNetwork of an address', () => {
  const named = async (objects: readonly ResourceInput[], ip: string): Promise<unknown> => {
    const policy = (await policyOf(objects, watchAddress(ip))) as { readonly metadata: Json };
    return (policy.metadata['resource'] as Json | undefined)?.['name'] ?? policy.metadata['default'];
  };
  const allow = (...networks: readonly Json[]): Json => ({ trafficPolicy: 'Allow', networks });

  it('is the one with the smallest block, exceptions taken off', async () => {
    const objects = [
      egressNetwork('wide', allow({ cidr: '203.0.113.0/24' })),
      egressNetwork('wide-with-a-hole', allow({ cidr: '203.0.113.0/24', except: ['203.0.113.128/25'] })),
      egressNetwork('narrow', allow({ cidr: '203.0.113.0/29' })),
    ];
    expect([await named(objects, '203.0.113.1'), await named(objects, '203.0.113.9'), await named(objects, '203.0.113.200')]).toEqual([
      'narrow',
      'wide-with-a-hole',
      'wide',
    ]);
  });

  it('is a global one only where the namespace has none at all', async () => {
    const global = egressNetwork('global', { trafficPolicy: 'Allow' }, 'linkerd-egress');
    const own = egressNetwork('own', allow({ cidr: '198.51.100.0/24' }));
    expect([await named([global], OUTSIDE_IP), await named([global, own], OUTSIDE_IP)]).toEqual(['global', 'egress-fallback']);
  });

  it('[EG-01] never holds the cluster unless it says so', async () => {
    const world = await startWorld([egressNetwork('e', { trafficPolicy: 'Allow' })]);
    const call = await callVector(world.controller, watchAddress('10.1.2.3'));
    expect(call.status).toEqual({ code: 5, details: 'No such service' });
  });

  it('[EG-06] takes routes that name its port, not those that name none', async () => {
    const routeOn = (port: Json): ResourceInput => {
      const parentRef = { group: 'policy.linkerd.io', kind: 'EgressNetwork', namespace: 'app', name: 'e', ...port };
      const route = acceptedRoute('HTTPRoute', [{}]);
      const conditions = [{ type: 'Accepted', status: 'True' }];
      return {
        ...route,
        spec: { parentRefs: [parentRef], rules: [{}] },
        status: { parents: [{ parentRef, controllerName: 'x', conditions }] },
      };
    };
    const names = [];
    for (const port of [{ port: 80 }, { port: 81 }, {}]) {
      const policy = await policyOf([egressNetwork('e', { trafficPolicy: 'Deny' }), routeOn(port)], watchAddress(OUTSIDE_IP));
      names.push(every(policy, 'name').includes('r'));
    }
    expect(names).toEqual([true, false, false]);
  });

  it('as a backend works on its own routes only, and while it exists', async () => {
    const refs = ['e', 'gone'].map((name) => ({ group: 'policy.linkerd.io', kind: 'EgressNetwork', name, port: 80 }));
    const objects = [service('web', WEB_IP), egressNetwork('e', { trafficPolicy: 'Allow' })];
    const policy = await policyOf([...objects, acceptedRoute('HTTPRoute', [{ backendRefs: refs }])]);
    expect(every(policy, 'message').slice(0, 2)).toEqual([
      'EgressNetwork backend needs to be on a route that has an EgressNetwork parent',
      'EgressNetwork not found gone',
    ]);
  });
});
