// SPDX-License-Identifier: Apache-2.0
import type { EndpointSlice, ExternalWorkload, ResourceInput, Service } from '@weft/resources';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { sliceChanges } from './slice-changes.ts';
import { wantedEndpoints } from './wanted-endpoints.ts';

type Fields = Readonly<Record<string, unknown>>;

function metadata(name: string, labels: Record<string, string> = {}, namespace = 'shop'): Service['metadata'] {
  return { name, namespace, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '', labels, annotations: {} };
}

function service(spec: Fields = {}, labels: Record<string, string> = {}, namespace = 'shop'): Service {
  const ports = [{ name: 'http', port: 80, targetPort: 'web', protocol: 'TCP' }];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata('legacy', labels, namespace),
    spec: { clusterIP: '10.96.0.1', selector: { app: 'legacy' }, ipFamilies: ['IPv4'], ports, ...spec },
  };
}

function workload(name: string, fields: { ips?: string[]; ports?: Fields[]; isReady?: boolean; labels?: Fields } = {}): ExternalWorkload {
  const { ips = ['192.0.2.1'], ports = [{ name: 'web', port: 8080 }], isReady = true, labels = {} } = fields;
  return {
    apiVersion: 'workload.linkerd.io/v1beta1',
    kind: 'ExternalWorkload',
    metadata: metadata(name, { app: 'legacy', ...(labels as Record<string, string>) }),
    spec: {
      meshTLS: { identity: `spiffe://mesh/${name}`, serverName: name },
      workloadIPs: ips.map((ip) => ({ ip })),
      ports: ports as never,
    },
    status: { conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
  };
}

/** As the source hands it out after the write. */
function stored(input: ResourceInput): EndpointSlice {
  const { name, namespace = '', labels = {} } = input.metadata;
  return { ...input, metadata: { ...metadata(name, {}, namespace), labels } } as unknown as EndpointSlice;
}

let names = 0;
const newName = (): string => `linkerd-external-legacy-${(names += 1)}`;
const changes = (of: Service, workloads: readonly ExternalWorkload[], existing: readonly EndpointSlice[] = [], max = 100) =>
  sliceChanges(of, wantedEndpoints(of, workloads), existing, newName, max);

describe('[LB-16] the slices of external workloads', () => {
  it('carry the workloads that the Service selects, under its labels and ownership', () => {
    const {
      create,
      update,
      delete: deleted,
    } = changes(service({}, { team: 'a' }), [
      workload('one', { labels: { 'topology.kubernetes.io/zone': 'west' } }),
      workload('other', { labels: { app: 'else' } }),
    ]);
    expect([update, deleted]).toEqual([[], []]);
    expect(create).toMatchObject([
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          namespace: 'shop',
          labels: {
            team: 'a',
            'kubernetes.io/service-name': 'legacy',
            'endpointslice.kubernetes.io/managed-by': 'linkerd-external-workloads-controller',
          },
          ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name: 'legacy', uid: 'uid-legacy', controller: true }],
        },
        addressType: 'IPv4',
        ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
        endpoints: [
          {
            addresses: ['192.0.2.1'],
            conditions: { ready: true, serving: true, terminating: false },
            targetRef: { kind: 'ExternalWorkload', namespace: 'shop', name: 'one', uid: 'uid-one' },
            zone: 'west',
          },
        ],
      },
    ]);
    expect(create[0]?.metadata.name).toMatch(/^linkerd-external-legacy-/);
    expect(create[0]?.['endpoints']).not.toHaveProperty('0.hostname');
  });

  it.each<[string, Service]>([
    ['in kube-system', service({}, {}, 'kube-system')],
    ['of type ExternalName', service({ type: 'ExternalName', externalName: 'example.com' })],
    ['without selector', service({ selector: {} })],
  ])('are not written for a Service %s', (_name, of) => {
    const one = workload('one');
    expect(changes(of, [{ ...one, metadata: { ...one.metadata, namespace: of.metadata.namespace } }]).create).toEqual([]);
  });

  it('name hosts and say so for a headless Service', () => {
    const [slice] = changes(service({ clusterIP: 'None' }), [workload('one')]).create;
    expect(slice?.metadata.labels).toHaveProperty(['service.kubernetes.io/headless'], '');
    expect(slice?.['endpoints']).toMatchObject([{ hostname: 'one' }]);
  });

  it('[NK-01] tell that a workload is not ready', () => {
    const [slice] = changes(service(), [workload('one', { isReady: false })]).create;
    expect(slice?.['endpoints']).toMatchObject([{ conditions: { ready: false, serving: false, terminating: false } }]);
  });

  it.each<[string, Fields, Fields[], unknown]>([
    ['by name', { targetPort: 'web' }, [{ name: 'web', port: 8080 }], 8080],
    ['by number', { targetPort: 8081 }, [{ name: 'web', port: 8081 }], 8081],
    ['as the Service has it where no target is given', { targetPort: undefined }, [{ port: 80 }], 80],
    ['never of another protocol', { targetPort: 53, protocol: 'UDP' }, [{ port: 53, protocol: 'TCP' }], undefined],
    ['never one that is not declared', { targetPort: 9 }, [{ name: 'web', port: 8080 }], undefined],
  ])('have ports %s', (_name, port, ports, expected) => {
    const { create } = changes(service({ ports: [{ port: 80, protocol: 'TCP', ...port }] }), [workload('one', { ports })]);
    expect((create[0]?.['ports'] as { readonly port: number }[] | undefined)?.[0]?.port).toBe(expected);
  });

  it.each<[string, string[] | undefined, string[]]>([
    ['IPv4', ['IPv4'], ['IPv4 192.0.2.1']],
    ['IPv6', ['IPv6'], ['IPv6 2001:db8::1']],
    ['both', ['IPv6', 'IPv4'], ['IPv4 192.0.2.1', 'IPv6 2001:db8::1']],
    ['no', undefined, ['IPv4 192.0.2.1', 'IPv6 2001:db8::1']],
  ])('are of the families of a Service with %s families', (_name, ipFamilies, expected) => {
    const { create } = changes(service({ ipFamilies }), [workload('one', { ips: ['192.0.2.1', '2001:db8::1'] })]);
    const found = create.map(
      (slice) => `${String(slice['addressType'])} ${(slice['endpoints'] as { addresses: string[] }[])[0]?.addresses.join()}`,
    );
    expect(found.toSorted()).toEqual(expected);
  });

  it('are apart where ports differ', () => {
    const { create } = changes(service(), [workload('one'), workload('two', { ports: [{ name: 'web', port: 9090 }] }), workload('three')]);
    expect(create.map(({ endpoints }) => (endpoints as unknown[]).length).toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  it('settle: what was written is what is wanted, in slices that are not too long, with as few writes as can be', () => {
    const ids = fc.uniqueArray(fc.integer({ min: 0, max: 20 }));
    fc.assert(
      fc.property(fc.array(ids, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 5 }), (states, max) => {
        let slices: EndpointSlice[] = [];
        for (const state of states) {
          const workloads = state.map((id) => workload(`w-${id}`, { ports: [{ name: 'web', port: id % 2 === 0 ? 8080 : 9090 }] }));
          const { create, update, delete: deleted } = changes(service(), workloads, slices, max);
          const changed = new Map(update.map((input) => [input.metadata.name, stored(input)]));
          slices = slices
            .filter((slice) => !deleted.includes(slice))
            .map((slice) => changed.get(slice.metadata.name) ?? slice)
            .concat(create.map(stored));
          const held = slices.flatMap(({ endpoints = [] }) => endpoints.map(({ targetRef }) => targetRef?.name ?? ''));
          expect(held.toSorted()).toEqual(workloads.map((one) => one.metadata.name).toSorted());
          expect(slices.every(({ endpoints = [] }) => endpoints.length > 0 && endpoints.length <= max)).toBe(true);
          expect(changes(service(), workloads, slices, max)).toEqual({ create: [], update: [], delete: [] });
        }
      }),
    );
  });
});
