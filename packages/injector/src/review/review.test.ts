// SPDX-License-Identifier: Apache-2.0
/* The webhook's parts that need no server: owners, namespaces that the watch does not know yet, bounded metrics, events. */
import {
  createMemorySource,
  DeploymentKind,
  NamespaceKind,
  ReplicaSetKind,
  ResourceError,
  type ResourceInput,
  type ResourceSource,
} from '@weft/resources';
import { Logger } from '@weft/telemetry';
import { promMetricFactory, promRegistry } from '@weft/telemetry/prom';
import type { AdmissionRequest } from '@weft/webhook';
import { afterEach, describe, expect, it } from 'vitest';
import type { InjectionReport } from '../injection-report.ts';
import { recordedTrustAnchors, recordedValues, readRecorded } from '../testing/recorded-injection.ts';
import { createInjectorMetrics, MAX_ANNOTATION_SETS, MAX_LABEL_LENGTH } from './injector-metrics.ts';
import { createInjectorReview, type InjectorReview, type OwnerEvents } from './injector-review.ts';
import { OwnerLookup } from './owners.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const silent = Logger.create({ filter: 'off', write: () => undefined });
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'a', image: 'a' }] } };

function replicaSet(name: string, owner?: object): ResourceInput {
  const ownerReferences = owner === undefined ? [] : [owner as never];
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name, namespace: 'shop', ownerReferences },
    spec: { selector: { matchLabels: { app: 'web' } }, template },
  };
}

function source(objects: readonly ResourceInput[] = []): ReturnType<typeof createMemorySource> {
  const memory = createMemorySource({ objects });
  cleanups.push(() => memory.close());
  return memory;
}

const podOwnedBy = (...ownerReferences: object[]): { metadata: object } => ({ metadata: { ownerReferences } });
const reference = (kind: string, name: string, more: object = {}): object => ({
  apiVersion: 'apps/v1',
  kind,
  name,
  uid: `uid-${name}`,
  controller: true,
  ...more,
});

describe('OwnerLookup', () => {
  it.each([
    ['the Deployment of a ReplicaSet', [reference('ReplicaSet', 'web-1')], 'Deployment web'],
    ['a ReplicaSet on its own', [reference('ReplicaSet', 'lone')], 'ReplicaSet lone'],
    ['a ReplicaSet that is gone', [reference('ReplicaSet', 'gone')], 'ReplicaSet gone'],
    ['a ReplicaSet of an operator', [reference('ReplicaSet', 'op')], 'ReplicaSet op'],
    ['a Job', [reference('Job', 'task', { apiVersion: 'batch/v1' })], 'Job task'],
    ['the controller among several', [reference('Node', 'n', { controller: false }), reference('StatefulSet', 'db')], 'StatefulSet db'],
    ['nobody', [], 'undefined undefined'],
    ['references of any shape', [{ kind: 7 }, null, 'x'], 'undefined undefined'],
  ])('[INJ-08] finds %s', async (_what, references, expected) => {
    const world = source([
      replicaSet('web-1', reference(DeploymentKind.kind, 'web')),
      replicaSet('lone'),
      replicaSet('op', reference('Rollout', 'r', { apiVersion: 'example.com/v1' })),
    ]);
    const owner = await new OwnerLookup(world, silent).ownerOf(podOwnedBy(...(references as object[])), 'shop');
    expect(`${owner?.kind} ${owner?.name}`).toBe(expected);
  });

  it('asks once for a ReplicaSet, and does not wait for an API server that does not answer', async () => {
    const world = source([replicaSet('web-1', reference(DeploymentKind.kind, 'web'))]);
    let asked = 0;
    const counting: ResourceSource = {
      ...world,
      get: (kind, namespace, name) => {
        asked += 1;
        return name === 'slow' ? new Promise<never>(() => undefined) : world.get(kind, namespace, name);
      },
    };
    const owners = new OwnerLookup(counting, silent, 20);
    for (let count = 0; count < 3; count += 1) await owners.ownerOf(podOwnedBy(reference(ReplicaSetKind.kind, 'web-1')), 'shop');
    expect(asked).toBe(1);
    expect(await owners.ownerOf(podOwnedBy(reference(ReplicaSetKind.kind, 'slow')), 'shop')).toMatchObject({
      kind: 'ReplicaSet',
      name: 'slow',
    });
  });
});

function reviewer(world: ResourceSource, recorded: string[] = []): InjectorReview {
  const events: OwnerEvents = {
    record: ({ kind, name }, type, reason, message) => recorded.push(`${type} ${reason} ${kind}/${name}: ${message}`),
  };
  const review = createInjectorReview({
    source: world,
    installation: async () => ({ values: recordedValues(), trustAnchors: recordedTrustAnchors() }),
    controlPlaneNamespace: 'linkerd',
    events,
    metrics: createInjectorMetrics(promMetricFactory(promRegistry())),
    logger: silent,
  });
  cleanups.push(() => review.close());
  return review;
}

