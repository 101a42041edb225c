// SPDX-License-Identifier: Apache-2.0
/*
 * Discovery, policy and identity as processes of their own against a real API server, with the arguments and rights that the chart gives them,
 * answering gRPC (control-contract §1 to §3). What they read is made by the cluster's own controllers where those exist: EndpointSlices with
 * host names and topology hints, tokens, events. Pods only claim to run; no node is needed.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { verifyChain } from '@weft/pki';
import { createTestAuthority, type TestAuthority } from '@weft/pki/testing';
import { destination, identity, inbound, outbound, trustBundle } from '@weft/proto';
import {
  EgressNetworkKind,
  EndpointSliceKind,
  EventKind,
  ExternalWorkloadKind,
  HTTPRouteKind,
  LeaseKind,
  NamespaceKind,
  PodKind,
  ServerKind,
  ServiceKind,
  ServiceProfileKind,
  TCPRouteKind,
  type EndpointSlice,
  type Event,
  type HTTPRoute,
  type ResourceInput,
  type ResourceSource,
} from '@weft/resources';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { CustomResourceDefinitionKind, startApiServer, type TestApiServer } from './control-plane/api-server.ts';
import {
  requestToken,
  serviceAccountKubeconfig,
  startController,
  type ControllerProcess,
  type RunningStream,
} from './control-plane/controller-process.ts';
import { CONTROL_PLANE_NAMESPACE, install, type Installation } from './control-plane/installation.ts';
import { Meddler } from './control-plane/meddler.ts';
import { addNode, addPod, setReady, type RunningPod } from './control-plane/running-pods.ts';
import { secondClusterIndex } from './shared-cluster.ts';

/** What takes seconds on a busy machine: controllers of the cluster, watches, leases given back. */
const SOON = { timeout: 20_000, interval: 50 };
/** A Lease whose holder vanished is free after its thirty seconds. */
const AFTER_A_TERM = { timeout: 45_000, interval: 200 };

let api: TestApiServer;
let source: ResourceSource;
let installation: Installation;
let destinationAccount: string;
let identityAccount: string;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  api = await startApiServer(secondClusterIndex());
  endings.push(() => api.close());
  ({ source } = api);
  installation = await install(api);
  const kubeconfigOf = async (name: string): Promise<string> => {
    const file = await serviceAccountKubeconfig(api, CONTROL_PLANE_NAMESPACE, name);
    endings.push(() => file.remove());
    return file.path;
  };
  destinationAccount = await kubeconfigOf('linkerd-destination');
  identityAccount = await kubeconfigOf('linkerd-identity');
  await addNode(source, 'west-1', 'west');
  await addNode(source, 'east-1', 'east');
}, 180_000);
afterAll(async () => {
  for (const end of endings.toReversed()) await end();
}, 60_000);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function start(args: readonly string[], hostname: string): Promise<ControllerProcess> {
  const started = await startController([...args, '-log-format=json'], hostname);
  cleanups.push(() => started.stop());
  return started;
}

async function startReady(args: readonly string[], hostname: string): Promise<ControllerProcess> {
  const started = await start(args, hostname);
  await vi.waitFor(async () => expect(await started.get('/ready')).toMatch(/^200/), SOON);
  return started;
}

const startDestination = (hostname = 'destination-0'): Promise<ControllerProcess> =>
  startReady(
    [
      ...installation.argsOf('linkerd-destination', 'destination'),
      '-addr=127.0.0.1:0',
      '-metrics-addr=127.0.0.1:0',
      `-kubeconfig=${destinationAccount}`,
    ],
    hostname,
  );

const startPolicy = (hostname = 'policy-0'): Promise<ControllerProcess> =>
  startReady(
    [
      ...installation.argsOf('linkerd-destination', 'policy'),
      '--grpc-addr=127.0.0.1:0',
      '--admin-addr=127.0.0.1:0',
      // The webhook has a suite of its own.
      '--admission-controller-disabled',
      `--kubeconfig=${destinationAccount}`,
    ],
    hostname,
  );

async function makeNamespace(): Promise<string> {
  const name = `e2e-${randomBytes(4).toString('hex')}`;
  await source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  cleanups.push(() => source.delete(NamespaceKind, '', name));
  return name;
}

