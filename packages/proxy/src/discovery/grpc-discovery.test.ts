// SPDX-License-Identifier: Apache-2.0
import { type MessageInitShape, fromBinary } from '@bufbuild/protobuf';
import {
  type DestinationProfileSchema,
  GetDestinationSchema,
  UpdateSchema,
  DestinationProfileSchema as ProfileSchema,
} from '@weft/proto/destination';
import { PortSpecSchema, ServerSchema } from '@weft/proto/inbound';
import { OutboundPolicySchema, TrafficSpecSchema } from '@weft/proto/outbound';
import { describe, expect, it } from 'vitest';
import {
  GRPC_FAILED_PRECONDITION,
  GRPC_INVALID_ARGUMENT,
  GRPC_NOT_FOUND,
  GRPC_UNAVAILABLE,
  GRPC_UNIMPLEMENTED,
} from '../control/grpc-client.ts';
import type { Environment } from '../config/values.ts';
import { FakeChannel } from '../testing/fake-channel.ts';
import { testConfig } from '../testing/test-config.ts';
import { TestLoop } from '../testing/test-loop.ts';
import { GrpcDiscovery } from './grpc-discovery.ts';
import type { EndpointUpdate, OutboundTarget } from './types.ts';
import type { InboundPolicy } from '@weft/routing';

const SERVICE = { ip: '10.96.0.1', port: 80 };

function open(environment: Environment = {}) {
  const loop = new TestLoop();
  const destination = new FakeChannel();
  const policy = new FakeChannel();
  const warnings: string[] = [];
  const note = (message: string): void => void warnings.push(message);
  const config = testConfig({
    DESTINATION_PROFILE_NETWORKS: '10.0.0.0/8',
    IDENTITY_SVC_ADDR: 'linkerd-identity:8080',
    IDENTITY_SVC_NAME: 'identity.id',
    OUTBOUND_CONNECT_EXP_BACKOFF_MIN: '100ms',
    OUTBOUND_CONNECT_EXP_BACKOFF_MAX: '60s',
    DESTINATION_CONTEXT: 'ctx',
    ...environment,
  });
  const discovery = new GrpcDiscovery({ config, destination, policy, clock: loop.clock, log: { debug: () => {}, info: note, warn: note } });
  return { loop, destination, policy, warnings, discovery };
}

function watchOutbound(world: ReturnType<typeof open>, address = SERVICE) {
  const values: OutboundTarget[] = [];
  const failures: string[] = [];
  const unwatch = world.discovery.outbound(address).watch(
    (value) => values.push(value),
    (message) => failures.push(message),
  );
  return { values, failures, unwatch };
}

function watchInbound(world: ReturnType<typeof open>, port = 8080) {
  const values: InboundPolicy[] = [];
  const unwatch = world.discovery.inbound(port).watch((value) => values.push(value));
  return { values, unwatch };
}

const PROFILE: MessageInitShape<typeof DestinationProfileSchema> = { fullyQualifiedName: 'svc.ns.svc.cluster.local' };
const HTTP = { routes: [] };
const DETECT = { timeout: { seconds: 10n }, opaque: { routes: [] }, http1: HTTP, http2: HTTP };
const POLICY: MessageInitShape<typeof OutboundPolicySchema> = {
  metadata: { kind: { case: 'resource', value: { group: 'core', kind: 'Service', name: 'svc', namespace: 'ns', port: 80 } } },
  protocol: { kind: { case: 'detect', value: DETECT } },
};
const SERVER: MessageInitShape<typeof ServerSchema> = {
  labels: { name: 'srv', group: 'policy.linkerd.io', kind: 'server' },
  protocol: { kind: { case: 'detect', value: { timeout: { seconds: 5n } } } },
};

/** A server of the name with nobody authorized. */
const serverNamed = (name: string): typeof SERVER => ({ ...SERVER, labels: { name } });
const add = (...ports: number[]): MessageInitShape<typeof UpdateSchema> => ({
  update: { case: 'add', value: { addrs: ports.map((port) => ({ addr: { ip: { ip: { case: 'ipv4', value: 0x0a000001 } }, port } })) } },
});

