// SPDX-License-Identifier: Apache-2.0
import {
  createMemorySource,
  createRemoteSource,
  EventKind,
  type LocalSource,
  type Pod,
  PodKind,
  ResourceError,
  type ResourceSource,
  serveKubernetesApi,
} from '@weft/resources';
import { Logger } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { needsNewSandbox, REPAIR_LIMITS, RepairController, type RepairLimits } from '../index.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const ended = (exitCode: number): object => ({ terminated: { exitCode } });
const WAITING = { waiting: { reason: 'CrashLoopBackOff' } };
const MESHED = { 'linkerd.io/control-plane-ns': 'linkerd' };

async function makePod(
  source: ResourceSource,
  name: string,
  options: { node?: string; labels?: Record<string, string>; state?: object; lastState?: object } = {},
): Promise<Pod> {
  const pod = await source.create(PodKind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels: options.labels ?? MESHED },
    spec: { nodeName: options.node ?? 'node1', containers: [{ name: 'app', image: 'i' }] },
  });
  return source
    .patchStatus(
      PodKind,
      'shop',
      name,
      {
        status: {
          initContainerStatuses: [
            {
              name: 'linkerd-network-validator',
              ready: false,
              image: 'i',
              imageID: '',
              restartCount: 1,
              state: options.state ?? WAITING,
              lastState: options.lastState ?? ended(95),
            },
          ],
        },
      },
      'kubelet',
    )
    .then(() => pod);
}

interface Running {
  readonly local: LocalSource;
  readonly controller: RepairController;
  readonly counts: Map<string, number>;
  readonly names: () => Promise<string[]>;
}

/** A controller of node1 over HTTP, as it sees an API server. */
async function start(
  wrap: (source: ResourceSource) => ResourceSource = (source) => source,
  limits: Partial<RepairLimits> = {},
): Promise<Running> {
  const local = createMemorySource();
  const server = await serveKubernetesApi(local, { listen: { host: '127.0.0.1', port: 0 } });
  const remote = createRemoteSource(server.url);
  const counts = new Map<string, number>();
  const count = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const controller = new RepairController({
    source: wrap(remote),
    nodeName: 'node1',
    podName: 'linkerd-cni-abc',
    logger: Logger.silent(),
    metrics: { inc: count, observe: count },
    limits: { ...REPAIR_LIMITS, ...limits },
  });
  cleanups.push(
    () => local.close(),
    () => server.close(),
    () => remote.close(),
    () => controller.close(),
  );
  controller.start();
  await expect.poll(() => controller.isSynced).toBe(true);
  return { local, controller, counts, names: async () => (await local.list(PodKind)).map(({ metadata }) => metadata.name).toSorted() };
}

