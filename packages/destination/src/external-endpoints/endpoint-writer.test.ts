// SPDX-License-Identifier: Apache-2.0
import {
  createMemorySource,
  EndpointSliceKind,
  ExternalWorkloadKind,
  ResourceError,
  ServiceKind,
  type LocalSource,
  type ResourceInput,
} from '@weft/resources';
import { Logger } from '@weft/telemetry';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { EndpointWriter } from './endpoint-writer.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const SERVICE: ResourceInput = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'legacy', namespace: 'shop' },
  spec: { clusterIP: '10.96.0.1', ipFamilies: ['IPv4'], selector: { app: 'legacy' }, ports: [{ port: 80, targetPort: 8080 }] },
};

function workload(name: string, ip: string): ResourceInput {
  return {
    apiVersion: 'workload.linkerd.io/v1beta1',
    kind: 'ExternalWorkload',
    metadata: { name, namespace: 'shop', labels: { app: 'legacy' } },
    spec: { meshTLS: { identity: name, serverName: name }, workloadIPs: [{ ip }], ports: [{ port: 8080 }] },
  };
}

interface Counts {
  writes: number;
  failures: number;
  drops: number;
}

function start(objects: readonly ResourceInput[]): { source: LocalSource; writer: EndpointWriter; counts: Counts } {
  const source = createMemorySource({ objects });
  const counts = { writes: 0, failures: 0, drops: 0 };
  const writer = new EndpointWriter(source, Logger.silent(), {
    written: () => (counts.writes += 1),
    failed: () => (counts.failures += 1),
    dropped: () => (counts.drops += 1),
  });
  cleanups.push(async () => {
    writer.close();
    await source.close();
  });
  return { source, writer, counts };
}

async function addresses(source: LocalSource): Promise<string[]> {
  const slices = await source.list(EndpointSliceKind);
  return slices.flatMap(({ endpoints = [] }) => endpoints.flatMap((endpoint) => endpoint.addresses)).toSorted();
}

describe('[LB-16] [HA-03] the writer of external endpoints', () => {
  it('writes nothing until it leads, then follows workloads and Services', async () => {
    const { source, writer, counts } = start([SERVICE, workload('one', '192.0.2.1')]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await addresses(source)).toEqual([]);
    writer.lead(true);
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['192.0.2.1']));
    await source.create(ExternalWorkloadKind, workload('two', '192.0.2.2'));
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['192.0.2.1', '192.0.2.2']));
    await source.delete(ExternalWorkloadKind, 'shop', 'one');
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['192.0.2.2']));
    await source.delete(ServiceKind, 'shop', 'legacy');
    await vi.waitFor(async () => expect(await source.list(EndpointSliceKind)).toEqual([]));
    expect(counts).toEqual({ writes: 4, failures: 0, drops: 0 });
  });

  it('repairs what others do to its slices, and leaves those of others alone', async () => {
    const foreign = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'legacy-abc', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'legacy' } },
      addressType: 'IPv4',
      ports: [],
      endpoints: [{ addresses: ['10.0.0.9'] }],
    };
    const { source, writer } = start([SERVICE, workload('one', '192.0.2.1'), foreign]);
    writer.lead(true);
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['10.0.0.9', '192.0.2.1']));
    const ours = (await source.list(EndpointSliceKind)).find(({ metadata }) => metadata.name !== 'legacy-abc');
    await source.patch(EndpointSliceKind, 'shop', ours?.metadata.name ?? '', { endpoints: [] }, 'vandal');
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['10.0.0.9', '192.0.2.1']));
  });

  it('tries again what failed', async () => {
    const { source, writer, counts } = start([SERVICE, workload('one', '192.0.2.1')]);
    const create = source.create.bind(source);
    let failures = 3;
    source.create = (kind, object) => {
      failures -= 1;
      return failures < 0 ? create(kind, object) : Promise.reject(new ResourceError('ERR_UNAVAILABLE', 'away'));
    };
    writer.lead(true);
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['192.0.2.1']), 5000);
    expect(counts).toEqual({ writes: 1, failures: 3, drops: 0 });
  });

  it('stops when it no longer leads, and goes on from what is there when it leads again', async () => {
    const { source, writer, counts } = start([SERVICE, workload('one', '192.0.2.1')]);
    writer.lead(true);
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['192.0.2.1']));
    writer.lead(false);
    await source.create(ExternalWorkloadKind, workload('two', '192.0.2.2'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await addresses(source)).toEqual(['192.0.2.1']);
    writer.lead(true);
    await vi.waitFor(async () => expect(await addresses(source)).toEqual(['192.0.2.1', '192.0.2.2']));
    expect(counts.writes).toBe(2);
  });
});
