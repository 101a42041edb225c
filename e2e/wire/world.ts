// SPDX-License-Identifier: Apache-2.0
/*
 * The world of the captures, with its names and addresses: pods `client` and `server` with Weft's proxy, the unmeshed pod `plain`, and
 * `standin`, which speaks for a foreign proxy. `plain` and `standin` are addresses of one unmeshed host.
 */
import { join } from 'node:path';
import type { JsonValue } from '@bufbuild/protobuf';
import { createTestMesh, type LeafOverrides, type TestMesh } from '@weft/pki/testing';
import type { StubEndpoint, StubTarget } from '@weft/testkit/control-stub';
import { type NamespaceWorker, SidecarRig } from '@weft/testkit/sidecar-rig';
import type * as Application from './hosts/application.ts';
import type * as Caller from './hosts/caller.ts';
import type * as StandIn from './hosts/stand-in.ts';
import { inboundPolicies, outboundPolicies } from './policies.ts';

export const NAMESPACE = 'vec-net';
export const PODS = { client: '10.244.0.26', server: '10.244.0.28', plain: '10.244.0.30', standin: '10.244.0.31' } as const;
export const SERVICES = {
  server: '10.96.159.210',
  plain: '10.96.224.57',
  empty: '10.96.123.135',
  routes: '10.96.168.249',
  slow: '10.96.38.145',
  standin: '10.96.220.136',
} as const;

/** `WEFT_PROXY_MAIN` = another build of the proxy. */
const PROXY_MAIN = process.env.WEFT_PROXY_MAIN ?? join(import.meta.dirname, '../../apps/proxy/dist/main.js');
const SERVER_PORTS = [8080, 8081, 8082, 8083, 8084, 8086, 8087, 8088, 9000, 9001];
const OPAQUE_PORT = 9000;

/** Stand-ins with a certificate that must not be believed, each behind a Service of its own. */
export const BAD_STANDINS: Readonly<Record<string, { readonly pod: string; readonly service: string; readonly leaf: LeafOverrides }>> = {
  'of a foreign CA with the right name': { pod: '10.244.0.41', service: '10.96.220.141', leaf: { isForeign: true } },
  expired: { pod: '10.244.0.42', service: '10.96.220.142', leaf: { isExpired: true } },
  'not yet valid': { pod: '10.244.0.43', service: '10.96.220.143', leaf: { isNotYetValid: true } },
  'of another workload': {
    pod: '10.244.0.44',
    service: '10.96.220.144',
    leaf: { dnsNames: ['other.vec-net.serviceaccount.identity.linkerd.cluster.local'] },
  },
  'for clients only': { pod: '10.244.0.45', service: '10.96.220.145', leaf: { extendedKeyUsage: ['clientAuth'] } },
};

export interface World {
  readonly rig: SidecarRig;
  readonly mesh: TestMesh;
  /** The application's client behind the outbound proxy. */
  readonly client: NamespaceWorker<typeof Caller>;
  /** The unmeshed host. */
  readonly plain: NamespaceWorker<typeof Caller>;
  readonly standIn: NamespaceWorker<typeof StandIn>;
  /** PEM of a workload's key and chain. */
  credentials(workload: string, overrides?: LeafOverrides): Caller.Credentials;
  readonly ca: string;
}

/** Metric labels that the control plane gives a pod without owner. */
function podLabels(pod: string): Record<string, string> {
  return { pod, serviceaccount: pod, zone: '' };
}

export function identity(workload: string): string {
  return `${workload}.${NAMESPACE}.serviceaccount.identity.linkerd.cluster.local`;
}

