// SPDX-License-Identifier: Apache-2.0
/*
 * Policy streams against a real API server (control-contract §3.1): what was written 50 ms ago is known to a stream that begins, every change
 * that proxies can see is one message, and no other change is any.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { inbound, outbound } from '@weft/proto';
import { HTTPRouteKind, NamespaceKind, ServerKind, ServiceKind, type ResourceInput, type ResourceSource } from '@weft/resources';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { startApiServer, type TestApiServer } from '../control-plane/api-server.ts';
import { serviceAccountKubeconfig, startController, type ControllerProcess } from '../control-plane/controller-process.ts';
import { CONTROL_PLANE_NAMESPACE, install } from '../control-plane/installation.ts';
import { addNode, addPod } from '../control-plane/running-pods.ts';
import { secondClusterIndex } from '../shared-cluster.ts';

const SOON = { timeout: 20_000, interval: 20 };
/** Objects of each kind that are written and asked about. */
const TRIES = 200;
/** What the contract gives between the API server's reply and the question, in milliseconds. */
const GRACE_MS = 50;

let api: TestApiServer;
let source: ResourceSource;
let policy: ControllerProcess;
let namespace: string;
const endings: (() => unknown)[] = [];

beforeAll(async () => {
  api = await startApiServer(secondClusterIndex());
  endings.push(() => api.close());
  ({ source } = api);
  const installation = await install(api);
  const account = await serviceAccountKubeconfig(api, CONTROL_PLANE_NAMESPACE, 'linkerd-destination');
  endings.push(() => account.remove());
  const addresses = ['--grpc-addr=127.0.0.1:0', '--admin-addr=127.0.0.1:0', '--admission-controller-disabled'];
  const args = [...installation.argsOf('linkerd-destination', 'policy'), ...addresses, `--kubeconfig=${account.path}`, '-log-format=json'];
  policy = await startController(args, 'policy-0');
  endings.push(() => policy.stop());
  await vi.waitFor(async () => {
    if (!(await policy.get('/ready')).startsWith('200')) throw new Error('not ready yet');
  }, SOON);
  namespace = `e2e-${randomBytes(4).toString('hex')}`;
  await source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await addNode(source, 'west-1', 'west');
}, 240_000);
afterAll(async () => {
  for (const end of endings.toReversed()) await end();
}, 60_000);

function service(name: string): ResourceInput {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: { ports: [{ port: 80 }] } };
}

function server(name: string, port: number): ResourceInput {
  return {
    apiVersion: 'policy.linkerd.io/v1beta3',
    kind: 'Server',
    metadata: { name, namespace },
    spec: { podSelector: { matchLabels: { app: 'web' } }, port },
  };
}

function route(name: string, parent: string, path: string): ResourceInput {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: parent, port: 80 }],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: path } }], backendRefs: [{ name: parent, port: 80 }] }],
    },
  };
}

function watchAddress(ip: string): ReturnType<typeof policy.stream<typeof outbound.OutboundPolicies.method.watch>> {
  const ipv4 = ip.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);
  return policy.stream(outbound.OutboundPolicies.method.watch, {
    sourceWorkload: JSON.stringify({ ns: namespace, pod: 'client' }),
    target: { case: 'addr', value: { ip: { ip: { case: 'ipv4', value: ipv4 } }, port: 80 } },
  });
}

describe('a stream that begins', () => {
  it('[RT-27] knows a Service that was made 50 ms before, 200 times of 200', async () => {
    const seen: string[] = [];
    for (let i = 0; i < TRIES; i += 1) {
      const { spec } = await source.create(ServiceKind, service(`svc-${i}`));
      await sleep(GRACE_MS);
      const stream = watchAddress(spec?.clusterIP ?? '');
      const first = await Promise.race([
        stream.status.then(({ code }) => `ended with ${code}`),
        vi.waitFor(() => {
          const kind = stream.messages[0]?.metadata?.kind;
          if (kind?.case !== 'resource') throw new Error('no message yet');
          return kind.value.name;
        }, SOON),
      ]);
      stream.cancel();
      if (first !== `svc-${i}`) seen.push(`svc-${i}: ${first}`);
    }
    expect(seen).toEqual([]);
  });

  it('[AZ-22] knows a Server that was made 50 ms before, 200 times of 200', async () => {
    await addPod(source, { namespace, name: 'web-1', ip: '10.202.0.1', node: 'west-1', labels: { app: 'web' } });
    await sleep(1000);
    const seen: string[] = [];
    for (let i = 0; i < TRIES; i += 1) {
      const port = 1000 + i;
      await source.create(ServerKind, server(`srv-${i}`, port));
      await sleep(GRACE_MS);
      const stream = policy.stream(inbound.InboundServerPolicies.method.watchPort, { workload: `${namespace}:web-1`, port });
      await vi.waitFor(() => expect(stream.messages.length).toBeGreaterThan(0), SOON);
      const first = stream.messages[0]?.labels['name'];
      stream.cancel();
      if (first !== `srv-${i}`) seen.push(`srv-${i}: ${first}`);
    }
    expect(seen).toEqual([]);
  });
});

describe('a stream that goes on', () => {
  it('[RT-27] [RT-14] has one message per change of its routes, statuses written on the way, and none for the changes of others', async () => {
    const { spec } = await source.create(ServiceKind, service('web'));
    await source.create(ServiceKind, service('other'));
    await sleep(GRACE_MS);
    const stream = watchAddress(spec?.clusterIP ?? '');
    await vi.waitFor(() => expect(stream.messages).toHaveLength(1), SOON);
    const paths = ['/a', '/b', '/c', '/d', '/e'];
    for (const [i, path] of paths.entries()) {
      await source.apply(HTTPRouteKind, route('r', 'web', path), 'e2e');
      await vi.waitFor(() => expect(stream.messages).toHaveLength(2 + i), SOON);
      await source.apply(HTTPRouteKind, route('of-other', 'other', path), 'e2e');
      await source.patch(ServiceKind, namespace, 'web', { metadata: { labels: { change: String(i) } } }, 'e2e');
    }
    // A change that comes after all of those: whatever they caused has come by now.
    await source.apply(HTTPRouteKind, route('r', 'web', '/last'), 'e2e');
    await vi.waitFor(
      () =>
        expect(
          JSON.stringify(stream.messages.at(-1)?.protocol, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
        ).toContain('/last'),
      SOON,
    );
    expect(stream.messages).toHaveLength(2 + paths.length);
    stream.cancel();
  });
});
