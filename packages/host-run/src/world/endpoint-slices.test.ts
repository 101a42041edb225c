// SPDX-License-Identifier: Apache-2.0
import type { Pod, Service } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { endpointSlicesOf, MAX_ENDPOINTS_PER_SLICE } from './endpoint-slices.ts';

function service(spec: Record<string, unknown>): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', labels: { tier: 'front' }, annotations: {} },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
  } as unknown as Service;
}

interface PodTraits {
  readonly ip?: string;
  readonly isReady?: boolean;
  readonly isGoing?: boolean;
  readonly port?: number;
  readonly app?: string;
  readonly phase?: string;
  readonly namespace?: string;
}

function pod(name: string, { ip = '10.244.0.2', isReady = true, isGoing = false, port = 8080, app = 'web', ...rest }: PodTraits): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: rest.namespace ?? 'shop',
      uid: `uid-${name}`,
      labels: { app },
      annotations: {},
      ...(isGoing ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: {
      nodeName: 'weft-host',
      hostname: name,
      subdomain: 'web',
      containers: [{ name: 'c', ports: [{ name: 'http', containerPort: port }] }],
    },
    status: { phase: rest.phase ?? 'Running', podIP: ip, conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
  } as unknown as Pod;
}

describe('[LB-05] endpointSlicesOf', () => {
  it('writes slices as Kubernetes does', () => {
    expect(endpointSlicesOf(service({}), [pod('a', {})])).toMatchObject([
      {
        apiVersion: 'discovery.k8s.io/v1',
        metadata: {
          namespace: 'shop',
          labels: {
            tier: 'front',
            'kubernetes.io/service-name': 'web',
            'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
          },
          ownerReferences: [{ kind: 'Service', name: 'web', uid: 'u1', controller: true }],
        },
        addressType: 'IPv4',
        ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
        endpoints: [
          {
            addresses: ['10.244.0.2'],
            conditions: { ready: true, serving: true, terminating: false },
            nodeName: 'weft-host',
            hostname: 'a',
            targetRef: { kind: 'Pod', namespace: 'shop', name: 'a', uid: 'uid-a' },
          },
        ],
      },
    ]);
  });

  const conditions: [string, PodTraits, Record<string, unknown>, object][] = [
    ['ready', {}, {}, { ready: true, serving: true, terminating: false }],
    ['not ready', { isReady: false }, {}, { ready: false, serving: false, terminating: false }],
    ['going but still serving', { isGoing: true }, {}, { ready: false, serving: true, terminating: true }],
    [
      'published before it is ready',
      { isReady: false },
      { publishNotReadyAddresses: true },
      { ready: true, serving: false, terminating: false },
    ],
  ];
  it.each(conditions)('conditions of a pod that is %s', (_title, traits, spec, wanted) => {
    const [slice] = endpointSlicesOf(service(spec), [pod('a', traits)]);
    expect((slice as unknown as { endpoints: { conditions: object }[] }).endpoints[0]?.conditions).toEqual(wanted);
  });

  it.each([
    ['of another label', { app: 'other' }],
    ['without address', { ip: '' }],
    ['that have ended', { phase: 'Succeeded' }],
    ['of another namespace', { namespace: 'other' }],
  ])('leaves out pods %s', (_title, traits) => {
    expect(endpointSlicesOf(service({}), [pod('a', traits)])).toEqual([]);
  });

  it('groups pods by what a named port means in them', () => {
    const slices = endpointSlicesOf(service({}), [pod('a', {}), pod('b', { ip: '10.244.0.3', port: 9090 })]);
    expect(slices.map((slice) => slice['ports'])).toEqual([
      [{ name: 'http', port: 8080, protocol: 'TCP' }],
      [{ name: 'http', port: 9090, protocol: 'TCP' }],
    ]);
    expect(new Set(slices.map(({ metadata }) => metadata.name)).size).toBe(2);
  });

  it('keeps slices short', () => {
    const pods = Array.from({ length: MAX_ENDPOINTS_PER_SLICE + 1 }, (_, index) => pod(`p${index}`, { ip: `10.244.1.${index}` }));
    const slices = endpointSlicesOf(service({}), pods);
    expect(slices.map((slice) => (slice['endpoints'] as unknown[]).length)).toEqual([MAX_ENDPOINTS_PER_SLICE, 1]);
  });

  it('marks headless services and leaves out those without selector', () => {
    expect(endpointSlicesOf(service({ clusterIP: 'None' }), [pod('a', {})])[0]?.metadata.labels).toHaveProperty(
      ['service.kubernetes.io/headless'],
      '',
    );
    expect(endpointSlicesOf(service({ selector: undefined }), [pod('a', {})])).toEqual([]);
    expect(endpointSlicesOf(service({ type: 'ExternalName' }), [pod('a', {})])).toEqual([]);
  });
});
