// SPDX-License-Identifier: Apache-2.0
/*
 * What every source of resources must do, as one suite: it runs against the memory source, the directory source, the Kubernetes client
 * over the HTTP face, and wherever there is one a real API server, so that no component can tell them apart. The suite makes objects of
 * kinds that all of them serve, in namespaces of its own.
 */
import { afterEach, describe, expect, it } from 'vitest';

import { isResourceError } from './errors.ts';
import { ConfigMapKind, NamespaceKind, ServiceKind } from './kinds/core.ts';
import { metadataOnly } from './kinds/meta.ts';
import { EgressNetworkKind, ServerKind } from './kinds/policy.ts';
import { PolicyHTTPRouteKind } from './kinds/routes.ts';
import { LeaseKind } from './kinds/workloads.ts';
import type { EgressNetwork } from './kinds/policy.ts';
import type { Resource, ResourceErrorCode, ResourceInput, ResourceKind, ResourceSource, Selector, WatchEvent } from './types.ts';

/** A source under test. */
export interface ConformanceSubject {
  readonly source: ResourceSource;
  /** Begins the names of the namespaces that the suite makes, where they must differ from those of earlier runs. Default `conformance`. */
  readonly namespacePrefix?: string;
  /** Ends what the subject holds besides the source. */
  close(): Promise<void>;
  /** Cuts the connections behind open watches, where there are any. */
  disconnect?: () => void;
  /** Makes the server forget past changes, so that a watch that resumes is refused (410 Gone). Goes with `disconnect`. */
  forget?: () => void;
}

/** Events of a watch, in order, and a way to wait for them. */
class Recorder {
  readonly events: WatchEvent<Resource>[] = [];
  private waiting: (() => void) | undefined;

  take(event: WatchEvent<Resource>): void {
    this.events.push(event);
    this.waiting?.();
  }

  /** As `type name`; `synced` for the mark. */
  get lines(): string[] {
    return this.events.map((event) => (event.type === 'synced' ? 'synced' : `${event.type} ${event.object.metadata.name}`));
  }

  async until(count: number): Promise<string[]> {
    while (this.events.length < count) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.waiting = resolve;
      await promise;
    }
    return this.lines;
  }
}

const UNKNOWN_KIND: ResourceKind = { group: 'example.com', version: 'v1', kind: 'Unknown', plural: 'unknowns', isNamespaced: true };

const network = (namespace: string, name: string, labels: Record<string, string> = {}, trafficPolicy = 'Allow'): ResourceInput => ({
  apiVersion: 'policy.linkerd.io/v1alpha1',
  kind: 'EgressNetwork',
  metadata: { name, namespace, labels },
  spec: { trafficPolicy },
});

const configMap = (namespace: string, name: string, data: Record<string, unknown>): ResourceInput => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace },
  data,
});

async function codeOf(attempt: Promise<unknown>): Promise<ResourceErrorCode | undefined> {
  try {
    await attempt;
    return undefined;
  } catch (error) {
    if (!isResourceError(error)) throw error;
    return error.code;
  }
}

