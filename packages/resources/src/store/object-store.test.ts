// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';

import {
  clusterIpsFrom,
  ConfigMapKind,
  createMemorySource,
  isResourceError,
  NamespaceKind,
  PodKind,
  SecretKind,
  ServiceKind,
} from '../index.ts';
import type { LocalSourceOptions, ObjectStore, ResourceInput } from '../index.ts';
import { ChangeLog } from './change-log.ts';
import type { Change } from './change-log.ts';

const newStore = (options: LocalSourceOptions = {}): ObjectStore => createMemorySource(options).store;
const configMap = (name: string, extra: Record<string, unknown> = {}, metadata: Record<string, unknown> = {}): ResourceInput => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'a', ...metadata },
  ...extra,
});
const service = (name: string, spec: Record<string, unknown>, labels: Record<string, string> = {}): ResourceInput => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'a', labels },
  spec,
});

function refusal(attempt: () => unknown): string {
  try {
    attempt();
    return '';
  } catch (error) {
    if (!isResourceError(error)) throw error;
    return `${error.status} ${error.message}`;
  }
}

describe('an object store', () => {
  it('hands out objects that cannot be changed, and keeps none that a caller can', () => {
    const store = newStore();
    const input = configMap('c', { data: { a: '1' } });
    const created = store.create(ConfigMapKind, input);
    (input['data'] as Record<string, string>)['a'] = '2';
    expect(created['data']).toEqual({ a: '1' });
    expect(() => Object.assign(created['data'] as object, { a: '3' })).toThrow(TypeError);
  });

  it('deletes what is in a namespace with it', () => {
    const store = newStore();
    store.create(ConfigMapKind, configMap('c'));
    const deleted: (string | undefined)[] = [];
    store.subscribe(({ object, previous }) => deleted.push(object === undefined ? previous?.kind : undefined));
    store.delete(NamespaceKind, '', 'a');
    expect(deleted).toEqual(['ConfigMap', 'Namespace']);
    expect(store.list(ConfigMapKind)).toEqual([]);
  });

  it('marks an object with finalizers and removes it with the last of them', () => {
    const store = newStore();
    store.create(ConfigMapKind, configMap('c', {}, { finalizers: ['example.com/hold'] }));
    expect(store.delete(ConfigMapKind, 'a', 'c').metadata.deletionTimestamp).toMatch(/Z$/);
    expect(store.has(ConfigMapKind, 'a', 'c')).toBe(true);
    store.patch(ConfigMapKind, 'a', 'c', { metadata: { finalizers: null } });
    expect(store.has(ConfigMapKind, 'a', 'c')).toBe(false);
  });

  it('stores nothing in a dry run, but refuses what it would refuse', () => {
    const store = newStore();
    expect(store.create(ConfigMapKind, configMap('c'), { isDryRun: true }).metadata.name).toBe('c');
    expect(store.list(ConfigMapKind)).toEqual([]);
    expect(store.list(NamespaceKind)).toEqual([]);
    expect(refusal(() => store.create(ConfigMapKind, configMap('C'), { isDryRun: true }))).toContain(
      '422 ConfigMap "C" is invalid: metadata.name',
    );
  });

  it('refuses an apply that is not forced and would take fields from another', () => {
    const store = newStore();
    store.apply(ConfigMapKind, configMap('c', { data: { a: '1' } }), 'one');
    expect(refusal(() => store.apply(ConfigMapKind, configMap('c', { data: { a: '2' } }), 'two', { isForced: false }))).toMatch(
      /^409 .*"one"/,
    );
    expect(refusal(() => store.apply(ConfigMapKind, configMap('c', { data: { a: '1', b: '2' } }), 'two', { isForced: false }))).toBe('');
  });

  it('asks its admission rules about every write but of status, with the object as it will be stored', () => {
    const asked: [string, string | undefined][] = [];
    const store = newStore({
      admit: [
        (object, old) => {
          asked.push([`${object.kind} ${object.metadata.name}`, old?.metadata.name]);
          return object.metadata.name === 'bad' ? { allowed: false, message: 'no' } : { allowed: true };
        },
      ],
    });
    store.create(ServiceKind, service('s', { ports: [{ port: 80 }] }));
    store.patchStatus(ServiceKind, 'a', 's', { status: { loadBalancer: { ingress: [] } } });
    store.patch(ServiceKind, 'a', 's', { metadata: { labels: { x: 'y' } } });
    expect(asked.filter(([name]) => name === 'Service s')).toEqual([
      ['Service s', undefined],
      ['Service s', 's'],
    ]);
    expect(refusal(() => store.create(ConfigMapKind, configMap('bad')))).toBe('403 admission denied the request: no');
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['a name that is no subdomain', { name: 'a_b' }, 'metadata.name: Invalid value: "a_b": a lowercase RFC 1123 subdomain'],
    ['a name that is too long', { name: 'a'.repeat(254) }, 'must be no more than 253 characters'],
    [
      'a namespace that is no label',
      { name: 'c', namespace: 'a.b' },
      'metadata.namespace: Invalid value: "a.b": a lowercase RFC 1123 label',
    ],
    ['a label key', { name: 'c', labels: { '-x': 'y' } }, 'metadata.labels: Invalid value: "-x": name part must consist of'],
    ['a label prefix', { name: 'c', labels: { 'A_/x': 'y' } }, 'metadata.labels: Invalid value: "A_/x": prefix part'],
    ['a label value', { name: 'c', labels: { x: 'a b' } }, 'metadata.labels: Invalid value: "a b": a valid label'],
    ['a label value with a newline', { name: 'c', labels: { x: 'a\nb' } }, 'metadata.labels: Invalid value: "a\\nb": a valid label'],
    ['a label that is no string', { name: 'c', labels: { x: 1 } }, 'metadata.labels.x: Invalid value: 1: must be of type string'],
    ['an annotation key', { name: 'c', annotations: { 'x y': 'z' } }, 'metadata.annotations: Invalid value: "x y"'],
    [
      'annotations that are too long',
      { name: 'c', annotations: { x: 'y'.repeat(262_144) } },
      'metadata.annotations: Too long: may not be more than 262144 bytes',
    ],
  ])('refuses %s', (_name, metadata, message) => {
    expect(refusal(() => newStore().create(ConfigMapKind, configMap('c', {}, metadata)))).toContain(message);
  });

  it('gives later versions over a restart', () => {
    const before = newStore({ nowMs: () => 1_000_000 });
    const old = before.create(ConfigMapKind, configMap('c'));
    const after = newStore({ nowMs: () => 1_060_000 });
    expect(after.log.since(Number(old.metadata.resourceVersion))).toBeUndefined();
  });
});