function requestFor(name: string, more: Partial<AdmissionRequest> = {}): AdmissionRequest {
  const { request } = readRecorded(name);
  return { ...request, dryRun: false, namespace: 'shop', ...more };
}

describe('the injector as a webhook', () => {
  it('[INJ-02] reads a namespace that its watch does not know yet', async () => {
    const world = source();
    const blind: ResourceSource = { ...world, watch: () => ({ close: () => undefined }) };
    await world.create(NamespaceKind, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop', annotations: { 'linkerd.io/inject': 'enabled' } },
    });
    const answer = await reviewer(blind).review(requestFor('no-annotation'));
    expect(answer.patch?.length).toBeGreaterThan(5);
  });

  it('refuses, naming the reason, while the namespace cannot be read', async () => {
    const world = source();
    const down: ResourceSource = {
      ...world,
      watch: () => ({ close: () => undefined }),
      get: () => Promise.reject(new ResourceError('ERR_UNAVAILABLE', 'connection refused')),
    };
    await expect(reviewer(down).review(requestFor('default'))).rejects.toThrow('cannot read namespace shop: connection refused');
  });

  it('leaves other kinds and operations alone', async () => {
    const review = reviewer(source());
    for (const more of [{ operation: 'UPDATE' }, { kind: { group: 'apps', version: 'v1', kind: 'Deployment' } }]) {
      expect(await review.review(requestFor('default', more))).toEqual({ allowed: true });
    }
  });

  it('[INJ-05] writes events on the owner, none without one and none for a dry run', async () => {
    const recorded: string[] = [];
    const { review } = reviewer(source(), recorded);
    await review(requestFor('owner-statefulset'));
    await review(requestFor('owner-statefulset', { dryRun: true }));
    await review(requestFor('default'));
    const { request } = readRecorded('host-network-skipped');
    const object = request.object as { metadata: object };
    const owned = { ...object, metadata: { ...object.metadata, annotations: {}, ownerReferences: [reference('DaemonSet', 'agent')] } };
    await review(requestFor('host-network-skipped', { object: owned }));
    expect(recorded).toEqual([
      'Normal Injected StatefulSet/db: Linkerd sidecar proxy injected',
      'Normal InjectionSkipped DaemonSet/agent: Linkerd sidecar proxy injection skipped: hostNetwork is enabled, ' +
        'neither the namespace nor the pod has the annotation "linkerd.io/inject: enabled"',
    ]);
  });
});

describe('the metrics', () => {
  const report: InjectionReport = {
    kind: 'Pod',
    name: 'p',
    isInjected: false,
    annotatedAt: 'workload',
    skipReasons: ['host_network_enabled', 'sidecar_already_exists'],
    problems: [],
    hasUdpPorts: false,
  };

  it('[INJ-20] have the labels of the reference, in one series for a set of values', async () => {
    const registry = promRegistry();
    const metrics = createInjectorMetrics(promMetricFactory(registry));
    const annotations = new Map([
      ['config.linkerd.io/proxy-cpu-request', '10m'],
      ['config.alpha.linkerd.io/proxy-enable-native-sidecar', 'false'],
      ['example.com/other', 'x'],
    ]);
    metrics.request('daemonset', 'shop', report, annotations);
    metrics.response('daemonset', 'shop', report, annotations);
    const text = await registry.metrics();
    expect(text).toMatch(
      /^proxy_inject_admission_requests_total\{owner_kind="daemonset",namespace="shop",annotation_at="workload",admin_port="",/m,
    );
    expect(text).toMatch(/proxy_cpu_request="10m"/);
    expect(text).toMatch(/proxy_enable_native_sidecar="false"/);
    expect(text).toMatch(/skip="true",skip_reason="host_network_enabled,sidecar_already_exists"/);
    expect(text).not.toMatch(/other/);
  });

  it('hold no more than their share of what users write, line feeds escaped', async () => {
    const registry = promRegistry();
    const metrics = createInjectorMetrics(promMetricFactory(registry));
    for (let count = 0; count < MAX_ANNOTATION_SETS + 50; count += 1) {
      metrics.request(
        '',
        'shop',
        report,
        new Map([['config.linkerd.io/proxy-log-level', `${count}\n# TYPE evil counter\nevil 1 ${'x'.repeat(10_000)}`]]),
      );
    }
    const text = await registry.metrics();
    const lines = text.split('\n');
    expect(lines.filter((line) => line.startsWith('proxy_inject_admission_requests_total{'))).toHaveLength(MAX_ANNOTATION_SETS + 1);
    expect(lines.filter((line) => line.startsWith('evil') || line.startsWith('# TYPE evil'))).toEqual([]);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(2_000 + MAX_LABEL_LENGTH * 2);
  });
});
