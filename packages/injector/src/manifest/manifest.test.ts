// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../json-object.ts';
import { recordedTrustAnchors, recordedValues } from '../testing/recorded-injection.ts';
import { injectManifest } from './inject-manifest.ts';
import { uninjectManifest } from './uninject-manifest.ts';

const manual = { values: recordedValues(), trustAnchors: recordedTrustAnchors(), version: '1.0.0', controlPlaneNamespace: 'linkerd' };
const podSpec = { containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 8080 }] }] };
const template = { metadata: { labels: { app: 'web' } }, spec: podSpec };
const named = { name: 'web', namespace: 'shop' };

const WORKLOADS: readonly (readonly [kind: string, object: JsonObject])[] = [
  ['Pod', { apiVersion: 'v1', kind: 'Pod', metadata: named, spec: podSpec }],
  ['ReplicationController', { apiVersion: 'v1', kind: 'ReplicationController', metadata: named, spec: { template } }],
  ['Deployment', { apiVersion: 'apps/v1', kind: 'Deployment', metadata: named, spec: { replicas: 1, template } }],
  ['ReplicaSet', { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: named, spec: { template } }],
  ['DaemonSet', { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: named, spec: { template } }],
  ['StatefulSet', { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: named, spec: { template } }],
  ['Job', { apiVersion: 'batch/v1', kind: 'Job', metadata: named, spec: { template } }],
  ['CronJob', { apiVersion: 'batch/v1', kind: 'CronJob', metadata: named, spec: { jobTemplate: { spec: { template } } } }],
];

function templateOf(object: JsonObject): { metadata: ReturnType<typeof JSON.parse>; spec: ReturnType<typeof JSON.parse> } {
  const any = object as ReturnType<typeof JSON.parse>;
  if (any.kind === 'Pod') return any;
  return any.kind === 'CronJob' ? any.spec.jobTemplate.spec.template : any.spec.template;
}

describe('injectManifest', () => {
  it.each(WORKLOADS)('[INJ-18] [CLI-22] annotates the pods of a %s, and nothing else', (_kind, object) => {
    const before = structuredClone(object);
    const { object: result, report } = injectManifest(object, {
      mode: 'ingress',
      annotations: { 'config.linkerd.io/proxy-log-level': 'debug' },
    });
    expect(report.outcome).toBe('injected');
    const pod = templateOf(result);
    expect(pod.metadata.annotations).toEqual({ 'config.linkerd.io/proxy-log-level': 'debug', 'linkerd.io/inject': 'ingress' });
    expect(pod.spec).toEqual(podSpec);
    expect(object).toEqual(before);
    expect(uninjectManifest(result).object).toEqual(object);
  });

  it.each(WORKLOADS)('[INJ-18] [CLI-23] writes the containers into a %s, the same when run again', (kind, object) => {
    const first = injectManifest(object, { manual, annotations: { 'config.linkerd.io/proxy-log-level': 'debug' } });
    const pod = templateOf(first.object);
    expect(pod.spec.initContainers.map(({ name }: { name: string }) => name)).toEqual(['linkerd-init', 'linkerd-proxy']);
    expect(pod.metadata.annotations['linkerd.io/created-by']).toBe('linkerd/cli 1.0.0');
    expect(pod.metadata.labels['linkerd.io/workload-ns']).toBe('shop');
    expect(pod.metadata.labels[`linkerd.io/proxy-${kind.toLowerCase()}`]).toBe(kind === 'Pod' ? undefined : 'web');
    const again = injectManifest(first.object, { manual });
    expect(again.report.outcome).toBe('injected');
    expect(again.object).toEqual(first.object);
  });

  it.each(WORKLOADS)('[CLI-26] is undone by uninjectManifest for a %s', (_kind, object) => {
    const { object: injected } = injectManifest(object, { manual, annotations: { 'config.linkerd.io/enable-debug-sidecar': 'true' } });
    const { object: result, report } = uninjectManifest(injected);
    expect(report.outcome).toBe('uninjected');
    expect(result).toEqual(object);
    expect(uninjectManifest(object).report.outcome).toBe('unchanged');
  });

  it('[CLI-25] annotates namespaces, and services with opaque ports only', () => {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } };
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db' } };
    const annotations = { 'config.linkerd.io/opaque-ports': '3306' };
    expect(injectManifest(namespace, { annotations }).object).toEqual({
      ...namespace,
      metadata: { name: 'shop', annotations: { ...annotations, 'linkerd.io/inject': 'enabled' } },
    });
    expect(injectManifest(service, { annotations }).object).toEqual({ ...service, metadata: { name: 'db', annotations } });
    expect(injectManifest(service)).toMatchObject({ object: service, report: { outcome: 'unsupported' } });
  });

  it('[INJ-18] goes through a List and reports each object', () => {
    const deployment = WORKLOADS[2][1];
    const list = {
      apiVersion: 'v1',
      kind: 'List',
      items: [deployment, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' } }, null],
    };
    const { object, report } = injectManifest(list);
    expect(report.items.map(({ kind, name, outcome }) => [kind, name, outcome])).toEqual([
      ['Deployment', 'web', 'injected'],
      ['ConfigMap', 'c', 'unsupported'],
      ['', '', 'unsupported'],
    ]);
    expect((uninjectManifest(object).object['items'] as unknown[])[0]).toEqual(deployment);
  });

  it.each([
    ['hostNetwork', { spec: { ...podSpec, hostNetwork: true } }, ['host_network_enabled']],
    ['the sidecar of another mesh', { spec: { containers: [{ name: 'istio-proxy', image: 'x' }] } }, ['sidecar_already_exists']],
    ['disabled', { metadata: { annotations: { 'linkerd.io/inject': 'disabled' } } }, ['injection_disable_annotation_present']],
    ['no containers', { spec: {} }, ['unsupported_resource']],
  ])('[CLI-24] skips a pod with %s and says why', (_what, change, skipReasons) => {
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: named, spec: { template: { ...template, ...change } } };
    for (const options of [{}, { manual }]) {
      expect(injectManifest(object, options)).toMatchObject({ object, report: { outcome: 'skipped', skipReasons } });
    }
  });

  it('[CLI-24] [INJ-22] injects a pod with UDP ports and says so', () => {
    const spec = { containers: [{ name: 'dns', image: 'x', ports: [{ containerPort: 53, protocol: 'UDP' }] }] };
    const { report } = injectManifest({ apiVersion: 'v1', kind: 'Pod', metadata: named, spec });
    expect(report).toMatchObject({ outcome: 'injected', hasUdpPorts: true });
  });

  it('leaves custom resources of a known name alone', () => {
    const object = { apiVersion: 'batch.volcano.sh/v1alpha1', kind: 'Job', metadata: named, spec: { template } };
    expect(injectManifest(object, { manual })).toMatchObject({ object, report: { outcome: 'unsupported' } });
  });
});