describe('outbound discovery', () => {
  it('asks for profile and policy together and waits for both', () => {
    const world = open();
    const { values } = watchOutbound(world);
    expect(fromBinary(GetDestinationSchema, world.destination.last.request)).toMatchObject({ path: '10.96.0.1:80', contextToken: 'ctx' });
    expect(fromBinary(TrafficSpecSchema, world.policy.last.request)).toMatchObject({
      sourceWorkload: '{"ns":"shop", "pod":"server"}\n',
      target: { case: 'addr', value: { ip: { ip: { case: 'ipv4', value: 0x0a600001 } }, port: 80 } },
    });
    world.policy.last.send(OutboundPolicySchema, POLICY);
    expect(values).toEqual([]);
    world.destination.last.send(ProfileSchema, PROFILE);
    expect(values).toMatchObject([{ policy: { protocol: 'detect' }, profile: { fullyQualifiedName: 'svc.ns.svc.cluster.local' } }]);
  });

  it('asks for no profile outside of the networks, nor again when it is refused', () => {
    const world = open();
    watchOutbound(world, { ip: '192.168.1.1', port: 80 });
    expect(world.destination.calls).toHaveLength(0);
    for (const status of [GRPC_INVALID_ARGUMENT, GRPC_FAILED_PRECONDITION]) {
      const { values } = watchOutbound(world, { ip: '10.1.1.1', port: status });
      world.policy.last.send(OutboundPolicySchema, POLICY);
      world.destination.last.end(status);
      expect(values).toMatchObject([{ profile: undefined }]);
    }
    world.loop.advance(10_000);
    expect(world.destination.calls).toHaveLength(2);
  });

  it('shares one lookup among all who ask', () => {
    const world = open();
    const first = watchOutbound(world);
    const second = watchOutbound(world);
    expect(world.policy.calls).toHaveLength(1);
    world.policy.last.send(OutboundPolicySchema, POLICY);
    world.destination.last.send(ProfileSchema, PROFILE);
    const third = watchOutbound(world);
    for (const { values } of [first, second, third]) expect(values).toHaveLength(1);
  });

  it.each([GRPC_NOT_FOUND, GRPC_UNIMPLEMENTED])('makes a policy up where there is none (status %i)', (status) => {
    const world = open();
    const fallback = watchOutbound(world);
    world.destination.last.send(ProfileSchema, {});
    world.policy.last.end(status);
    expect(fallback.values).toMatchObject([
      {
        policy: {
          meta: { kind: 'default', name: 'fallback' },
          http1: [{ rules: [{ backends: { backends: [{ target: { endpoint: SERVICE } }] } }] }],
        },
      },
    ]);
    const endpoint = watchOutbound(world, { ip: '10.244.0.5', port: 8080 });
    world.destination.last.send(ProfileSchema, {
      endpoint: {
        addr: { ip: { ip: { case: 'ipv4', value: 0x0af40005 } }, port: 8080 },
        tlsIdentity: { strategy: { case: 'dnsLikeIdentity', value: { name: 'server.id' } } },
      },
    });
    world.policy.last.end(status);
    expect(endpoint.values).toMatchObject([
      {
        policy: {
          meta: { kind: 'default', name: 'endpoint' },
          http1: [
            {
              rules: [
                {
                  backends: {
                    backends: [{ target: { endpoint: { ip: '10.244.0.5', tls: { identity: 'server.id', serverName: 'server.id' } } } }],
                  },
                },
              ],
            },
          ],
        },
      },
    ]);
    // What might be a Service that the control plane does not know yet is asked for again; a pod that it knows is not.
    world.loop.advance(150);
    const again = world.policy.calls.slice(2).map((call) => fromBinary(TrafficSpecSchema, call.request).target.value);
    expect(again).toHaveLength(status === GRPC_NOT_FOUND ? 1 : 0);
    if (status !== GRPC_NOT_FOUND) return;
    expect(again).toMatchObject([{ port: 80 }]);
    world.policy.last.send(OutboundPolicySchema, POLICY);
    expect(fallback.values.map(({ policy }) => policy.meta.kind)).toEqual(['default', 'resource']);
  });

  it('asks again for a destination that was refused, once its refusal is old', () => {
    const world = open();
    const first = watchOutbound(world);
    world.policy.last.end(GRPC_FAILED_PRECONDITION);
    world.loop.advance(4000);
    const second = watchOutbound(world);
    expect([first.failures.length, second.failures.length, world.policy.calls.length]).toEqual([1, 1, 1]);
    world.loop.advance(1000);
    const third = watchOutbound(world);
    world.destination.last.send(ProfileSchema, PROFILE);
    world.policy.last.send(OutboundPolicySchema, POLICY);
    expect([third.failures.length, third.values.length, world.policy.calls.length]).toEqual([0, 1, 2]);
    // Those who leave the refused one do not take the new one with them.
    first.unwatch();
    second.unwatch();
    world.loop.advance(10_000);
    world.policy.last.send(OutboundPolicySchema, POLICY);
    expect(third.values).toHaveLength(2);
  });

  const SPLIT: typeof PROFILE = {
    ...PROFILE,
    dstOverrides: [
      { authority: 'one.ns.svc.cluster.local.:80', weight: 3 },
      { authority: 'two.ns.svc.cluster.local:80', weight: 1 },
      { authority: 'none.ns.svc.cluster.local:80', weight: 0 },
    ],
  };

  it('[LB-04] follows the split of a profile before the policy, and the policy again when the split is gone', () => {
    const world = open();
    const { values } = watchOutbound(world);
    world.policy.last.send(OutboundPolicySchema, POLICY);
    world.destination.last.send(ProfileSchema, SPLIT);
    world.destination.last.send(ProfileSchema, PROFILE);
    expect(values).toMatchObject([
      {
        canonical: 'svc.ns.svc.cluster.local:80',
        policy: {
          protocol: 'detect',
          meta: { resource: { name: 'svc' } },
          http1: [
            {
              rules: [
                {
                  backends: {
                    kind: 'randomAvailable',
                    backends: [
                      { weight: 3, backend: { target: { path: 'one.ns.svc.cluster.local:80' }, meta: { resource: { name: 'one' } } } },
                      { weight: 1, backend: { target: { path: 'two.ns.svc.cluster.local:80' } } },
                    ],
                  },
                },
              ],
            },
          ],
          opaque: [{ rules: [{ backends: { kind: 'randomAvailable' } }] }],
        },
      },
      { canonical: undefined, policy: { http1: [] } },
    ]);
  });

  function watchNamed(world: ReturnType<typeof open>, name: string, use: 'ingress' | 'gateway') {
    const values: OutboundTarget[] = [];
    const failures: string[] = [];
    world.discovery.named(name, 80, use).watch(
      (value) => values.push(value),
      (message) => failures.push(message),
    );
    return { values, failures };
  }

  it('[IN-02] looks an ingress’s destination up by its name', () => {
    const world = open();
    const { values } = watchNamed(world, 'svc.ns.svc.cluster.local', 'ingress');
    expect(fromBinary(GetDestinationSchema, world.destination.last.request).path).toBe('svc.ns.svc.cluster.local:80');
    expect(fromBinary(TrafficSpecSchema, world.policy.last.request).target).toEqual({
      case: 'authority',
      value: 'svc.ns.svc.cluster.local:80',
    });
    world.destination.last.send(ProfileSchema, PROFILE);
    world.policy.last.send(OutboundPolicySchema, POLICY);
    expect(values).toMatchObject([{ policy: { meta: { resource: { name: 'svc' } } }, canonical: undefined }]);
  });

  it('[LB-18] [LB-19] asks for no profile of names outside of the suffixes, unless everything is one', () => {
    const world = open();
    const { values, failures } = watchNamed(world, 'httpbin.org', 'ingress');
    expect(world.destination.calls).toHaveLength(0);
    world.policy.last.end(GRPC_NOT_FOUND);
    expect([values.length, failures]).toEqual([0, ['nothing is known of httpbin.org:80']]);
    const outside = open({ DESTINATION_PROFILE_SUFFIXES: '.' });
    watchNamed(outside, 'httpbin.org', 'ingress');
    expect(outside.destination.calls).toHaveLength(1);
  });

  it.each([GRPC_NOT_FOUND, GRPC_UNIMPLEMENTED, GRPC_INVALID_ARGUMENT])(
    '[MC-05] goes by the profile alone for a gateway, whatever the policy says (status %i)',
    (status) => {
      const world = open();
      const { values, failures } = watchNamed(world, 'svc.ns.svc.cluster.local', 'gateway');
      world.destination.last.send(ProfileSchema, PROFILE);
      world.policy.last.end(status);
      expect(failures).toEqual([]);
      expect(values).toMatchObject([
        {
          canonical: 'svc.ns.svc.cluster.local:80',
          policy: { http2: [{ rules: [{ backends: { backends: [{ target: { path: 'svc.ns.svc.cluster.local:80' } }] } }] }] },
        },
      ]);
    },
  );

  it('[MC-05] refuses a gateway’s name that has no profile', () => {
    const world = open();
    const { failures } = watchNamed(world, 'svc.ns.svc.cluster.local', 'gateway');
    world.destination.last.end(GRPC_INVALID_ARGUMENT, 'no such name');
    expect(failures).toEqual(['no such name']);
    const empty = open();
    const other = watchNamed(empty, 'svc.ns.svc.cluster.local', 'gateway');
    empty.destination.last.send(ProfileSchema, {});
    empty.policy.last.end(GRPC_NOT_FOUND);
    expect(other.failures).toEqual(['the profile names no service']);
  });

  it('keeps a policy that was there, and asks again, when a restarted control plane does not know it', () => {
    const world = open();
    const { values } = watchOutbound(world);
    world.destination.last.send(ProfileSchema, PROFILE);
    world.policy.last.send(OutboundPolicySchema, POLICY);
    world.policy.last.end(GRPC_UNAVAILABLE);
    world.loop.advance(200);
    world.policy.last.end(GRPC_NOT_FOUND);
    world.loop.advance(500);
    expect(world.policy.calls).toHaveLength(3);
    expect(values).toHaveLength(1);
    world.policy.last.send(OutboundPolicySchema, { ...POLICY, protocol: { kind: { case: 'http1', value: HTTP } } });
    expect(values.map((value) => value.policy.protocol)).toEqual(['detect', 'http1']);
  });

  it.each([GRPC_INVALID_ARGUMENT, GRPC_FAILED_PRECONDITION])('fails a destination that is refused (status %i)', (status) => {
    const world = open();
    const { values, failures } = watchOutbound(world);
    world.policy.last.end(status, 'not mine');
    expect([values, failures]).toEqual([[], ['not mine']]);
    expect(watchOutbound(world).failures).toEqual(['not mine']);
  });

  it('takes a message that breaks the contract for the invalid policy, and a good one after it', () => {
    const world = open();
    const { values } = watchOutbound(world);
    world.destination.last.send(ProfileSchema, PROFILE);
    world.policy.last.send(OutboundPolicySchema, {});
    world.policy.last.sendBytes(Buffer.from([0xff, 0xff, 0xff]));
    world.policy.last.send(OutboundPolicySchema, POLICY);
    expect(values.map((value) => value.policy.protocol)).toEqual(['invalid', 'invalid', 'detect']);
    expect(world.warnings).toEqual(['invalid outbound policy', 'invalid outbound policy']);
  });

  describe('[LB-20] caches', () => {
    it('what nobody has watched for the idle time is forgotten', () => {
      const world = open();
      const { unwatch } = watchOutbound(world);
      unwatch();
      world.loop.advance(4900);
      watchOutbound(world).unwatch();
      world.loop.advance(4900);
      expect(world.policy.last.isCancelled).toBe(false);
      world.loop.advance(200);
      expect([world.policy.last.isCancelled, world.destination.last.isCancelled]).toEqual([true, true]);
      watchOutbound(world);
      expect(world.policy.calls).toHaveLength(2);
    });

    it('nothing is forgotten while the control plane is away', () => {
      const world = open();
      const { unwatch } = watchOutbound(world);
      world.destination.last.send(ProfileSchema, PROFILE);
      world.policy.last.send(OutboundPolicySchema, POLICY);
      const resolution = world.discovery.resolve('svc:80', () => {});
      const stream = world.destination.last;
      stream.send(UpdateSchema, add(1));
      resolution.close();
      unwatch();
      world.policy.isReachable = false;
      world.destination.isReachable = false;
      world.loop.advance(3_600_000);
      expect(watchOutbound(world).values).toHaveLength(1);
      const updates: EndpointUpdate[] = [];
      world.discovery.resolve('svc:80', (update) => updates.push(update)).close();
      expect(updates).toHaveLength(1);
      world.destination.isReachable = true;
      world.loop.advance(5001);
      expect(stream.isCancelled).toBe(true);
    });

    it('but not without bound', () => {
      const world = open();
      world.policy.isReachable = false;
      for (let i = 0; i < 1500; i++) watchOutbound(world, { ip: '172.16.0.1', port: i + 1 }).unwatch();
      world.loop.advance(20_000);
      expect(world.policy.calls.filter((call) => call.isOpen)).toHaveLength(1000);
    });
  });
});