/** An address that no other test uses. */
let addressCount = 0;
const nextIp = (): string => `10.201.0.${(addressCount += 1)}`;

function service(namespace: string, name: string, spec: object = {}, annotations: Record<string, string> = {}): ResourceInput {
  const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace, annotations },
    spec: { selector: { app: name }, ports, ...spec },
  };
}

function podOf(namespace: string, app: string, number: number, more: Partial<RunningPod> = {}): RunningPod {
  return { namespace, name: `${app}-${number}`, ip: nextIp(), node: 'west-1', labels: { app }, ...more };
}

const ipText = (value: unknown): string => {
  const bits = value as number;
  return [bits >>> 24, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255].join('.');
};

type EndpointStream = RunningStream<typeof destination.UpdateSchema>;

/** Addresses that a stream's client has by now. */
function held({ messages }: EndpointStream): string[] {
  const found = new Set<string>();
  for (const { update } of messages) {
    if (update.case === 'add') for (const { addr } of update.value.addrs) found.add(`${ipText(addr?.ip?.ip.value)}:${addr?.port}`);
    if (update.case === 'remove') for (const addr of update.value.addrs) found.delete(`${ipText(addr.ip?.ip.value)}:${addr.port}`);
  }
  return [...found].toSorted();
}

function endpointsOf(process: ControllerProcess, authority: string, token: object = {}): EndpointStream {
  const request = { scheme: 'k8s', path: authority, contextToken: JSON.stringify(token) };
  return process.stream(destination.Destination.method.get, request);
}

