// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { createIndex, createMemorySource, createStore, PodKind, ServiceKind } from './index.ts';
import type { Pod, ResourceInput, StoreEvent } from './index.ts';

const pod = (name: string, labels: Record<string, string> = {}): ResourceInput => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'a', labels },
  spec: { containers: [{ name: 'c' }] },
});

describe('createStore', () => {
  it('holds the initial objects once synced, then follows changes in order', async () => {
    const source = createMemorySource({ objects: [pod('one')] });
    const store = createStore(source, PodKind);
    await store.synced;
    expect([...store.objects.keys()]).toEqual(['a/one']);
    const events: StoreEvent<Pod>[] = [];
    store.onChange((event) => events.push(event));
    await source.create(PodKind, pod('two'));
    await source.patch(PodKind, 'a', 'two', { metadata: { labels: { x: 'y' } } }, 'test');
    await source.delete(PodKind, 'a', 'one');
    expect(events.map((event) => event.type)).toEqual(['added', 'modified', 'deleted']);
    expect(events[1]).toMatchObject({ object: { metadata: { labels: { x: 'y' } } }, previous: { metadata: { labels: {} } } });
    expect([...store.objects.keys()]).toEqual(['a/two']);
    store.close();
    await source.create(PodKind, pod('three'));
    expect(store.get('a', 'three')).toBeUndefined();
  });

  it('drops an object that leaves the selection', async () => {
    const source = createMemorySource({ objects: [pod('one', { app: 'web' })] });
    const store = createStore(source, PodKind, { labels: { app: 'web' } });
    await store.synced;
    await source.patch(PodKind, 'a', 'one', { metadata: { labels: { app: 'db' } } }, 'test');
    expect(store.objects.size).toBe(0);
    await source.patch(PodKind, 'a', 'one', { metadata: { labels: { app: 'web' } } }, 'test');
    expect(store.objects.size).toBe(1);
  });
});

describe('createIndex', () => {
  it('finds objects by a derived key through changes', async () => {
    const source = createMemorySource({ objects: [pod('one', { app: 'web' }), pod('two', { app: 'web' })] });
    const store = createStore(source, PodKind);
    const byApp = createIndex(store, ({ metadata }) => (metadata.labels['app'] === undefined ? [] : [metadata.labels['app']]));
    await store.synced;
    expect([...byApp.get('web')].map(({ metadata }) => metadata.name).sort()).toEqual(['one', 'two']);
    await source.patch(PodKind, 'a', 'one', { metadata: { labels: { app: 'db' } } }, 'test');
    await source.delete(PodKind, 'a', 'two');
    expect([...byApp.keys()]).toEqual(['db']);
  });
});

describe('createMemorySource', () => {
  const directory = new URL('testdata/vectors/control-objects/', import.meta.url);
  it.each(readdirSync(directory))('takes the objects of a real cluster as they were: %s', async (file) => {
    const { items } = JSON.parse(readFileSync(new URL(file, directory), 'utf8')) as { items: ResourceInput[] };
    const source = createMemorySource({ objects: items });
    for (const item of items) {
      const kind = [...source.store.resourceTypes].find((type) => type.kind === item.kind && item.apiVersion.startsWith(type.group));
      expect(kind).toBeDefined();
    }
    const services = await source.list(ServiceKind);
    for (const service of services) {
      const given = items.find(
        ({ kind, metadata }) =>
          kind === 'Service' && metadata.name === service.metadata.name && metadata.namespace === service.metadata.namespace,
      );
      expect({ ...service, metadata: { ...service.metadata, resourceVersion: '' } }).toEqual({
        ...given,
        metadata: { annotations: {}, labels: {}, ...given?.metadata, resourceVersion: '' },
      });
    }
  });
});
