// SPDX-License-Identifier: Apache-2.0
/*
 * A cluster of which a test says everything: objects from memory over a real HTTP API, and pods whose ports lead to what the test listens
 * with.
 */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Container, createMemorySource, type LocalSource, type ResourceInput, serveKubernetesApi } from '@weft/resources';
import { createApiReader } from '../kube/api-reader.ts';
import type { Cluster } from '../kube/cluster.ts';

/** A cluster for a test. */
export interface FakeCluster extends Cluster {
  readonly world: LocalSource;
  /** Makes a port of a pod lead to a loopback port. */
  lead(namespace: string, pod: string, port: number, loopbackPort: number): void;
  /** Serves HTTP on a port of a pod. */
  serve(namespace: string, pod: string, port: number, listener: RequestListener): Promise<void>;
  readonly forwards: readonly string[];
  end(): Promise<void>;
}

/** Starts one with these objects. */
export async function startFakeCluster(objects: readonly ResourceInput[]): Promise<FakeCluster> {
  const world = createMemorySource({ objects });
  const api = await serveKubernetesApi(world, { listen: { host: '127.0.0.1', port: 0 } });
  const ports = new Map<string, number>();
  const forwards: string[] = [];
  const closers: (() => void)[] = [];
  const reader = createApiReader(async ({ method, path, body }) => {
    const response = await fetch(`${api.url}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return { status: response.status, body: await response.text() };
  });
  return {
    ...reader,
    world,
    serverUrl: api.url,
    defaultNamespace: 'shop',
    forwards,
    lead: (namespace, pod, port, loopbackPort) => void ports.set(`${namespace}/${pod}:${port}`, loopbackPort),
    async serve(namespace, pod, port, listener) {
      const server = createServer(listener);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      closers.push(() => {
        server.close();
        server.closeAllConnections();
      });
      ports.set(`${namespace}/${pod}:${port}`, (server.address() as AddressInfo).port);
    },
    portForward: (namespace, pod, port) => {
      const key = `${namespace}/${pod}:${port}`;
      forwards.push(key);
      // Nobody listens on port 1 of the loopback, as nobody does in a pod that a test says nothing of.
      return Promise.resolve({ host: '127.0.0.1', port: ports.get(key) ?? 1, close: () => undefined });
    },
    close: () => undefined,
    end: async () => {
      for (const close of closers) close();
      await api.close();
      await world.close();
    },
  };
}

/** The proxy's container, as far as anything looks at it. */
const FAKE_PROXY: Container = {
  name: 'linkerd-proxy',
  image: 'proxy:1',
  env: ['INBOUND:4143', 'ADMIN:4191', 'CONTROL:4190'].map((listener) => {
    const [name, port] = listener.split(':');
    return { name: `LINKERD2_PROXY_${name}_LISTEN_ADDR`, value: `0.0.0.0:${port}` };
  }),
};

/** A pod, meshed unless told. */
export function fakePod(
  namespace: string,
  name: string,
  options: { readonly owner?: { readonly kind: string; readonly name: string }; readonly isMeshed?: boolean; readonly account?: string } = {},
): ResourceInput {
  const { owner, isMeshed = true, account = 'default' } = options;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: isMeshed ? { 'linkerd.io/control-plane-ns': 'linkerd' } : {},
      ...(owner === undefined ? {} : { ownerReferences: [ownerReference(owner)] }),
    },
    spec: {
      serviceAccountName: account,
      containers: [{ name: 'app', image: 'app' }, ...(isMeshed ? [FAKE_PROXY] : [])],
    },
    status: { phase: 'Running' },
  };
}

/** A ReplicaSet of a Deployment. */
export function fakeReplicaSet(namespace: string, name: string, deployment: string): ResourceInput {
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace, ownerReferences: [ownerReference({ kind: 'Deployment', name: deployment })] },
    spec: { selector: { matchLabels: { app: deployment } }, template: { metadata: { labels: { app: deployment } }, spec: { containers: [{ name: 'app', image: 'app' }] } } },
  };
}

function ownerReference({ kind, name }: { readonly kind: string; readonly name: string }): {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller: true;
} {
  return { apiVersion: 'apps/v1', kind, name, uid: `uid-${name}`, controller: true };
}