/** Declares the suite under `name`; `open` makes a fresh subject, whose store must know the custom kinds with their schemas. */
export function describeResourceSource(name: string, open: () => Promise<ConformanceSubject>): void {
  describe(`${name} as a source of resources`, () => {
    let cleanups: (() => Promise<void>)[] = [];
    let spaces = 0;

    afterEach(async () => {
      for (const cleanup of cleanups.reverse()) await cleanup();
      cleanups = [];
    });

    async function subject(): Promise<ConformanceSubject & { readonly namespace: string }> {
      const opened = await open();
      spaces += 1;
      const namespace = `${opened.namespacePrefix ?? 'conformance'}-${spaces}`;
      await opened.source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
      cleanups.push(async () => {
        await opened.source.delete(NamespaceKind, '', namespace);
        await opened.source.close();
        await opened.close();
      });
      return { ...opened, namespace };
    }

    function record<R extends Resource>(source: ResourceSource, kind: ResourceKind<R>, selector: Selector): Recorder {
      const recorder = new Recorder();
      const watch = source.watch(kind, selector, (event) => recorder.take(event as WatchEvent<Resource>));
      cleanups.push(async () => watch.close());
      return recorder;
    }

    describe('reading', () => {
      it('gives back what was created, with uid, version, age and generation', async () => {
        const { source, namespace } = await subject();
        const created = await source.create(EgressNetworkKind, network(namespace, 'n', { a: 'b' }));
        expect(created).toMatchObject({
          apiVersion: 'policy.linkerd.io/v1alpha1',
          kind: 'EgressNetwork',
          metadata: { name: 'n', namespace, labels: { a: 'b' }, annotations: {}, generation: 1 },
          spec: { trafficPolicy: 'Allow' },
        });
        expect(created.metadata.uid).not.toBe('');
        expect(created.metadata.resourceVersion).not.toBe('');
        expect(created.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        expect(await source.get(EgressNetworkKind, namespace, 'n')).toEqual(created);
      });

      it('labels a namespace with its name', async () => {
        const { source, namespace } = await subject();
        const { metadata } = await source.get(NamespaceKind, '', namespace);
        expect(metadata).toMatchObject({ namespace: '', labels: { 'kubernetes.io/metadata.name': namespace } });
      });

      it('lists by namespace, label and name', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'one', { app: 'web', tier: 'front' }));
        await source.create(EgressNetworkKind, network(namespace, 'two', { app: 'web' }));
        await source.create(EgressNetworkKind, network(namespace, 'three', { app: 'db' }));
        const names = async (selector: Selector): Promise<string[]> =>
          (await source.list(EgressNetworkKind, selector)).map(({ metadata }) => metadata.name).sort();
        expect(await names({ namespace })).toEqual(['one', 'three', 'two']);
        expect(await names({ namespace, labels: { app: 'web' } })).toEqual(['one', 'two']);
        expect(await names({ namespace, labels: { app: 'web', tier: 'front' } })).toEqual(['one']);
        expect(await names({ namespace, name: 'three' })).toEqual(['three']);
        expect(await names({ namespace, hasLabels: ['tier'] })).toEqual(['one']);
        expect(await names({ namespace, hasLabels: ['app', 'tier'], labels: { app: 'db' } })).toEqual([]);
        expect(await names({ labels: { app: 'db' } })).toContain('three');
        expect(await names({ namespace: 'conformance-no-such' })).toEqual([]);
      });

      it('lists objects that carry their kind', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        const [listed] = await source.list(EgressNetworkKind, { namespace });
        expect(listed).toEqual(await source.get(EgressNetworkKind, namespace, 'n'));
      });

      it('says what is not there', async () => {
        const { source, namespace } = await subject();
        expect(await codeOf(source.get(EgressNetworkKind, namespace, 'none'))).toBe('ERR_NOT_FOUND');
        expect(await codeOf(source.list(UNKNOWN_KIND))).toBe('ERR_NOT_FOUND');
        expect(await source.supports(UNKNOWN_KIND)).toBe(false);
        expect(await source.supports({ ...EgressNetworkKind, version: 'v9' })).toBe(false);
        expect(await source.supports(EgressNetworkKind)).toBe(true);
        expect(await source.supports(ServiceKind)).toBe(true);
      });
    });

    describe('creating', () => {
      it('refuses a name that is taken, and an object that breaks the rules of its kind', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        expect(await codeOf(source.create(EgressNetworkKind, network(namespace, 'n')))).toBe('ERR_ALREADY_EXISTS');
        expect(await codeOf(source.create(EgressNetworkKind, network(namespace, 'Upper')))).toBe('ERR_INVALID');
        expect(await codeOf(source.create(EgressNetworkKind, network(namespace, 'm', {}, 'Maybe')))).toBe('ERR_INVALID');
        expect(await codeOf(source.create(EgressNetworkKind, network(namespace, 'm', { 'bad label': 'x' })))).toBe('ERR_INVALID');
      });

      it('defaults and prunes by the schema', async () => {
        const { source, namespace } = await subject();
        const created = await source.create(ServerKind, {
          apiVersion: 'policy.linkerd.io/v1beta3',
          kind: 'Server',
          metadata: { name: 's', namespace },
          spec: { podSelector: {}, port: 80, unknown: { field: 1 } },
        });
        expect(created.spec).toEqual({ podSelector: {}, port: 80, proxyProtocol: 'unknown', accessPolicy: 'deny' });
      });

      it('does not take a status', async () => {
        const { source, namespace } = await subject();
        const created = await source.create(EgressNetworkKind, { ...network(namespace, 'n'), status: { conditions: [] } });
        expect(created.status).toBeUndefined();
      });
    });

    describe('updating', () => {
      it('replaces the object and keeps uid and age', async () => {
        const { source, namespace } = await subject();
        const first = await source.create(ConfigMapKind, configMap(namespace, 'c', { a: '1', b: '2' }));
        const second = await source.update(ConfigMapKind, configMap(namespace, 'c', { a: '3' }));
        expect(second['data']).toEqual({ a: '3' });
        expect(second.metadata.uid).toBe(first.metadata.uid);
        expect(second.metadata.creationTimestamp).toBe(first.metadata.creationTimestamp);
        expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
      });

      it('refuses a version that is not the last, and takes the one that is', async () => {
        const { source, namespace } = await subject();
        const { metadata } = await source.create(ConfigMapKind, configMap(namespace, 'c', { a: '1' }));
        const at = (resourceVersion: string): ResourceInput => {
          const input = configMap(namespace, 'c', { a: resourceVersion });
          return { ...input, metadata: { ...input.metadata, resourceVersion } };
        };
        const next = await source.update(ConfigMapKind, at(metadata.resourceVersion));
        expect(await codeOf(source.update(ConfigMapKind, at(metadata.resourceVersion)))).toBe('ERR_CONFLICT');
        expect(await codeOf(source.update(ConfigMapKind, at(next.metadata.resourceVersion)))).toBeUndefined();
      });

      it('makes no new version of an object that stays the same', async () => {
        const { source, namespace } = await subject();
        const first = await source.create(ConfigMapKind, configMap(namespace, 'c', { a: '1' }));
        const second = await source.update(ConfigMapKind, configMap(namespace, 'c', { a: '1' }));
        expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
      });

      it('of a custom kind or a Lease must name the version that it replaces', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        expect(await codeOf(source.update(EgressNetworkKind, network(namespace, 'n', {}, 'Deny')))).toBe('ERR_INVALID');
        const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l', namespace }, spec: {} };
        await source.create(LeaseKind, lease);
        expect(await codeOf(source.update(LeaseKind, { ...lease, spec: { holderIdentity: 'h' } }))).toBe('ERR_INVALID');
      });

      it('refuses what is not there', async () => {
        const { source, namespace } = await subject();
        expect(await codeOf(source.update(ConfigMapKind, configMap(namespace, 'none', {})))).toBe('ERR_NOT_FOUND');
        expect(await codeOf(source.patch(ConfigMapKind, namespace, 'none', { data: {} }, 'test'))).toBe('ERR_NOT_FOUND');
      });
    });

    describe('a merge patch', () => {
      it('merges objects, replaces all else and deletes by null', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, {
          ...network(namespace, 'n', { keep: 'x', drop: 'y' }),
          spec: { trafficPolicy: 'Deny', networks: [{ cidr: '10.0.0.0/8' }, { cidr: 'fd00::/8' }] },
        });
        const patched = await source.patch(
          EgressNetworkKind,
          namespace,
          'n',
          { metadata: { labels: { drop: null, more: 'z' } }, spec: { networks: [{ cidr: '192.0.2.0/24' }] } },
          'test',
        );
        expect(patched.metadata.labels).toEqual({ keep: 'x', more: 'z' });
        expect(patched.spec).toEqual({ trafficPolicy: 'Deny', networks: [{ cidr: '192.0.2.0/24' }] });
        expect((await source.patch(EgressNetworkKind, namespace, 'n', { spec: { networks: null } }, 'test')).spec).toEqual({
          trafficPolicy: 'Deny',
        });
      });

      it('is refused when its result breaks the schema, and changes nothing', async () => {
        const { source, namespace } = await subject();
        const before = await source.create(EgressNetworkKind, network(namespace, 'n'));
        expect(await codeOf(source.patch(EgressNetworkKind, namespace, 'n', { spec: { trafficPolicy: null } }, 'test'))).toBe(
          'ERR_INVALID',
        );
        expect(await source.get(EgressNetworkKind, namespace, 'n')).toEqual(before);
      });

      it('is refused for a stale version', async () => {
        const { source, namespace } = await subject();
        const { metadata } = await source.create(EgressNetworkKind, network(namespace, 'n'));
        await source.patch(EgressNetworkKind, namespace, 'n', { spec: { trafficPolicy: 'Deny' } }, 'test');
        const stale = { metadata: { resourceVersion: metadata.resourceVersion }, spec: { trafficPolicy: 'Allow' } };
        expect(await codeOf(source.patch(EgressNetworkKind, namespace, 'n', stale, 'test'))).toBe('ERR_CONFLICT');
      });
    });

    describe('status', () => {
      const condition = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
      const change = async (source: ResourceSource, namespace: string, patch: Record<string, unknown>): Promise<EgressNetwork> =>
        source.patchStatus(EgressNetworkKind, namespace, 'n', patch, 'test');

      it('changes by its own patch only, and that patch changes nothing else', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        const patched = await change(source, namespace, { status: { conditions: [condition] }, spec: { trafficPolicy: 'Deny' } });
        expect(patched.status).toEqual({ conditions: [condition] });
        expect(patched.spec).toEqual({ trafficPolicy: 'Allow' });
        const again = await source.patch(
          EgressNetworkKind,
          namespace,
          'n',
          { spec: { trafficPolicy: 'Deny' }, status: { conditions: [] } },
          'test',
        );
        expect(again.spec).toEqual({ trafficPolicy: 'Deny' });
        expect(again.status).toEqual({ conditions: [condition] });
        const next = network(namespace, 'n');
        const { resourceVersion } = again.metadata;
        const replaced = await source.update(EgressNetworkKind, { ...next, metadata: { ...next.metadata, resourceVersion } });
        expect(replaced.status).toEqual({ conditions: [condition] });
      });

      it('does not count in the generation, as the spec does', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        const generations = [
          await change(source, namespace, { status: { conditions: [condition] } }),
          await source.patch(EgressNetworkKind, namespace, 'n', { metadata: { labels: { a: 'b' } } }, 'test'),
          await source.patch(EgressNetworkKind, namespace, 'n', { spec: { trafficPolicy: 'Deny' } }, 'test'),
          await source.patch(EgressNetworkKind, namespace, 'n', { spec: { trafficPolicy: 'Deny' } }, 'test'),
        ].map(({ metadata }) => metadata.generation);
        expect(generations).toEqual([1, 1, 2, 2]);
      });

      it('is checked by the schema, and deleted by null', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        expect(await codeOf(change(source, namespace, { status: { conditions: [{ ...condition, status: 'Maybe' }] } }))).toBe(
          'ERR_INVALID',
        );
        await change(source, namespace, { status: { conditions: [condition] } });
        expect((await change(source, namespace, { status: { conditions: null } })).status).toEqual({});
      });

      it('of a route may list no parents', async () => {
        const { source, namespace } = await subject();
        await source.create(PolicyHTTPRouteKind, {
          apiVersion: 'policy.linkerd.io/v1beta3',
          kind: 'HTTPRoute',
          metadata: { name: 'r', namespace },
          spec: { parentRefs: [{ name: 's', kind: 'Server' }], rules: [{}] },
        });
        expect((await source.patchStatus(PolicyHTTPRouteKind, namespace, 'r', { status: { parents: [] } }, 'test')).status).toEqual({
          parents: [],
        });
      });

      it('is not a subresource of every kind', async () => {
        const { source, namespace } = await subject();
        await source.create(ConfigMapKind, configMap(namespace, 'c', {}));
        expect(await codeOf(source.patchStatus(ConfigMapKind, namespace, 'c', { status: {} }, 'test'))).toBe('ERR_NOT_FOUND');
      });
    });

    describe('an apply', () => {
      it('creates what is missing, and merges into what is there', async () => {
        const { source, namespace } = await subject();
        await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '1' }), 'one');
        const merged = await source.apply(ConfigMapKind, configMap(namespace, 'c', { b: '2' }), 'two');
        expect(merged['data']).toEqual({ a: '1', b: '2' });
      });

      it('removes what its manager applied before and does not any more, unless another applied it too', async () => {
        const { source, namespace } = await subject();
        await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '1', b: '2', c: '3' }), 'one');
        await source.apply(ConfigMapKind, configMap(namespace, 'c', { b: '2' }), 'two');
        const reduced = await source.apply(ConfigMapKind, configMap(namespace, 'c', { c: '3' }), 'one');
        expect(reduced['data']).toEqual({ b: '2', c: '3' });
      });

      it('leaves alone what others have patched since', async () => {
        const { source, namespace } = await subject();
        await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '1', b: '2' }), 'one');
        await source.patch(ConfigMapKind, namespace, 'c', { data: { b: '3', d: '4' } }, 'two');
        const reduced = await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '1' }), 'one');
        expect(reduced['data']).toEqual({ a: '1', b: '3', d: '4' });
      });

      it('takes a field over from another manager', async () => {
        const { source, namespace } = await subject();
        await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '1' }), 'one');
        expect((await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '2' }), 'two'))['data']).toEqual({ a: '2' });
      });

      it('makes no new version when nothing changes', async () => {
        const { source, namespace } = await subject();
        const first = await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '1' }), 'one');
        const second = await source.apply(ConfigMapKind, configMap(namespace, 'c', { a: '1' }), 'one');
        expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
      });
    });

    describe('deleting', () => {
      it('removes the object; a new one of the name is another', async () => {
        const { source, namespace } = await subject();
        const first = await source.create(ConfigMapKind, configMap(namespace, 'c', {}));
        await source.delete(ConfigMapKind, namespace, 'c');
        expect(await codeOf(source.get(ConfigMapKind, namespace, 'c'))).toBe('ERR_NOT_FOUND');
        expect(await codeOf(source.delete(ConfigMapKind, namespace, 'c'))).toBe('ERR_NOT_FOUND');
        const second = await source.create(ConfigMapKind, configMap(namespace, 'c', {}));
        expect(second.metadata.uid).not.toBe(first.metadata.uid);
      });

      it('spares a new object of the name when the old one is meant', async () => {
        const { source, namespace } = await subject();
        const old = await source.create(ConfigMapKind, configMap(namespace, 'c', {}));
        await source.delete(ConfigMapKind, namespace, 'c', { uid: old.metadata.uid });
        const { metadata } = await source.create(ConfigMapKind, configMap(namespace, 'c', {}));
        expect(await codeOf(source.delete(ConfigMapKind, namespace, 'c', { uid: old.metadata.uid }))).toBe('ERR_CONFLICT');
        expect((await source.get(ConfigMapKind, namespace, 'c')).metadata.uid).toBe(metadata.uid);
      });
    });

    describe('a watch', () => {
      it('tells the initial objects, the end of them, then changes in order', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'one'));
        const recorder = record(source, EgressNetworkKind, { namespace });
        expect(await recorder.until(2)).toEqual(['added one', 'synced']);
        await source.create(EgressNetworkKind, network(namespace, 'two'));
        await source.patch(EgressNetworkKind, namespace, 'one', { spec: { trafficPolicy: 'Deny' } }, 'test');
        await source.patchStatus(EgressNetworkKind, namespace, 'one', { status: { conditions: [] } }, 'test');
        await source.delete(EgressNetworkKind, namespace, 'one');
        expect((await recorder.until(6)).slice(2)).toEqual(['added two', 'modified one', 'modified one', 'deleted one']);
        expect(recorder.events[5]).toMatchObject({ object: { spec: { trafficPolicy: 'Deny' }, status: { conditions: [] } } });
        expect(recorder.events[2]).toEqual({ type: 'added', object: await source.get(EgressNetworkKind, namespace, 'two') });
      });

      it('says synced where there is nothing', async () => {
        const { source, namespace } = await subject();
        expect(await record(source, EgressNetworkKind, { namespace }).until(1)).toEqual(['synced']);
      });

      it('sees an object enter and leave its labels as added and deleted', async () => {
        const { source, namespace } = await subject();
        const recorder = record(source, EgressNetworkKind, { namespace, labels: { app: 'web' } });
        await recorder.until(1);
        await source.create(EgressNetworkKind, network(namespace, 'n', { app: 'db' }));
        await source.patch(EgressNetworkKind, namespace, 'n', { metadata: { labels: { app: 'web' } } }, 'test');
        await source.patch(EgressNetworkKind, namespace, 'n', { spec: { trafficPolicy: 'Deny' } }, 'test');
        await source.patch(EgressNetworkKind, namespace, 'n', { metadata: { labels: { app: 'db' } } }, 'test');
        expect(await recorder.until(4)).toEqual(['synced', 'added n', 'modified n', 'deleted n']);
      });

      it('sees an object get and lose a label as added and deleted', async () => {
        const { source, namespace } = await subject();
        const recorder = record(source, EgressNetworkKind, { namespace, hasLabels: ['example.com/meshed'] });
        await recorder.until(1);
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        for (const label of ['one', 'two', null]) {
          await source.patch(EgressNetworkKind, namespace, 'n', { metadata: { labels: { 'example.com/meshed': label } } }, 'test');
        }
        expect(await recorder.until(4)).toEqual(['synced', 'added n', 'modified n', 'deleted n']);
      });

      it('of metadata tells of every object, with its metadata', async () => {
        const { source, namespace } = await subject();
        const kind = metadataOnly(EgressNetworkKind);
        await source.create(EgressNetworkKind, network(namespace, 'n', { a: 'b' }));
        const recorder = record(source, kind, { namespace });
        await recorder.until(2);
        await source.patch(EgressNetworkKind, namespace, 'n', { metadata: { labels: { a: 'c' } } }, 'test');
        expect(await recorder.until(3)).toEqual(['added n', 'synced', 'modified n']);
        const [listed] = await source.list(kind, { namespace });
        expect(recorder.events[2]).toMatchObject({ object: { kind: 'EgressNetwork', metadata: listed?.metadata } });
        expect(listed?.metadata).toEqual((await source.get(EgressNetworkKind, namespace, 'n')).metadata);
      });

      it('of a name tells of that name only', async () => {
        const { source, namespace } = await subject();
        const recorder = record(source, EgressNetworkKind, { namespace, name: 'b' });
        await recorder.until(1);
        for (const one of ['a', 'b', 'c']) await source.create(EgressNetworkKind, network(namespace, one));
        await source.delete(EgressNetworkKind, namespace, 'b');
        expect(await recorder.until(3)).toEqual(['synced', 'added b', 'deleted b']);
      });

      it('is silent once closed', async () => {
        const { source, namespace } = await subject();
        const closed = new Recorder();
        const watch = source.watch(EgressNetworkKind, { namespace }, (event) => closed.take(event as WatchEvent<Resource>));
        const open = record(source, EgressNetworkKind, { namespace });
        await closed.until(1);
        await open.until(1);
        watch.close();
        await source.create(EgressNetworkKind, network(namespace, 'n'));
        await open.until(2);
        expect(closed.lines).toEqual(['synced']);
      });

      it('may be closed by its handler', async () => {
        const { source, namespace } = await subject();
        await source.create(EgressNetworkKind, network(namespace, 'one'));
        await source.create(EgressNetworkKind, network(namespace, 'two'));
        const { promise, resolve } = Promise.withResolvers<void>();
        let events = 0;
        const watch = source.watch(EgressNetworkKind, { namespace }, () => {
          events += 1;
          watch.close();
          resolve();
        });
        await promise;
        await record(source, EgressNetworkKind, { namespace }).until(3);
        expect(events).toBe(1);
      });

      it('outlives a cut connection without loss or repetition', async () => {
        const { source, namespace, disconnect } = await subject();
        const recorder = record(source, EgressNetworkKind, { namespace });
        await recorder.until(1);
        await source.create(EgressNetworkKind, network(namespace, 'one'));
        await recorder.until(2);
        disconnect?.();
        await source.create(EgressNetworkKind, network(namespace, 'two'));
        await source.delete(EgressNetworkKind, namespace, 'one');
        await source.create(EgressNetworkKind, network(namespace, 'one'));
        await recorder.until(5);
        disconnect?.();
        await source.create(EgressNetworkKind, network(namespace, 'end'));
        expect(await recorder.until(6)).toEqual(['synced', 'added one', 'added two', 'deleted one', 'added one', 'added end']);
      });

      it('tells only the differences when the server has forgotten where it stood', async () => {
        const { source, namespace, disconnect, forget } = await subject();
        for (const one of ['same', 'changed', 'gone']) await source.create(EgressNetworkKind, network(namespace, one));
        const recorder = record(source, EgressNetworkKind, { namespace });
        await recorder.until(4);
        disconnect?.();
        await source.patch(EgressNetworkKind, namespace, 'changed', { spec: { trafficPolicy: 'Deny' } }, 'test');
        await source.delete(EgressNetworkKind, namespace, 'gone');
        await source.create(EgressNetworkKind, network(namespace, 'new'));
        forget?.();
        await recorder.until(7);
        await source.create(EgressNetworkKind, network(namespace, 'end'));
        const told = (await recorder.until(8)).slice(4);
        expect(told.slice(0, 3).sort()).toEqual(['added new', 'deleted gone', 'modified changed']);
        expect(told[3]).toBe('added end');
      });
    });
  });
}