describe('built-in kinds', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['no port', { ports: [] }, 'spec.ports: Required value'],
    ['a port of 0', { ports: [{ port: 0 }] }, 'spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive'],
    ['a port that is too large', { ports: [{ port: 80, targetPort: 65536 }] }, 'spec.ports[0].targetPort: Invalid value: 65536'],
    ['two ports without names', { ports: [{ port: 1 }, { port: 2 }] }, 'spec.ports[0].name: Required value'],
    [
      'one name twice',
      {
        ports: [
          { port: 1, name: 'x' },
          { port: 2, name: 'x' },
        ],
      },
      'spec.ports[1].name: Duplicate value: "x"',
    ],
    [
      'one port twice',
      {
        ports: [
          { port: 1, name: 'x' },
          { port: 1, name: 'y' },
        ],
      },
      'spec.ports[1]: Duplicate value',
    ],
    ['an unknown protocol', { ports: [{ port: 1, protocol: 'tcp' }] }, 'Unsupported value: "tcp": supported values: "SCTP", "TCP", "UDP"'],
    ['an address that is none', { clusterIP: '10.0.0', ports: [{ port: 1 }] }, 'spec.clusterIPs[0]: Invalid value: "10.0.0"'],
    ['an external name that is none', { type: 'ExternalName', externalName: '' }, 'spec.externalName: Invalid value: ""'],
    ['a target name that is none', { ports: [{ port: 1, targetPort: 'Upper' }] }, 'spec.ports[0].targetPort: Invalid value: "Upper"'],
  ])('refuse a service with %s', (_name, spec, message) => {
    expect(refusal(() => newStore().create(ServiceKind, service('s', spec)))).toContain(message);
  });

  it('keep a cluster IP that an update leaves out, and refuse another', () => {
    const store = newStore();
    store.create(ServiceKind, service('s', { clusterIP: '10.0.0.1', ports: [{ port: 80 }] }));
    expect(store.update(ServiceKind, service('s', { ports: [{ port: 81 }] })).spec).toMatchObject({
      clusterIP: '10.0.0.1',
      clusterIPs: ['10.0.0.1'],
    });
    expect(refusal(() => store.update(ServiceKind, service('s', { clusterIP: '10.0.0.2', ports: [{ port: 81 }] })))).toContain(
      'may not change once set',
    );
  });

  it('take cluster IPs from a network, the same for the same name, none twice', () => {
    const addresses = (): unknown[] => {
      const store = newStore({ allocateClusterIp: clusterIpsFrom('10.96.0.0/29') });
      for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) store.create(ServiceKind, service(name, { ports: [{ port: 80 }] }));
      store.create(ServiceKind, service('headless', { clusterIP: 'None', ports: [{ port: 80 }] }));
      store.create(ServiceKind, service('outside', { type: 'ExternalName', externalName: 'example.com' }));
      return store.list(ServiceKind).map(({ spec }) => (spec as { clusterIP?: string }).clusterIP);
    };
    const first = addresses();
    expect(first.map(String).sort()).toEqual([
      '10.96.0.1',
      '10.96.0.2',
      '10.96.0.3',
      '10.96.0.4',
      '10.96.0.5',
      '10.96.0.6',
      'None',
      'undefined',
    ]);
    expect(addresses()).toEqual(first);
  });

  it('put the plain values of a secret into its data', () => {
    const store = newStore();
    const secret = store.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { key: 'value' } });
    expect(secret).toMatchObject({ type: 'Opaque', data: { key: 'dmFsdWU=' }, metadata: { namespace: 'default' } });
    expect(secret).not.toHaveProperty('stringData');
  });

  it.each<[string, unknown, string]>([
    ['no containers', {}, 'spec.containers: Required value'],
    ['a container without name', { containers: [{}] }, 'spec.containers[0].name: Required value'],
    ['one name twice', { initContainers: [{ name: 'c' }], containers: [{ name: 'c' }] }, 'spec.containers[0].name: Duplicate value: "c"'],
    [
      'a port name that is too long',
      { containers: [{ name: 'c', ports: [{ containerPort: 1, name: 'a'.repeat(16) }] }] },
      'must be no more than 15 characters',
    ],
    [
      'a port name without letters',
      { containers: [{ name: 'c', ports: [{ containerPort: 1, name: '80' }] }] },
      'must contain at least one letter',
    ],
  ])('refuse a pod with %s', (_name, spec, message) => {
    expect(refusal(() => newStore().create(PodKind, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec }))).toContain(message);
  });
});

describe('ChangeLog', () => {
  const change = (revision: number): Change => ({ revision }) as Change;

  it('gives the changes after a revision, or none of them when some are gone', () => {
    const log = new ChangeLog(100, 4);
    for (let index = 0; index < 5; index += 1) log.add(change(log.nextRevision()));
    expect(log.since(103)?.map(({ revision }) => revision)).toEqual([104, 105]);
    expect(log.since(105)).toEqual([]);
    expect(log.since(106)).toBeUndefined();
    expect(log.since(99)).toBeUndefined();
    log.add(change(log.nextRevision()));
    expect(log.since(101)).toBeUndefined();
    expect(log.since(102)?.map(({ revision }) => revision)).toEqual([103, 104, 105, 106]);
  });
});
