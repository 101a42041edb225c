// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import type { Container, Namespace, Pod, Service } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { isMeshed, meshPod, type ControlPlaneComponent } from './mesh-pod.ts';
import { defaultOpaquePortsOfService, OPAQUE_PORTS } from './opaque-ports.ts';
import { PROXY_CONTAINER, type ProxySettings } from './proxy-settings.ts';

const read = (name: string, file: string): string =>
  readFileSync(new URL(`../testdata/vectors/injection/${name}/${file}`, import.meta.url), 'utf8');
const anchors = (injected: Pod): string => proxyOf(injected)?.env?.find(({ name }) => name.endsWith('TRUST_ANCHORS'))?.value ?? '';

function proxyOf(pod: { readonly spec?: Pod['spec'] }): Container | undefined {
  return pod.spec?.initContainers?.find(({ name }) => name === PROXY_CONTAINER);
}

function settings(trustAnchorsPem: string): ProxySettings {
  return {
    command: ['proxy'],
    trustAnchorsPem,
    trustDomain: 'cluster.local',
    clusterDomain: 'cluster.local',
    podsDirectory: '/run/pods',
    extraEnv: {},
  };
}

function namespaceOf(name: string): Namespace {
  const { metadata } = parse(read(name, 'namespace.yaml')) as { readonly metadata: Record<string, unknown> };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { annotations: {}, labels: {}, ...metadata } } as unknown as Namespace;
}

function meshed(name: string, component?: ControlPlaneComponent): { readonly ours: ReturnType<typeof meshPod>; readonly reference: Pod } {
  const pod = parse(read(name, 'pod.yaml')) as Pod;
  const reference = JSON.parse(read(name, 'injected.json')) as Pod;
  const { labels, annotations } = pod.metadata;
  const ours = meshPod(
    { labels: labels ?? {}, annotations: annotations ?? {}, spec: pod.spec ?? { containers: [] } },
    namespaceOf(name),
    settings(anchors(reference)),
    component,
  );
  return { ours, reference };
}

/** Variables that name files or depend on what the chart's user chose. */
const LOCAL = new Set(['LINKERD2_PROXY_IDENTITY_DIR', 'LINKERD2_PROXY_IDENTITY_TOKEN_FILE']);

describe('meshPod', () => {
  it.each(['default', 'opaque-default', 'opaque-ports', 'inbound-ports-from-probes', 'namespace-annotations'])(
    '[INJ-24] %s: the environment is the sidecar template’s',
    (name) => {
      const { ours, reference } = meshed(name);
      const values = (container: Container | undefined): [string, unknown][] =>
        (container?.env ?? [])
          .filter(({ name: variable }) => !LOCAL.has(variable))
          .map(({ name: variable, value, valueFrom }) => [
            variable,
            value ?? (valueFrom as { readonly fieldRef: { readonly fieldPath: string } }).fieldRef.fieldPath,
          ]);
      const expected = new Map(values(proxyOf(reference)));
      // The reference derives the number of cores from the CPU request; a host gives one.
      for (const cores of ['LINKERD2_PROXY_CORES', 'LINKERD2_PROXY_CORES_MIN']) expected.set(cores, '1');
      // Go prints the duration in milliseconds, as the chart's template takes it.
      const normal = (value: unknown): unknown => (value === '2000ms' ? '2s' : value);
      expect(Object.fromEntries(values(proxyOf(ours)).map(([key, value]) => [key, normal(value)]))).toEqual(
        Object.fromEntries([...expected].map(([key, value]) => [key, normal(value)])),
      );
    },
  );

  it.each(['default', 'opaque-default', 'namespace-annotations'])('[INJ-06] %s: labels and annotations are the injector’s', (name) => {
    const { ours, reference } = meshed(name);
    expect(ours.labels).toEqual({ ...reference.metadata.labels, 'linkerd.io/workload-ns': reference.metadata.namespace });
    const { 'linkerd.io/created-by': _by, 'linkerd.io/proxy-version': _version, ...rest } = reference.metadata.annotations;
    const { 'linkerd.io/created-by': by, ...own } = ours.annotations;
    expect(by).toBe('weft run');
    expect(own).toEqual(rest);
  });

  it('[INJ-02] keeps out what says so, on the pod or on its namespace; the pod wins', () => {
    const namespace = (inject?: string): Namespace =>
      ({ metadata: { annotations: inject === undefined ? {} : { 'linkerd.io/inject': inject } } }) as unknown as Namespace;
    const spec = { containers: [] };
    expect(isMeshed({}, spec, namespace())).toBe(true);
    expect(isMeshed({}, spec, undefined)).toBe(true);
    expect(isMeshed({}, spec, namespace('disabled'))).toBe(false);
    expect(isMeshed({ 'linkerd.io/inject': 'enabled' }, spec, namespace('disabled'))).toBe(true);
    expect(isMeshed({ 'linkerd.io/inject': 'disabled' }, spec, namespace('enabled'))).toBe(false);
    expect(isMeshed({}, { ...spec, hostNetwork: true }, namespace())).toBe(false);
  });

  it('[INJ-03] ingress mode is passed on', () => {
    const { ours } = meshed('ingress');
    expect(proxyOf(ours)?.env).toContainEqual({ name: 'LINKERD2_PROXY_INGRESS_MODE', value: 'true' });
  });

  it('marks opaque ports on pods that are kept out, too', () => {
    const pod = parse(read('opaque-default-not-injected', 'pod.yaml')) as Pod;
    const draft = meshPod(
      { labels: {}, annotations: { 'linkerd.io/inject': 'disabled' }, spec: pod.spec ?? { containers: [] } },
      undefined,
      settings('x'),
    );
    expect(draft.annotations[OPAQUE_PORTS]).toBe('3306');
    expect(proxyOf(draft)).toBeUndefined();
  });

  it('[ID-19] points the control plane’s own proxies at their own pod', () => {
    const value = (component: ControlPlaneComponent, name: string): string | undefined =>
      proxyOf(meshed('default', component).ours)?.env?.find((one) => one.name === `LINKERD2_PROXY_${name}`)?.value;
    expect(value('identity', 'IDENTITY_SVC_ADDR')).toBe('localhost.:8080');
    expect(value('identity', 'POLICY_SVC_ADDR')).toBe('linkerd-policy.linkerd.svc.cluster.local.:8090');
    expect(value('destination', 'DESTINATION_SVC_ADDR')).toBe('localhost.:8086');
    expect(value('destination', 'POLICY_SVC_ADDR')).toBe('localhost.:8090');
    expect(proxyOf(meshed('default', 'identity').ours)?.startupProbe).toBeUndefined();
  });

  it('does not inject twice', () => {
    const { ours } = meshed('default');
    expect(meshPod({ ...ours, labels: {} }, undefined, settings('x')).spec.initContainers).toHaveLength(1);
  });
});

describe('[ANN-03] opaque ports of services', () => {
  it.each(['service-opaque-default', 'service-opaque-namespace', 'service-opaque-own', 'service-opaque-none'])('%s', (name) => {
    const service = parse(read(name, 'service.yaml')) as Service;
    const reference = (JSON.parse(read(name, 'injected.json')) as Service).metadata.annotations ?? {};
    const own = service.metadata.annotations ?? {};
    const value = own[OPAQUE_PORTS] ?? defaultOpaquePortsOfService(service, namespaceOf(name));
    expect(value).toBe(reference[OPAQUE_PORTS]);
  });
});
