// SPDX-License-Identifier: Apache-2.0
/*
 * The Kubernetes source against a real API server: the suite that every source of resources passes, and what only a real server can show
 * (design §2): its own 410, its paging, its metadata-only answers, projected tokens, its absence.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  ConfigMapKind,
  createKubernetesSource,
  EgressNetworkKind,
  inClusterConnection,
  metadataOnly,
  NamespaceKind,
  PodKind,
  SecretKind,
  type Resource,
  type ResourceInput,
  type ResourceKind,
  type ResourceSource,
  type WatchEvent,
} from '@weft/resources';
import { describeResourceSource } from '@weft/resources/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import { startApiServer, type TestApiServer } from './control-plane/api-server.ts';
import { Meddler } from './control-plane/meddler.ts';
import { secondClusterIndex } from './shared-cluster.ts';

let api: TestApiServer;
beforeAll(async () => {
  api = await startApiServer(secondClusterIndex());
}, 120_000);
afterAll(() => api.close(), 60_000);

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const unique = (): string => `e2e-${randomBytes(4).toString('hex')}`;

describeResourceSource('a real API server', async () => ({
  source: api.connect({ pageSize: 2 }),
  namespacePrefix: unique(),
  close: () => Promise.resolve(),
}));

describeResourceSource('a real API server behind a connection that is cut', async () => {
  const meddler = await Meddler.start(api.connection);
  return {
    source: createKubernetesSource({ baseUrl: meddler.url, minBackoffMs: 1 }),
    namespacePrefix: unique(),
    close: () => meddler.close(),
    disconnect: () => meddler.cut(),
    forget: () => meddler.forget(),
  };
});

describe('the Kubernetes source against a real API server', () => {
  it('reads its answer 410 as a reason to list again, once', async () => {
    const { meddler, source, namespace } = await behindMeddler();
    // A custom kind: the server's memory of it begins with its definition, so a version from long ago is one that it has forgotten.
    for (const name of ['kept', 'gone']) await api.source.create(EgressNetworkKind, egressNetwork(namespace, name));
    const watch = watching(source, EgressNetworkKind, namespace);
    await watch.until(['added gone', 'added kept', 'synced']);
    meddler.forget();
    meddler.cut();
    await api.source.delete(EgressNetworkKind, namespace, 'gone');
    await watch.until(['added gone', 'added kept', 'deleted gone', 'synced']);
    const lists = meddler.requests.filter((line) => line.includes('/egressnetworks') && !line.includes('watch=true'));
    expect(lists.length).toBe(2);
  });

  it('takes up where it was when the server is away and comes back', async () => {
    const { meddler, source, namespace } = await behindMeddler();
    await api.source.create(ConfigMapKind, configMap(namespace, 'before'));
    const watch = watching(source, ConfigMapKind, namespace);
    await watch.until(['added before', 'added kube-root-ca.crt', 'synced']);
    await meddler.away();
    await expect(source.get(ConfigMapKind, namespace, 'before')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    await api.source.create(ConfigMapKind, configMap(namespace, 'during'));
    await api.source.delete(ConfigMapKind, namespace, 'before');
    await meddler.back();
    await watch.until(['added before', 'added during', 'added kube-root-ca.crt', 'deleted before', 'synced']);
  });

  it('waits as long as the server asks, then makes the call', async () => {
    const { meddler, source, namespace } = await behindMeddler();
    meddler.refusals.push({ status: 429, headers: { 'retry-after': '1' } }, { status: 429, headers: { 'retry-after': '0' } });
    await source.create(ConfigMapKind, configMap(namespace, 'c'));
    expect(meddler.requests.filter((line) => line.startsWith('POST'))).toHaveLength(3);
  });

  it('reads metadata only where that is enough', async () => {
    const namespace = await makeNamespace();
    const data = { big: 'x'.repeat(100_000) };
    await api.source.create(ConfigMapKind, { ...configMap(namespace, 'c'), metadata: { name: 'c', namespace, labels: { a: 'b' } }, data });
    const listed = await api.source.list(metadataOnly(ConfigMapKind), { namespace, name: 'c' });
    expect(listed).toMatchObject([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', labels: { a: 'b' } } }]);
    expect(listed[0]).not.toHaveProperty('data');
    const events: WatchEvent<Resource>[] = [];
    const watch = api.source.watch(metadataOnly(ConfigMapKind), { namespace, name: 'c' }, (event) => events.push(event));
    cleanups.push(async () => watch.close());
    await vi.waitFor(() => expect(events).toHaveLength(2));
    await api.source.patch(ConfigMapKind, namespace, 'c', { data: { small: 'y' } }, 'e2e');
    await vi.waitFor(() => expect(events).toHaveLength(3));
    expect(events[2]).toMatchObject({ type: 'modified', object: { kind: 'ConfigMap', metadata: { name: 'c' } } });
    expect(events.every((event) => event.type === 'synced' || event.object['data'] === undefined)).toBe(true);
  });

  it('lists in pages what takes many, each object once', async () => {
    const { meddler, source, namespace } = await behindMeddler(7);
    await Promise.all(Array.from({ length: 40 }, (_, index) => api.source.create(ConfigMapKind, configMap(namespace, `c-${index}`))));
    const names = (await source.list(ConfigMapKind, { namespace })).map(({ metadata }) => metadata.name);
    expect(new Set(names).size).toBe(41);
    expect(names).toHaveLength(41);
    expect(meddler.requests.filter((line) => line.includes('/configmaps')).length).toBe(6);
  });
});

describe("a pod's own credentials", () => {
  it('let it in, are read again after a refusal, and carry the rights of its account', async () => {
    const namespace = await makeNamespace();
    const directory = await mkdtemp(join(tmpdir(), 'weft-e2e-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const tls = typeof api.connection.tls === 'function' ? await api.connection.tls() : api.connection.tls;
    const write = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);
    await vi.waitFor(async () => expect(await tokenOf(namespace)).not.toBe(''), 10_000);
    await write('ca.crt', String(tls?.ca));
    await write('token', 'not a token');
    const { hostname, port } = new URL(api.connection.baseUrl);
    const connection = await inClusterConnection({ KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port }, directory);
    if (connection === undefined) throw new Error('no connection');
    const source = createKubernetesSource(connection);
    cleanups.push(() => source.close());
    await expect(source.supports(PodKind)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN', status: 401 });
    // What the kubelet does when a token ages; the client must not need a minute to see it.
    await write('token', await tokenOf(namespace));
    expect(await source.supports(PodKind)).toBe(true);
    await expect(source.list(SecretKind, { namespace })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN', status: 403 });
  });

  it('are taken from the new CA where the old one does not fit', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'weft-e2e-'));
    cleanups.push(() => rm(directory, { recursive: true }));
    const tls = typeof api.connection.tls === 'function' ? await api.connection.tls() : api.connection.tls;
    let ca: string | undefined;
    const source = api.connect({ tls: async () => ({ ...tls, ...(ca === undefined ? { ca: [] as never } : { ca }) }) });
    cleanups.push(() => source.close());
    await expect(source.supports(PodKind)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    ca = String(tls?.ca);
    expect(await source.supports(PodKind)).toBe(true);
  });

  async function tokenOf(namespace: string): Promise<string> {
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: { name: '' },
      spec: { audiences: [], expirationSeconds: 600 },
    };
    const kind = { group: '', version: 'v1', kind: 'TokenRequest', plural: 'serviceaccounts/default/token', isNamespaced: true };
    const answer = await api.source.create(kind, { ...request, metadata: { name: 'default', namespace } });
    return (answer.status as { readonly token?: string } | undefined)?.token ?? '';
  }
});

function configMap(namespace: string, name: string): ResourceInput {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: {} };
}

function egressNetwork(namespace: string, name: string): ResourceInput {
  return {
    apiVersion: 'policy.linkerd.io/v1alpha1',
    kind: 'EgressNetwork',
    metadata: { name, namespace },
    spec: { trafficPolicy: 'Allow' },
  };
}

async function makeNamespace(): Promise<string> {
  const name = unique();
  await api.source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  cleanups.push(() => api.source.delete(NamespaceKind, '', name));
  // The controller manager puts the cluster's CA into each; then nothing more comes by itself.
  await vi.waitFor(() => api.source.get(ConfigMapKind, name, 'kube-root-ca.crt'), 10_000);
  return name;
}

async function behindMeddler(pageSize = 500): Promise<{ meddler: Meddler; source: ResourceSource; namespace: string }> {
  const namespace = await makeNamespace();
  const meddler = await Meddler.start(api.connection);
  cleanups.push(() => meddler.close());
  const source = createKubernetesSource({ baseUrl: meddler.url, minBackoffMs: 1, pageSize });
  cleanups.push(() => source.close());
  return { meddler, source, namespace };
}

/** The events of a watch, sorted: their order over different objects is not promised. */
function watching(source: ResourceSource, kind: ResourceKind, namespace: string): { until(lines: readonly string[]): Promise<void> } {
  const lines: string[] = [];
  const watch = source.watch(kind, { namespace }, (event) => {
    lines.push(event.type === 'synced' ? 'synced' : `${event.type} ${event.object.metadata.name}`);
  });
  cleanups.push(async () => watch.close());
  return { until: (expected) => vi.waitFor(() => expect(lines.toSorted()).toEqual([...expected].toSorted()), 10_000) };
}