describe('RepairController', () => {
  it('[NET-11] deletes a pod of its node whose rules were missing, and says so in an event', async () => {
    const { local, counts, names } = await start();
    const pod = await makePod(local, 'raced');
    await expect.poll(names).toEqual([]);
    await expect.poll(() => local.list(EventKind)).toHaveLength(1);
    const [event] = await local.list(EventKind);
    expect(event).toMatchObject({
      reason: 'LinkerdCNINotConfigured',
      action: 'Deleting',
      type: 'Warning',
      involvedObject: { kind: 'Pod', namespace: 'shop', name: 'raced', uid: pod.metadata.uid },
      reportingInstance: 'linkerd-cni-abc',
    });
    await expect
      .poll(() => [...counts.keys()].toSorted())
      .toEqual(['events_publish_latency_seconds', 'pods_delete_latency_seconds', 'pods_deleted']);
  });

  it('[NET-11] leaves every other pod alone', async () => {
    const { local, names } = await start();
    await makePod(local, 'elsewhere', { node: 'node2' });
    await makePod(local, 'unmeshed', { labels: {} });
    await makePod(local, 'fine', { state: ended(0), lastState: {} });
    await makePod(local, 'other-failure', { lastState: ended(1) });
    await makePod(local, 'recovered', { state: ended(0), lastState: ended(95) });
    await makePod(local, 'raced');
    await expect.poll(names).toEqual(['elsewhere', 'fine', 'other-failure', 'recovered', 'unmeshed']);
  });

  it('[NET-11] finds pods that failed before it was there', async () => {
    const local = createMemorySource();
    await makePod(local, 'raced');
    const controller = new RepairController({
      source: local,
      nodeName: 'node1',
      podName: 'p',
      logger: Logger.silent(),
      metrics: { inc: () => undefined, observe: () => undefined },
    });
    cleanups.push(() => local.close());
    controller.start();
    await expect.poll(() => local.list(PodKind)).toEqual([]);
    await controller.close();
  });

  it('[NET-11] counts deletions that fail, and tries again when the pod is reported anew', async () => {
    let failures = 1;
    const { local, counts, names } = await start((source) => ({
      ...source,
      delete: (...args) => (failures-- > 0 ? Promise.reject(new ResourceError('ERR_UNAVAILABLE', 'away')) : source.delete(...args)),
    }));
    await makePod(local, 'raced');
    await expect.poll(() => counts.get('pods_delete_errors')).toBe(1);
    await local.patch(PodKind, 'shop', 'raced', { metadata: { annotations: { again: 'yes' } } }, 'kubelet');
    await expect.poll(names).toEqual([]);
    expect(counts.get('pods_deleted')).toBe(1);
  });

  it('[NET-11] does not wait for ever for an answer', async () => {
    const never = new Promise<never>(() => undefined);
    const { local, counts } = await start((source) => ({ ...source, delete: () => never }), { callTimeoutMs: 10 });
    await makePod(local, 'raced');
    await expect.poll(() => counts.get('pods_delete_timeout')).toBe(1);
  });

  it('[NET-11] counts events that cannot be published', async () => {
    const { local, counts } = await start((source) => ({
      ...source,
      create: () => Promise.reject(new ResourceError('ERR_FORBIDDEN', 'no')),
    }));
    await makePod(local, 'raced');
    await expect.poll(() => counts.get('events_publish_errors')).toBe(1);
  });

  it('[NET-11] counts what its queue has no room for', async () => {
    const gate = Promise.withResolvers<void>();
    const { local, counts, names } = await start(
      (source) => ({ ...source, delete: (...args) => gate.promise.then(() => source.delete(...args)) }),
      { maxQueued: 1 },
    );
    for (const name of ['a', 'b', 'c']) await makePod(local, name);
    // One under way, one in the queue, one too many.
    await expect.poll(() => counts.get('queue_overflow') ?? 0).toBeGreaterThan(0);
    gate.resolve();
    await expect.poll(names).toEqual(['c']);
    await local.patch(PodKind, 'shop', 'c', { metadata: { annotations: { again: 'yes' } } }, 'kubelet');
    await expect.poll(names).toEqual([]);
  });

  it('spares a new pod of the same name', async () => {
    const { local, counts, names } = await start((source) => ({
      ...source,
      delete: async (...args) => {
        await local.delete(PodKind, 'shop', 'web-0');
        await makePod(local, 'web-0', { lastState: {} });
        return source.delete(...args);
      },
    }));
    await makePod(local, 'web-0');
    await expect.poll(async () => (await local.list(PodKind))[0]?.status?.initContainerStatuses?.[0]?.lastState).toEqual({});
    expect(await names()).toEqual(['web-0']);
    expect(counts.get('pods_deleted')).toBeUndefined();
  });
});

describe('needsNewSandbox', () => {
  const pod = (status: object, metadata: object = {}): Pod =>
    ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', labels: {}, annotations: {}, ...metadata }, status }) as never;
  const validator = (fields: object): object => ({ initContainerStatuses: [{ name: 'linkerd-network-validator', ...fields }] });
  const cases: [string, Pod, boolean][] = [
    ['ended with 95', pod(validator({ state: ended(95) })), true],
    ['waits after an end with 95', pod(validator({ state: WAITING, lastState: ended(95) })), true],
    ['runs after an end with 95', pod(validator({ state: { running: {} }, lastState: ended(95) })), true],
    ['succeeded after an end with 95', pod(validator({ state: ended(0), lastState: ended(95) })), false],
    ['ended with another code', pod(validator({ state: ended(1) })), false],
    ['is being deleted', pod(validator({ state: ended(95) }), { deletionTimestamp: '2026-01-01T00:00:00Z' }), false],
    ['has no validator', pod({ initContainerStatuses: [{ name: 'other', state: ended(95) }] }), false],
    ['has no status', pod({}), false],
    ['has a status of another shape', pod(validator({ state: { terminated: 95 }, lastState: 95 })), false],
  ];
  it.each(cases)('[NET-11] a pod whose validator %s', (_name, subject, expected) => {
    expect(needsNewSandbox(subject)).toBe(expected);
  });
});