describe('discovery in a cluster', () => {
  it('[LB-05] follows the pods behind a Service as they come, become unready and go', async () => {
    const namespace = await makeNamespace();
    const process = await startDestination();
    await source.create(ServiceKind, service(namespace, 'web'));
    const [one, two] = [podOf(namespace, 'web', 1), podOf(namespace, 'web', 2, { isMeshed: false })];
    await addPod(source, one);
    await vi.waitFor(async () => expect(await source.get(ServiceKind, namespace, 'web')).toBeDefined(), SOON);
    let stream = endpointsOf(process, `web.${namespace}.svc.cluster.local:80`);
    // The Service may not have reached the process yet: then the call is refused, and a proxy asks again.
    await vi.waitFor(async () => {
      if (stream.messages.length === 0) stream = endpointsOf(process, `web.${namespace}.svc.cluster.local:80`);
      await vi.waitFor(() => expect(held(stream)).toEqual([`${one.ip}:8080`]), { timeout: 1000 });
    }, SOON);
    const [message] = stream.messages;
    const address = message?.update.case === 'add' ? message.update.value.addrs[0] : undefined;
    expect(address).toMatchObject({
      tlsIdentity: { strategy: { value: { name: `default.${namespace}.serviceaccount.identity.linkerd.cluster.local` } } },
      protocolHint: { protocol: { case: 'h2' }, opaqueTransport: { inboundPort: 4143 } },
      metricLabels: { pod: 'web-1', serviceaccount: 'default', control_plane_ns: 'linkerd', zone: 'west' },
    });
    await addPod(source, two);
    await vi.waitFor(() => expect(held(stream)).toEqual([`${one.ip}:8080`, `${two.ip}:8080`]), SOON);
    await setReady(source, one, false);
    await vi.waitFor(() => expect(held(stream)).toEqual([`${two.ip}:8080`]), SOON);
    await source.delete(PodKind, namespace, two.name, { gracePeriodSeconds: 0 });
    await vi.waitFor(() => expect(held(stream)).toEqual([]), SOON);
    expect(await process.get('/metrics')).toMatch(/^pods_cache_size\{cluster="local"\} \d+$/m);
    expect(await process.get('/metrics')).toMatch(/^pods_informer_lag_seconds_count [1-9]/m);
    const code = process.stop();
    expect(await stream.status).toMatchObject({ code: 0 });
    expect(await code).toBe(0);
  });

  it('[LB-06] [LB-07] finds the pods of a StatefulSet by their names, and pods by the ports of their host', async () => {
    const namespace = await makeNamespace();
    await source.create(ServiceKind, service(namespace, 'db', { clusterIP: 'None' }));
    const zero = podOf(namespace, 'db', 0, { hostname: 'db-0', subdomain: 'db' });
    const one = podOf(namespace, 'db', 1, { hostname: 'db-1', subdomain: 'db', hostPort: 9080 });
    for (const pod of [zero, one]) await addPod(source, pod);
    await vi.waitFor(async () => expect((await slicesOf(namespace, 'db')).flatMap(({ endpoints }) => endpoints)).toHaveLength(2), SOON);
    const process = await startDestination();
    const stream = endpointsOf(process, `db-1.db.${namespace}.svc.cluster.local:80`);
    await vi.waitFor(() => expect(held(stream)).toEqual([`${one.ip}:8080`]), SOON);
    for (const path of [`db-1.db.${namespace}.svc.cluster.local:8080`, `${one.ip}:8080`, '10.200.0.1:9080']) {
      const profile = process.stream(destination.Destination.method.getProfile, { path });
      await vi.waitFor(() => expect(profile.messages[0]?.endpoint?.metricLabels).toMatchObject({ pod: 'db-1', namespace }), SOON);
    }
    const profile = process.stream(destination.Destination.method.getProfile, { path: `db-9.db.${namespace}.svc.cluster.local:80` });
    expect(await profile.status).toMatchObject({ code: 5 });
  });

  it('[LB-09] [LB-10] keeps to the zone by hints, and to the node by traffic policy', async () => {
    const namespace = await makeNamespace();
    await source.create(ServiceKind, service(namespace, 'web', { trafficDistribution: 'PreferSameZone' }));
    await source.create(ServiceKind, service(namespace, 'local', { internalTrafficPolicy: 'Local', selector: { app: 'web' } }));
    const [west, east] = [podOf(namespace, 'web', 1), podOf(namespace, 'web', 2, { node: 'east-1' })];
    for (const pod of [west, east]) await addPod(source, pod);
    await vi.waitFor(async () => {
      const endpoints = (await slicesOf(namespace, 'web')).flatMap((slice) => slice.endpoints ?? []);
      expect(endpoints.map(({ hints }) => hints?.forZones?.[0]?.name ?? '').toSorted()).toEqual(['east', 'west']);
    }, SOON);
    const process = await startDestination();
    const expected: [string, string, string[]][] = [
      ['web', 'west-1', [`${west.ip}:8080`]],
      ['web', 'east-1', [`${east.ip}:8080`]],
      ['web', '', [`${west.ip}:8080`, `${east.ip}:8080`].toSorted()],
      ['local', 'east-1', [`${east.ip}:8080`]],
    ];
    for (const [name, nodeName, addresses] of expected) {
      const stream = endpointsOf(process, `${name}.${namespace}.svc.cluster.local:80`, { ns: namespace, nodeName, pod: 'client' });
      await vi.waitFor(() => expect([name, nodeName, held(stream)]).toEqual([name, nodeName, addresses]), SOON);
    }
  });

  it('[PROTO-03] says which ports are opaque: by a Service, and by a Server while it exists', async () => {
    const namespace = await makeNamespace();
    const created = await source.create(ServiceKind, service(namespace, 'web', {}, { 'config.linkerd.io/opaque-ports': '80' }));
    const pod = podOf(namespace, 'web', 1);
    await addPod(source, pod);
    const process = await startDestination();
    const ofService = process.stream(destination.Destination.method.getProfile, { path: `${created.spec?.clusterIP}:80` });
    const ofPod = process.stream(destination.Destination.method.getProfile, { path: `${pod.ip}:8080` });
    await vi.waitFor(() => expect([ofService, ofPod].map(({ messages }) => messages.at(-1)?.opaqueProtocol)).toEqual([true, false]), SOON);
    await source.patch(ServiceKind, namespace, 'web', { metadata: { annotations: { 'config.linkerd.io/opaque-ports': null } } }, 'e2e');
    await source.create(ServerKind, server(namespace, 'opaque', { proxyProtocol: 'opaque' }));
    await vi.waitFor(() => expect([ofService, ofPod].map(({ messages }) => messages.at(-1)?.opaqueProtocol)).toEqual([false, true]), SOON);
    await source.delete(ServerKind, namespace, 'opaque');
    await vi.waitFor(() => expect(ofPod.messages.at(-1)?.opaqueProtocol).toBe(false), SOON);
  });

  it('waits for an API server that is away when it starts, and answers from memory when it goes away later', async () => {
    const namespace = await makeNamespace();
    await source.create(ServiceKind, service(namespace, 'web'));
    const [one, two] = [podOf(namespace, 'web', 1), podOf(namespace, 'web', 2)];
    await addPod(source, one);
    const meddler = await Meddler.start(api.connection);
    cleanups.push(() => meddler.close());
    await meddler.away();
    const directory = mkdtempSync(join(tmpdir(), 'weft-e2e-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const kubeconfig = join(directory, 'kubeconfig');
    const [clusters, users] = [[{ name: 'c', cluster: { server: meddler.url } }], [{ name: 'u', user: {} }]];
    const contexts = [{ name: 'x', context: { cluster: 'c', user: 'u' } }];
    writeFileSync(kubeconfig, JSON.stringify({ 'current-context': 'x', clusters, users, contexts }));
    const args = [...installation.argsOf('linkerd-destination', 'destination'), '-addr=127.0.0.1:0', '-metrics-addr=127.0.0.1:0'];
    const process = await start([...args, `-kubeconfig=${kubeconfig}`], 'destination-0');
    await vi.waitFor(() => expect(process.log()).toMatch(/cannot be read yet/), SOON);
    expect(await process.get('/ready')).toMatch(/^500/);
    expect(await process.get('/live')).toMatch(/^200/);
    await meddler.back();
    await vi.waitFor(async () => expect(await process.get('/ready')).toMatch(/^200/), SOON);
    const authority = `web.${namespace}.svc.cluster.local:80`;
    const before = endpointsOf(process, authority);
    await vi.waitFor(() => expect(held(before)).toEqual([`${one.ip}:8080`]), SOON);
    await meddler.away();
    await addPod(source, two);
    await source.delete(PodKind, namespace, one.name, { gracePeriodSeconds: 0 });
    const meanwhile = endpointsOf(process, authority);
    await vi.waitFor(() => expect(held(meanwhile)).toEqual([`${one.ip}:8080`]), SOON);
    expect(await process.get('/ready')).toMatch(/^200/);
    await meddler.back();
    await vi.waitFor(() => expect([held(before), held(meanwhile)]).toEqual([[`${two.ip}:8080`], [`${two.ip}:8080`]]), SOON);
  });

  it('costs nobody else anything when a profile is nested as deep as the API server takes it', async () => {
    const [hostile, namespace] = [await makeNamespace(), await makeNamespace()];
    let condition: object = { method: 'GET' };
    for (let depth = 0; depth < 4000; depth += 1) condition = { not: condition };
    for (const space of [hostile, namespace]) await source.create(ServiceKind, service(space, 'web'));
    await source.create(ServiceProfileKind, profile(hostile, [{ name: 'deep', condition }]));
    await source.create(ServiceProfileKind, profile(namespace, [{ name: 'plain', condition: { method: 'GET' } }]));
    const process = await startDestination();
    const routesOf = async (space: string): Promise<string[]> => {
      const path = `web.${space}.svc.cluster.local:80`;
      const stream = process.stream(destination.Destination.method.getProfile, { path });
      await vi.waitFor(() => expect(stream.messages.length).toBeGreaterThan(0), SOON);
      return (stream.messages.at(-1)?.routes ?? []).map(({ metricsLabels }) => metricsLabels['route'] ?? '');
    };
    expect(await routesOf(namespace)).toEqual(['plain']);
    const spoilt = process.stream(destination.Destination.method.getProfile, { path: `web.${hostile}.svc.cluster.local:80` });
    await vi.waitFor(() => expect(process.log()).toMatch(/nested deeper/), SOON);
    spoilt.cancel();
    expect(await process.get('/ready')).toMatch(/^200/);
  });

  it('[LB-16] [NK-01] [HA-03] has one replica write the slices of external workloads, and the next when that one goes', async () => {
    const namespace = await makeNamespace();
    await source.create(ServiceKind, service(namespace, 'legacy'));
    const workload = (name: string, ip: string): ResourceInput => ({
      apiVersion: 'workload.linkerd.io/v1beta1',
      kind: 'ExternalWorkload',
      metadata: { name, namespace, labels: { app: 'legacy' } },
      spec: {
        meshTLS: { identity: `spiffe://root.linkerd.cluster.local/${name}`, serverName: `${name}.cluster.local` },
        workloadIPs: [{ ip }],
        ports: [{ name: 'http', port: 8080 }],
      },
    });
    const addWorkload = async (name: string, ip: string): Promise<void> => {
      await source.create(ExternalWorkloadKind, workload(name, ip));
      await setWorkloadReady(name, 'True');
    };
    const setWorkloadReady = async (name: string, status: string): Promise<unknown> =>
      source.patchStatus(ExternalWorkloadKind, namespace, name, { status: { conditions: [{ type: 'Ready', status }] } }, 'e2e');
    // Kubernetes' own controller keeps an empty one beside ours.
    const ourSlices = async (): ReturnType<typeof slicesOf> =>
      (await slicesOf(namespace, 'legacy')).filter(({ metadata }) => metadata.name.startsWith('linkerd-external-legacy-'));
    await addWorkload('vm-1', '192.0.2.1');
    const processes = [await startDestination('destination-a'), await startDestination('destination-b')];
    await vi.waitFor(async () => expect(await holder('linkerd-destination-endpoint-write')).toMatch(/^destination-/), SOON);
    const leader = processes[(await holder('linkerd-destination-endpoint-write')) === 'destination-a' ? 0 : 1];
    const other = processes.find((process) => process !== leader);
    if (leader === undefined || other === undefined) throw new Error('no leader');
    await vi.waitFor(async () => expect(await ourSlices()).toHaveLength(1), SOON);
    const stream = endpointsOf(other, `legacy.${namespace}.svc.cluster.local:80`);
    await vi.waitFor(() => expect(held(stream)).toEqual(['192.0.2.1:8080']), SOON);
    const added = stream.messages[0]?.update;
    expect(added?.case === 'add' ? added.value.addrs[0] : undefined).toMatchObject({
      tlsIdentity: {
        strategy: { case: 'uriLikeIdentity', value: { uri: 'spiffe://root.linkerd.cluster.local/vm-1' } },
        serverName: { name: 'vm-1.cluster.local' },
      },
      metricLabels: { external_workload: 'vm-1' },
    });
    // The one that leads goes in order: the other writes at once.
    expect(await leader.stop()).toBe(0);
    await addWorkload('vm-2', '192.0.2.2');
    await vi.waitFor(() => expect(held(stream)).toEqual(['192.0.2.1:8080', '192.0.2.2:8080']), SOON);
    await setWorkloadReady('vm-1', 'False');
    await vi.waitFor(() => expect(held(stream)).toEqual(['192.0.2.2:8080']), SOON);
    expect((await ourSlices()).map(({ metadata }) => metadata.ownerReferences?.[0]?.kind)).toEqual(['Service']);
    await source.delete(ExternalWorkloadKind, namespace, 'vm-2');
    await source.delete(ExternalWorkloadKind, namespace, 'vm-1');
    await vi.waitFor(async () => expect(await ourSlices()).toEqual([]), SOON);
  });
});

describe('policy in a cluster', () => {
  it('[RT-14] accepts routes in their status, which then take effect', async () => {
    const namespace = await makeNamespace();
    const process = await startPolicy();
    const created = await source.create(ServiceKind, service(namespace, 'web'));
    const stream = process.stream(outbound.OutboundPolicies.method.watch, {
      sourceWorkload: JSON.stringify({ ns: namespace, pod: 'client' }),
      target: { case: 'authority', value: `web.${namespace}.svc.cluster.local:80` },
    });
    await source.create(HTTPRouteKind, httpRoute(namespace, 'good', 'web', 'web'));
    await source.create(HTTPRouteKind, httpRoute(namespace, 'lost', 'nothing', 'web'));
    await vi.waitFor(async () => {
      expect(await conditions(namespace, 'good')).toEqual(['Accepted=True', 'ResolvedRefs=True']);
      expect(await conditions(namespace, 'lost')).toContain('Accepted=False');
    }, SOON);
    await vi.waitFor(() => expect(JSON.stringify(namesIn(stream.messages.at(-1)))).toContain('good'), SOON);
    expect(created.spec?.clusterIP).not.toBe('');
    await source.delete(ServiceKind, namespace, 'web');
    await vi.waitFor(async () => expect(await conditions(namespace, 'good')).toContain('Accepted=False'), SOON);
    const { status } = await source.get(HTTPRouteKind, namespace, 'good');
    expect(status?.parents?.map(({ controllerName }) => controllerName)).toEqual(['linkerd.io/policy-controller']);
  });

  it('[RT-14] writes the status of EgressNetworks under its field manager', async () => {
    const namespace = await makeNamespace();
    await startPolicy();
    await source.create(EgressNetworkKind, {
      apiVersion: 'policy.linkerd.io/v1alpha1',
      kind: 'EgressNetwork',
      metadata: { name: 'all', namespace },
      spec: { trafficPolicy: 'Deny' },
    });
    await vi.waitFor(async () => {
      const { status } = await source.get(EgressNetworkKind, namespace, 'all');
      expect(status).toMatchObject({ conditions: [{ type: 'Accepted', status: 'True' }] });
    }, SOON);
  });

  it('[HA-03] is led by another soon after its leader was killed', async () => {
    const namespace = await makeNamespace();
    const first = await startPolicy('policy-a');
    await vi.waitFor(async () => expect(await holder('policy-controller-write')).toBe('policy-a'), SOON);
    await startPolicy('policy-b');
    const lease = await source.get(LeaseKind, CONTROL_PLANE_NAMESPACE, 'policy-controller-write');
    expect(lease.metadata.ownerReferences).toMatchObject([{ kind: 'Deployment', name: 'linkerd-destination' }]);
    await first.stop('SIGKILL');
    await source.create(ServiceKind, service(namespace, 'web'));
    await source.create(HTTPRouteKind, httpRoute(namespace, 'r', 'web', 'web'));
    await vi.waitFor(async () => expect(await holder('policy-controller-write')).toBe('policy-b'), AFTER_A_TERM);
    await vi.waitFor(async () => expect(await conditions(namespace, 'r')).toContain('Accepted=True'), SOON);
  }, 120_000);

  it('skips what it cannot read, with a warning, and no more than that', async () => {
    const namespace = await makeNamespace();
    const process = await startPolicy();
    await addPod(source, podOf(namespace, 'web', 1));
    await source.create(ServerKind, server(namespace, 'a-strange', { proxyProtocol: 'carrier-pigeon' }));
    await vi.waitFor(() => expect(process.log()).toMatch(/a-strange/), SOON);
    const watch = (): RunningStream<typeof inbound.ServerSchema> =>
      process.stream(inbound.InboundServerPolicies.method.watchPort, {
        workload: JSON.stringify({ ns: namespace, pod: 'web-1' }),
        port: 8080,
      });
    let stream = watch();
    await vi.waitFor(async () => {
      if (stream.messages.length === 0) stream = watch();
      await vi.waitFor(() => expect(stream.messages.at(-1)?.labels['name']).toBe('all-unauthenticated'), { timeout: 1000 });
    }, SOON);
    await source.create(ServerKind, server(namespace, 'b-plain', {}));
    await vi.waitFor(() => expect(stream.messages.at(-1)?.labels['name']).toBe('b-plain'), SOON);
    expect(await process.get('/ready')).toMatch(/^200/);
  });

  it('does without kinds that are not served when it starts', async () => {
    const name = `${TCPRouteKind.plural}.${TCPRouteKind.group}`;
    const definition = await source.get(CustomResourceDefinitionKind, '', name);
    await source.delete(CustomResourceDefinitionKind, '', name);
    cleanups.push(async () => {
      const { apiVersion, kind, metadata, spec } = definition;
      const { labels, annotations } = metadata;
      await source.create(CustomResourceDefinitionKind, { apiVersion, kind, metadata: { name, labels, annotations }, spec });
    });
    await vi.waitFor(async () => expect(await source.supports(TCPRouteKind)).toBe(false), SOON);
    const process = await startPolicy();
    expect(process.log()).toMatch(/not watching.*TCPRoute/);
  });
});

describe('identity in a cluster', () => {
  it('[ID-03] [ID-04] certifies who the API server says it is, and nobody else', async () => {
    const namespace = await makeNamespace();
    const process = await startIdentity(kubeletMount(installation.mesh.issuer));
    const { mesh } = installation;
    const leaf = mesh.leafFor(mesh.identityOf('default', namespace));
    const certify = async (token: string, of = leaf): Promise<identity.CertifyResponse> =>
      process.call(identity.Identity.method.certify, {
        identity: of.identity,
        token: Buffer.from(token),
        certificateSigningRequest: of.csrDer,
      });
    await vi.waitFor(() => requestToken(api, namespace, 'default'), SOON);
    const answer = await certify(await requestToken(api, namespace, 'default', 'identity.l5d.io'));
    const chain = verifyChain({
      leafDer: answer.leafCertificate,
      intermediatesDer: answer.intermediateCertificates,
      anchorsDer: [mesh.anchor.certificateDer],
      nowMs: Date.now(),
      purpose: 'client',
    });
    expect(chain).toHaveProperty('path');
    await vi.waitFor(async () => expect(await reasons(namespace, 'ServiceAccount', 'default')).toContain('IssuedLeafCertificate'), SOON);

    const other = mesh.leafFor(mesh.identityOf('other', namespace));
    const token = await requestToken(api, namespace, 'default', 'identity.l5d.io');
    await expect(certify(token, other)).rejects.toMatchObject({ code: 9 });
    await expect(certify('not a token')).rejects.toMatchObject({ code: 3 });
    await expect(certify(await requestToken(api, namespace, 'default', 'vault'))).rejects.toMatchObject({ code: 3 });
    // A token for the API server alone: what a pod has where the chart projects none for identity, so the reference takes it.
    await certify(await requestToken(api, namespace, 'default'));
  });

  it('[ID-06] [ID-07] [ID-08] [ID-09] takes a new issuer and new anchors when the kubelet swaps them, and says so', async () => {
    const { mesh } = installation;
    const mount = kubeletMount(mesh.issuer);
    const process = await startIdentity(mount);
    const bundles = process.stream(trustBundle.TrustBundle.method.watch, {}, { 'l5d-client-id': 'someone.linkerd' });
    await vi.waitFor(() => expect(bundles.messages).toHaveLength(1), SOON);
    const ttl = async (): Promise<string> => /^issuer_cert_ttl_seconds (\S+)/m.exec(await process.get('/metrics'))?.[1] ?? '';
    expect(Number(await ttl())).toBeGreaterThan(0);

    mount.swap(createTestAuthority('identity.linkerd.cluster.local', { parent: mesh.anchor }));
    await vi.waitFor(
      async () => expect(await reasons(CONTROL_PLANE_NAMESPACE, 'Deployment', 'linkerd-identity')).toContain('IssuerUpdated'),
      SOON,
    );
    mount.swap(createTestAuthority('a.stranger'));
    await vi.waitFor(
      async () => expect(await reasons(CONTROL_PLANE_NAMESPACE, 'Deployment', 'linkerd-identity')).toContain('IssuerUpdateSkipped'),
      SOON,
    );
    mount.swapAnchors([mesh.anchor, createTestAuthority('root.next')]);
    await vi.waitFor(() => expect(bundles.messages.at(-1)?.trustAnchors).toHaveLength(2), SOON);
    expect(await process.get('/ready')).toMatch(/^200/);
  });

  it('[ID-06] reads an issuer as cert-manager writes it', async () => {
    const process = await startIdentity(kubeletMount(installation.mesh.issuer, ['tls.crt', 'tls.key']), [
      '-identity-scheme=kubernetes.io/tls',
    ]);
    expect(await process.get('/ready')).toMatch(/^200/);
  });

  it('does not start without the right to review tokens', async () => {
    const namespace = await makeNamespace();
    await vi.waitFor(() => requestToken(api, namespace, 'default'), SOON);
    const nobody = await serviceAccountKubeconfig(api, namespace, 'default');
    cleanups.push(() => nobody.remove());
    await expect(startIdentity(kubeletMount(installation.mesh.issuer), [`-kubeconfig=${nobody.path}`])).rejects.toThrow(
      /not authorized to create tokenreviews/,
    );
  });

  interface Mount {
    readonly issuer: string;
    readonly trustRoots: string;
    swap(authority: TestAuthority): void;
    swapAnchors(anchors: readonly TestAuthority[]): void;
  }

  /** Volumes as the kubelet keeps them: files are links into `..data`, which is a link that is replaced as a whole. */
  function kubeletMount(issuer: TestAuthority, names: readonly [string, string] = ['crt.pem', 'key.pem']): Mount {
    const directory = mkdtempSync(join(tmpdir(), 'weft-e2e-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    let generation = 0;
    const volume = (path: string, files: Readonly<Record<string, string>>): void => {
      generation += 1;
      const isNew = generation <= 2;
      mkdirSync(join(path, `..${generation}`), { recursive: true });
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, `..${generation}`, name), text);
      symlinkSync(`..${generation}`, join(path, '..data_tmp'));
      renameSync(join(path, '..data_tmp'), join(path, '..data'));
      if (isNew) for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(path, name));
    };
    const [issuerPath, rootsPath] = [join(directory, 'issuer'), join(directory, 'trust-roots')];
    const mount: Mount = {
      issuer: issuerPath,
      trustRoots: rootsPath,
      swap: ({ certificatePem, privateKeyPem }) => volume(issuerPath, { [names[0]]: certificatePem, [names[1]]: privateKeyPem }),
      swapAnchors: (anchors) => volume(rootsPath, { 'ca-bundle.crt': anchors.map(({ certificatePem }) => certificatePem).join('') }),
    };
    mount.swap(issuer);
    mount.swapAnchors([installation.mesh.anchor]);
    return mount;
  }

  function startIdentity({ issuer, trustRoots }: Mount, more: readonly string[] = []): Promise<ControllerProcess> {
    const args = [
      ...installation.argsOf('linkerd-identity', 'identity'),
      '-addr=127.0.0.1:0',
      '-admin-addr=127.0.0.1:0',
      `-kubeconfig=${identityAccount}`,
      `-issuer=${issuer}`,
      `--trust-roots=${trustRoots}`,
      ...more,
    ];
    return startReady(args, 'identity-0');
  }

  async function reasons(namespace: string, kind: string, name: string): Promise<string[]> {
    const events = (await source.list(EventKind, { namespace })) as readonly (Event & {
      readonly reason?: string;
      readonly involvedObject?: { readonly kind?: string; readonly name?: string };
    })[];
    return events
      .filter(({ involvedObject }) => involvedObject?.kind === kind && involvedObject.name === name)
      .map(({ reason }) => reason ?? '');
  }
});

async function slicesOf(namespace: string, name: string): Promise<readonly EndpointSlice[]> {
  return source.list(EndpointSliceKind, { namespace, labels: { 'kubernetes.io/service-name': name } });
}

async function holder(lease: string): Promise<string> {
  const { spec } = await source.get(LeaseKind, CONTROL_PLANE_NAMESPACE, lease);
  return spec?.holderIdentity ?? '';
}

function server(namespace: string, name: string, spec: object): ResourceInput {
  return {
    apiVersion: 'policy.linkerd.io/v1beta3',
    kind: 'Server',
    metadata: { name, namespace },
    spec: { podSelector: { matchLabels: { app: 'web' } }, port: 8080, ...spec },
  };
}

function profile(namespace: string, routes: readonly object[]): ResourceInput {
  return {
    apiVersion: 'linkerd.io/v1alpha2',
    kind: 'ServiceProfile',
    metadata: { name: `web.${namespace}.svc.cluster.local`, namespace },
    spec: { routes },
  };
}

function httpRoute(namespace: string, name: string, parent: string, backend: string): ResourceInput {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: parent, port: 80 }],
      rules: [{ backendRefs: [{ name: backend, port: 80 }] }],
    },
  };
}

async function conditions(namespace: string, name: string): Promise<string[]> {
  const { status }: HTTPRoute = await source.get(HTTPRouteKind, namespace, name);
  return (status?.parents ?? []).flatMap((parent) => (parent.conditions ?? []).map(({ type, status: is }) => `${type}=${is}`)).toSorted();
}

/** Every `name` in a message. */
function namesIn(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => (key === 'name' ? [item] : namesIn(item)));
}
