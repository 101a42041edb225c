// SPDX-License-Identifier: Apache-2.0
import { type MessageInitShape, create, fromBinary, toBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import { DestinationProfileSchema, UpdateSchema } from '@weft/proto/destination';
import { ServerSchema } from '@weft/proto/inbound';
import { OutboundPolicySchema } from '@weft/proto/outbound';
import { describe, expect, it } from 'vitest';
import { CompiledInboundPolicy } from '../inbound/inbound-policy.ts';
import { OutboundWorld } from '../testing/outbound-world.ts';
import { targetOf } from '../testing/policies.ts';
import { TranslationError } from './translate-common.ts';
import { endpointUpdate, profileOf } from './translate-endpoint.ts';
import { builtInPolicy, inboundPolicy } from './translate-inbound.ts';
import { outboundPolicy } from './translate-outbound.ts';

type Policy = MessageInitShape<typeof OutboundPolicySchema>;
type Server = MessageInitShape<typeof ServerSchema>;

const META = { kind: { case: 'default', value: 'x' } } as const;
const QUEUE = { capacity: 1, failfastTimeout: { seconds: 3n } } as const;
const LOAD = { case: 'peakEwma', value: { defaultRtt: { nanos: 30_000_000 }, decay: { seconds: 10n } } } as const;

/** Whether a message of these bytes is decoded and translated, or refused as a value that callers know. */
function isTakenOrRefused<T>(decode: () => T, translate: (message: T) => unknown): boolean {
  let message: T;
  try {
    message = decode();
  } catch {
    // Not a message at all: the callers' concern.
    return true;
  }
  try {
    translate(message);
    return true;
  } catch (error) {
    return error instanceof TranslationError;
  }
}

/** A policy of one route with one backend, in which one thing is as given. */
function policyWith(changes: {
  backend?: Record<string, unknown>;
  rule?: Record<string, unknown>;
  route?: Record<string, unknown>;
  distribution?: unknown;
  detect?: Record<string, unknown>;
  policy?: Record<string, unknown>;
}): Policy {
  const backend = {
    metadata: META,
    queue: QUEUE,
    kind: { case: 'balancer', value: { discovery: { kind: { case: 'dst', value: { path: 'svc.ns.svc.cluster.local:80' } } }, load: LOAD } },
    ...changes.backend,
  };
  const backends = changes.distribution ?? { kind: { case: 'firstAvailable', value: { backends: [{ backend }] } } };
  const http = { routes: [{ metadata: META, rules: [{ backends, ...changes.rule }], ...changes.route }] };
  const opaque = { routes: [{ metadata: META, rules: [{ backends }] }] };
  return {
    metadata: META,
    protocol: { kind: { case: 'detect', value: { timeout: { seconds: 10n }, opaque, http1: http, http2: http, ...changes.detect } } },
    ...changes.policy,
  } as Policy;
}

function serverWith(changes: Record<string, unknown>): Server {
  return {
    labels: { name: 'srv' },
    protocol: { kind: { case: 'detect', value: { timeout: { seconds: 10n } } } },
    authorizations: [],
    ...changes,
  } as Server;
}

const authz = (changes: Record<string, unknown>) => ({
  networks: [{ net: { ip: { ip: { case: 'ipv4', value: 0 } }, prefixLen: 0 } }],
  authentication: { permit: { case: 'unauthenticated', value: {} } },
  metadata: META,
  ...changes,
});

describe('outbound policies', () => {
  it('that are complete are taken', () => {
    expect(outboundPolicy(create(OutboundPolicySchema, policyWith({})))).toMatchObject({ protocol: 'detect', http1: [{ rules: [{}] }] });
  });

  it.each<[string, Policy]>([
    ['no metadata', policyWith({ policy: { metadata: undefined } })],
    ['metadata of no kind', policyWith({ policy: { metadata: {} } })],
    ['no protocol', policyWith({ policy: { protocol: undefined } })],
    ['no detect timeout', policyWith({ detect: { timeout: undefined } })],
    ['no http1', policyWith({ detect: { http1: undefined } })],
    ['no http2', policyWith({ detect: { http2: undefined } })],
    ['no opaque', policyWith({ detect: { opaque: undefined } })],
    ['an opaque route with two rules', policyWith({ detect: { opaque: { routes: [{ metadata: META, rules: [{}, {}] }] } } })],
    ['a route without metadata', policyWith({ route: { metadata: undefined } })],
    ['no distribution', policyWith({ distribution: {} })],
    ['a backend without metadata', policyWith({ backend: { metadata: undefined } })],
    ['a backend without queue', policyWith({ backend: { queue: undefined } })],
    ['a queue without fail-fast timeout', policyWith({ backend: { queue: {} } })],
    // The next five end the reference's process or task (proxy-contract §5.5).
    [
      'a balancer of an IP address',
      policyWith({
        backend: {
          kind: { case: 'balancer', value: { discovery: { kind: { case: 'dst', value: { path: '10.0.0.1:80' } } }, load: LOAD } },
        },
      }),
    ],
    [
      'a balancer without port',
      policyWith({
        backend: { kind: { case: 'balancer', value: { discovery: { kind: { case: 'dst', value: { path: 'svc' } } }, load: LOAD } } },
      }),
    ],
    [
      'a balancer without name',
      policyWith({
        backend: { kind: { case: 'balancer', value: { discovery: { kind: { case: 'dst', value: { path: '' } } }, load: LOAD } } },
      }),
    ],
    [
      'a forward to port 0',
      policyWith({ backend: { kind: { case: 'forward', value: { addr: { ip: { ip: { case: 'ipv4', value: 1 } }, port: 0 } } } } }),
    ],
    ['a forward without address', policyWith({ backend: { kind: { case: 'forward', value: {} } } })],
    [
      'a balancer without load',
      policyWith({ backend: { kind: { case: 'balancer', value: { discovery: { kind: { case: 'dst', value: { path: 'a:1' } } } } } } }),
    ],
    ['an empty filter', policyWith({ rule: { filters: [{}] } })],
    [
      'a failure ratio over 0',
      policyWith({
        rule: { filters: [{ kind: { case: 'failureInjector', value: { status: 500, ratio: { numerator: 1, denominator: 0 } } } }] },
      }),
    ],
    [
      'a modifier with a line end in its value',
      policyWith({
        rule: {
          filters: [
            { kind: { case: 'requestHeaderModifier', value: { set: { headers: [{ name: 'a', value: Buffer.from('b\r\nc: d') }] } } } },
          ],
        },
      }),
    ],
    [
      'a modifier with a line end in its name',
      policyWith({
        rule: {
          filters: [
            { kind: { case: 'responseHeaderModifier', value: { add: { headers: [{ name: 'a\r\nb', value: Buffer.from('c') }] } } } },
          ],
        },
      }),
    ],
    ['a host match of no kind', policyWith({ route: { hosts: [{}] } })],
    ['a header match without value', policyWith({ rule: { matches: [{ headers: [{ name: 'a' }] }] } })],
    ['a method of no kind', policyWith({ rule: { matches: [{ method: {} }] } })],
    ['a registered method nobody knows', policyWith({ rule: { matches: [{ method: { type: { case: 'registered', value: 77 } } }] } })],
  ])('with %s are refused', (_name, message) => {
    const decoded = fromBinary(OutboundPolicySchema, toBinary(OutboundPolicySchema, create(OutboundPolicySchema, message)));
    expect(() => outboundPolicy(decoded)).toThrow(TranslationError);
  });

  it('whose weights are all zero have a route that nobody serves', () => {
    const policy = outboundPolicy(
      create(
        OutboundPolicySchema,
        policyWith({
          distribution: {
            kind: { case: 'randomAvailable', value: { backends: [{ weight: 0, backend: { backend: { metadata: META, queue: QUEUE } } }] } },
          },
        }),
      ),
    );
    expect(policy.http1[0]?.rules[0]?.backends).toEqual({ kind: 'empty' });
    const world = new OutboundWorld();
    world.discovery.target('10.96.0.1:80').set(targetOf(policy));
    expect(world.get().take()).toContain(' 503 ');
  });

  it('with a backend without dispatcher answer 502', () => {
    const world = new OutboundWorld();
    world.discovery
      .target('10.96.0.1:80')
      .set(targetOf(outboundPolicy(create(OutboundPolicySchema, policyWith({ backend: { kind: { case: undefined } } })))));
    expect(world.get().take()).toContain(' 502 ');
  });

  it('with a regex that does not compile answer 500, and end opaque connections', () => {
    const world = new OutboundWorld();
    const policy = outboundPolicy(
      create(OutboundPolicySchema, policyWith({ rule: { matches: [{ path: { kind: { case: 'regex', value: '(' } } }] } })),
    );
    world.discovery.target('10.96.0.1:80').set(targetOf(policy));
    expect(world.get().take()).toContain(' 500 ');
  });

  it('of any bytes are a policy or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(isTakenOrRefused(() => fromBinary(OutboundPolicySchema, bytes), outboundPolicy)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('inbound policies', () => {
  it.each<[string, Server]>([
    ['no protocol', serverWith({ protocol: undefined })],
    ['a protocol of no kind', serverWith({ protocol: {} })],
    ['no name', serverWith({ labels: {} })],
    ['no detect timeout', serverWith({ protocol: { kind: { case: 'detect', value: {} } } })],
    ['an authorization without networks', serverWith({ authorizations: [authz({ networks: [] })] })],
    ['a network without address', serverWith({ authorizations: [authz({ networks: [{}] })] })],
    ['no authentication', serverWith({ authorizations: [authz({ authentication: undefined })] })],
    ['an authentication of no kind', serverWith({ authorizations: [authz({ authentication: {} })] })],
    ['mesh TLS for nobody', serverWith({ authorizations: [authz({ authentication: { permit: { case: 'meshTLS', value: {} } } })] })],
    ['an authorization without metadata or labels', serverWith({ authorizations: [authz({ metadata: undefined })] })],
    ['a route without metadata', serverWith({ protocol: { kind: { case: 'http1', value: { routes: [{}] } } } })],
  ])('with %s are refused', (_name, message) => {
    expect(() => inboundPolicy(fromBinary(ServerSchema, toBinary(ServerSchema, create(ServerSchema, message))))).toThrow(TranslationError);
  });

  it('take legacy labels', () => {
    const policy = inboundPolicy(
      create(
        ServerSchema,
        serverWith({
          labels: { name: 'default:all-unauthenticated' },
          authorizations: [authz({ metadata: undefined, labels: { name: 'default:deny' } })],
        }),
      ),
    );
    expect(policy.meta).toEqual({ group: '', kind: 'default', name: 'all-unauthenticated' });
    expect(policy.authorizations[0]?.meta).toEqual({ kind: 'default', name: 'deny' });
  });

  it('allow nobody through a network that cannot be understood, and say so', () => {
    const message = serverWith({
      authorizations: [authz({ networks: [{ net: { ip: { ip: { case: 'ipv4', value: 0x0a000000 } }, prefixLen: 99 } }] })],
    });
    const compiled = new CompiledInboundPolicy(inboundPolicy(create(ServerSchema, message)));
    expect(compiled.problems).toHaveLength(1);
    expect(compiled.problems[0]).toContain('10.0.0.0/99');
    expect(compiled.authorizeConnection({ ip: '10.0.0.1', port: 1, tls: { kind: 'none', reason: 'no_tls_from_remote' } })).toBeUndefined();
  });

  it.each([
    ['deny', [false, false, false, false]],
    ['all-unauthenticated', [true, true, true, true]],
    ['all-authenticated', [false, true, false, true]],
    ['cluster-unauthenticated', [true, true, false, false]],
    ['cluster-authenticated', [false, true, false, false]],
    ['audit', [true, true, true, true]],
  ])('by default: %s', (name, expected) => {
    const compiled = new CompiledInboundPolicy(builtInPolicy(name, ['10.0.0.0/8'], false));
    const plain = { kind: 'none', reason: 'no_tls_from_remote' } as const;
    const meshed = { kind: 'tls', identity: 'client.id' } as const;
    const clients = [
      { ip: '10.1.1.1', port: 1, tls: plain },
      { ip: '10.1.1.1', port: 1, tls: meshed },
      { ip: '192.168.1.1', port: 1, tls: plain },
      { ip: '192.168.1.1', port: 1, tls: meshed },
    ];
    expect(clients.map((client) => compiled.authorizeConnection(client) !== undefined)).toEqual(expected);
  });

  it('of any bytes are a policy or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(
          isTakenOrRefused(
            () => fromBinary(ServerSchema, bytes),
            (message) => new CompiledInboundPolicy(inboundPolicy(message)),
          ),
        ).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('endpoints', () => {
  const addr = { ip: { ip: { case: 'ipv4' as const, value: 0x0a000001 } }, port: 80 };
  const one = (changes: Record<string, unknown>) =>
    endpointUpdate(
      create(UpdateSchema, {
        update: { case: 'add', value: { addrs: [{ addr, ...changes }], metricLabels: { a: 'set', b: 'set' } } },
      } as never),
      true,
    )?.add[0];

  it('have the labels of the set and their own, which win, in a fixed order', () => {
    expect(Object.entries(one({ metricLabels: { c: 'own', a: 'own' } })?.labels ?? {})).toEqual([
      ['a', 'own'],
      ['b', 'set'],
      ['c', 'own'],
    ]);
  });

  it('with an identity that cannot be used are plaintext, as in the reference', () => {
    expect(one({ tlsIdentity: {} })?.tls).toBeUndefined();
    expect(one({ tlsIdentity: { strategy: { case: 'dnsLikeIdentity', value: { name: '' } } } })?.tls).toBeUndefined();
    expect(one({ tlsIdentity: { strategy: { case: 'uriLikeIdentity', value: { uri: 'spiffe://td/x' } } } })?.tls).toBeUndefined();
    expect(
      one({ tlsIdentity: { strategy: { case: 'uriLikeIdentity', value: { uri: 'spiffe://td/x' } }, serverName: { name: 'x.td' } } })?.tls,
    ).toEqual({
      identity: 'spiffe://td/x',
      serverName: 'x.td',
    });
  });

  it('take a transport port that can be one', () => {
    for (const [inboundPort, expected] of [
      [0, undefined],
      [4143, 4143],
      [70_000, undefined],
    ] as const) {
      expect(one({ protocolHint: { opaqueTransport: { inboundPort } } })?.opaqueTransportPort).toBe(expected);
    }
  });

  it('take keep-alive with both durations only', () => {
    expect(one({ http2: { keepAlive: { interval: { seconds: 10n } } } })?.http2.keepAliveIntervalMs).toBeUndefined();
    expect(one({ http2: { keepAlive: { interval: { seconds: 10n }, timeout: { seconds: 3n }, whileIdle: true } } })?.http2).toEqual({
      keepAliveIntervalMs: 10_000,
      keepAliveTimeoutMs: 3000,
      keepAliveWhileIdle: true,
    });
  });

  it('and profiles of any bytes are something or a refusal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), (bytes, isUpdate) => {
        expect(
          isUpdate
            ? isTakenOrRefused(
                () => fromBinary(UpdateSchema, bytes),
                (message) => endpointUpdate(message, true),
              )
            : isTakenOrRefused(() => fromBinary(DestinationProfileSchema, bytes), profileOf),
        ).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