describe('endpoint resolutions', () => {
  function resolve(world: ReturnType<typeof open>) {
    const updates: EndpointUpdate[] = [];
    const resolution = world.discovery.resolve('svc.ns.svc.cluster.local:80', (update) => updates.push(update));
    return { updates, resolution };
  }
  const ports = (updates: readonly EndpointUpdate[]) =>
    updates.map(
      (update) =>
        `${update.isReset ? '=' : '+'}${update.add.map((entry) => entry.port).join()}-${update.remove.map((entry) => entry.port).join()}`,
    );

  it('are upserts and removals, the first `add` of each stream replacing all', () => {
    const world = open();
    const { updates } = resolve(world);
    world.destination.last.send(UpdateSchema, add(1, 2));
    world.destination.last.send(UpdateSchema, add(3));
    world.destination.last.send(UpdateSchema, {
      update: { case: 'remove', value: { addrs: [{ ip: { ip: { case: 'ipv4', value: 0x0a000001 } }, port: 1 }] } },
    });
    world.destination.last.end(GRPC_UNAVAILABLE);
    world.loop.advance(200);
    world.destination.last.send(UpdateSchema, add(2, 4));
    world.destination.last.send(UpdateSchema, { update: { case: 'noEndpoints', value: { exists: false } } });
    expect(ports(updates)).toEqual(['=1,2-', '+3-', '+-1', '=2,4-', '=-']);
  });

  it('are one stream for all balancers of a name; who comes late gets the set', () => {
    const world = open();
    resolve(world);
    world.destination.last.send(UpdateSchema, add(1, 2));
    world.destination.last.send(UpdateSchema, add(3));
    const late = resolve(world);
    expect(ports(late.updates)).toEqual(['=1,2,3-']);
    expect(world.destination.calls).toHaveLength(1);
  });

  it('outlive a balancer for the idle time', () => {
    const world = open();
    resolve(world).resolution.close();
    world.loop.advance(4000);
    const again = resolve(world);
    expect(world.destination.calls).toHaveLength(1);
    again.resolution.close();
    world.loop.advance(5001);
    expect(world.destination.last.isCancelled).toBe(true);
  });

  it('survive messages that cannot be read', () => {
    const world = open();
    const { updates } = resolve(world);
    world.destination.last.sendBytes(Buffer.from([0xff]));
    world.destination.last.send(UpdateSchema, { update: { case: 'add', value: { addrs: [{ addr: {} }] } } });
    world.destination.last.send(UpdateSchema, add(5));
    expect(ports(updates)).toEqual(['=5-']);
    expect(world.warnings).toHaveLength(2);
  });

  it('let go of all endpoints where the control plane rejects the name, and ask again', () => {
    const world = open();
    const { updates } = resolve(world);
    world.destination.last.send(UpdateSchema, add(1, 2));
    world.destination.last.end(GRPC_INVALID_ARGUMENT);
    world.loop.advance(200);
    expect(world.destination.calls).toHaveLength(2);
    world.destination.last.send(UpdateSchema, add(3));
    expect(ports(updates)).toEqual(['=1,2-', '=-', '=3-']);
  });
});