/** Starts both proxies, the applications and the stand-in. */
export async function startWorld(): Promise<World> {
  const mesh = createTestMesh();
  const meshed = (pod: 'server' | 'standin', port: number): StubEndpoint => ({
    ip: PODS[pod],
    port,
    identity: identity(pod),
    inboundPort: 4143,
    hint: port === OPAQUE_PORT ? 'opaque' : 'h2',
    labels: { control_plane_ns: 'linkerd', ...podLabels(pod), zone_locality: 'unknown' },
  });
  const service = (name: keyof typeof SERVICES, port: number, endpoints: readonly StubEndpoint[]): StubTarget => ({
    ip: SERVICES[name],
    port,
    service: name,
    namespace: NAMESPACE,
    protocol: port === OPAQUE_PORT ? 'opaque' : 'detect',
    endpoints,
  });
  const targets = [
    ...SERVER_PORTS.map((port) => service('server', port, [meshed('server', port)])),
    ...[8080, 8081, 9000, 9001].map((port) => service('standin', port, [meshed('standin', port)])),
    ...[8080, 8081, 8084].map((port) =>
      service('plain', port, [{ ip: PODS.plain, port, labels: { ...podLabels('plain'), zone_locality: 'unknown' } }]),
    ),
    service('empty', 80, []),
    service('slow', 8080, [meshed('server', 8080)]),
    service('slow', 8082, [meshed('server', 8082)]),
    ...Object.values(BAD_STANDINS).map(({ pod, service: ip }): StubTarget => ({
      ...service('standin', 8080, [{ ...meshed('standin', 8080), ip: pod }]),
      ip,
      service: `bad-${pod.slice(-2)}`,
    })),
  ];
  const standInAddress = { ip: { ipv4: 0x0a_f4_00_1f } };
  const standInTls = { dnsLikeIdentity: { name: identity('standin') }, serverName: { name: identity('standin') } };
  const podProfile = (port: number, hint: { [key: string]: JsonValue }): JsonValue => ({
    endpoint: { addr: { ...standInAddress, port }, weight: 10_000, tlsIdentity: standInTls, protocolHint: hint },
  });
  const plainProfile = (port: number): JsonValue => ({
    endpoint: {
      addr: { ip: { ipv4: 0x0a_f4_00_1e }, port },
      weight: 10_000,
      metricLabels: { namespace: NAMESPACE, ...podLabels('plain') },
    },
  });
  const rig = await SidecarRig.start({
    proxyMain: PROXY_MAIN,
    nodeFlags: ['--disable-warning=ExperimentalWarning'],
    mesh,
    addresses: {
      client: PODS.client,
      server: PODS.server,
      peer: PODS.plain,
      alsoPeer: [PODS.standin, ...Object.values(BAD_STANDINS).map(({ pod }) => pod)],
    },
    namespace: NAMESPACE,
    control: {
      server: { targets: [], opaquePorts: [OPAQUE_PORT], given: { inbound: inboundPolicies(identity('client')) } },
      client: {
        targets,
        given: {
          outbound: outboundPolicies(NAMESPACE, SERVICES),
          profiles: {
            [`${PODS.standin}:8080`]: podProfile(8080, { h2: {}, opaqueTransport: { inboundPort: 4143 } }),
            [`${PODS.standin}:4191`]: podProfile(4191, { h2: {} }),
            ...Object.fromEntries([8080, 8084].map((port) => [`${PODS.plain}:${port}`, plainProfile(port)])),
          },
        },
      },
    },
    // With its identity service on loopback a proxy takes itself for that service's own and starts unwatched ports with the default policy.
    env: { server: { LINKERD2_PROXY_INBOUND_PORTS: SERVER_PORTS.join(',') } },
  });
  try {
    return await furnish(rig, mesh);
  } catch (error) {
    rig.stop();
    throw error;
  }
}

async function furnish(rig: SidecarRig, mesh: TestMesh): Promise<World> {
  const module = (name: string): string => join(import.meta.dirname, 'hosts', name);
  const credentials = (workload: string, overrides?: LeafOverrides): Caller.Credentials => {
    const leaf = mesh.leafFor(identity(workload), overrides);
    return { key: leaf.privateKeyPem, cert: leaf.chainPem };
  };
  const ca = mesh.trustAnchorsPem.join('');
  const application = rig.worker<typeof Application>('server', module('application.ts'));
  for (const port of [8080, 8083, 8086, 8087, 8088]) await application.call('serveHttp1', port, PODS.server);
  for (const port of [8081, 8082]) await application.call('serveHttp2', port, PODS.server);
  for (const port of [9000, 9001]) await application.call('serveEcho', port, PODS.server);
  const plainApplication = rig.worker<typeof Application>('peer', module('application.ts'));
  await plainApplication.call('serveHttp1', 8080, PODS.plain);
  await plainApplication.call('serveHttp2', 8081, PODS.plain);
  const standIn = rig.worker<typeof StandIn>('peer', module('stand-in.ts'));
  await standIn.call('serveStandIn', PODS.standin, 4143, true, credentials('standin'), ca);
  await standIn.call('serveStandIn', PODS.standin, 4191, false, credentials('standin'), ca);
  for (const { pod, leaf } of Object.values(BAD_STANDINS))
    await standIn.call('serveStandIn', pod, 4143, true, credentials('standin', leaf), ca);
  return {
    rig,
    mesh,
    client: rig.worker<typeof Caller>('client', module('caller.ts')),
    plain: rig.worker<typeof Caller>('peer', module('caller.ts')),
    standIn,
    credentials,
    ca,
  };
}