describe('inbound discovery', () => {
  it('watches the ports of the configuration and the admin port from the start', () => {
    const world = open({ INBOUND_PORTS: '8080,9000', ADMIN_LISTEN_ADDR: '0.0.0.0:4191' });
    world.discovery.start();
    expect(world.policy.calls.map((call) => fromBinary(PortSpecSchema, call.request).port)).toEqual([8080, 9000, 4191]);
  });

  it('waits for the policy of a port', () => {
    const world = open({ INBOUND_DEFAULT_POLICY: 'all-unauthenticated' });
    const { values } = watchInbound(world);
    expect(fromBinary(PortSpecSchema, world.policy.last.request)).toMatchObject({
      workload: '{"ns":"shop", "pod":"server"}\n',
      port: 8080,
    });
    world.loop.advance(9000);
    expect(values).toEqual([]);
    world.policy.last.send(ServerSchema, SERVER);
    expect(values).toMatchObject([{ meta: { group: 'policy.linkerd.io', kind: 'server', name: 'srv' }, detectTimeoutMs: 5000 }]);
  });

  it('closes a port whose policy does not come, until it does', () => {
    const world = open();
    const { values } = watchInbound(world);
    world.loop.advance(10_001);
    expect(values).toMatchObject([{ meta: { group: '', kind: 'default', name: 'deny' }, authorizations: [] }]);
    world.policy.last.send(ServerSchema, serverNamed('late'));
    expect(values.map((value) => value.meta.name)).toEqual(['deny', 'late']);
  });

  it.each([GRPC_INVALID_ARGUMENT, GRPC_FAILED_PRECONDITION])(
    'keeps the default where the control plane has none (status %i), also after having closed the port',
    (status) => {
      const world = open({ INBOUND_DEFAULT_POLICY: 'all-authenticated', INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION: '3306' });
      const prompt = watchInbound(world, 3306);
      world.policy.last.end(status);
      expect(prompt.values).toMatchObject([{ meta: { name: 'all-authenticated' }, protocol: 'opaque' }]);
      const late = watchInbound(world, 8080);
      world.loop.advance(10_001);
      world.policy.last.end(status);
      expect(late.values.map((value) => value.meta.name)).toEqual(['deny', 'all-authenticated']);
      world.loop.advance(60_000);
      expect(world.policy.calls).toHaveLength(2);
    },
  );

  it.each(['8080', '4191'])(
    '[AZ-14] applies the default policy to port %s, named by the environment, until the control plane answers',
    (port) => {
      const world = open({ INBOUND_PORTS: '8080', ADMIN_LISTEN_ADDR: '0.0.0.0:4191', INBOUND_DEFAULT_POLICY: 'all-authenticated' });
      const { values } = watchInbound(world, Number(port));
      world.loop.advance(999);
      expect(values).toEqual([]);
      world.loop.advance(2);
      expect(values).toMatchObject([{ meta: { group: '', kind: 'default', name: 'all-authenticated' } }]);
      world.policy.last.send(ServerSchema, SERVER);
      expect(values.map((value) => value.meta.name)).toEqual(['all-authenticated', 'srv']);
    },
  );

  it('begins with the default in the pod of the identity service', () => {
    const world = open({ IDENTITY_SVC_ADDR: 'localhost.:8080' });
    const { values } = watchInbound(world);
    expect(values.map((value) => value.meta.name)).toEqual(['all-unauthenticated']);
    world.policy.last.send(ServerSchema, SERVER);
    expect(values.map((value) => value.meta.name)).toEqual(['all-unauthenticated', 'srv']);
  });

  it.each([
    ['no protocol', { labels: { name: 'x' } }],
    ['no name', { protocol: SERVER.protocol }],
    [
      'an authorization without networks',
      { ...SERVER, authorizations: [{ authentication: { permit: { case: 'unauthenticated', value: {} } } }] },
    ],
  ] as [string, typeof SERVER][])('closes a port at a first message with %s, and ignores such a message later', (_name, message) => {
    const world = open();
    const { values } = watchInbound(world);
    world.policy.last.send(ServerSchema, message);
    expect(values).toMatchObject([{ meta: { name: 'deny' } }]);
    world.policy.last.send(ServerSchema, SERVER);
    world.policy.last.send(ServerSchema, message);
    expect(values.map((value) => value.meta.name)).toEqual(['deny', 'srv']);
    expect(world.warnings).toHaveLength(2);
  });

  it('[LB-20] forgets a port after 90 idle seconds', () => {
    const world = open();
    watchInbound(world).unwatch();
    world.loop.advance(89_000);
    expect(world.policy.last.isOpen).toBe(true);
    world.loop.advance(1100);
    expect(world.policy.last.isOpen).toBe(false);
    expect(world.loop.pendingTimers).toBe(0);
  });
});
