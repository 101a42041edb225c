// SPDX-License-Identifier: Apache-2.0
/*
 * Memory of discovery and policy in a big cluster: ten thousand meshed pods behind a thousand Services on a real API server, two streams for each
 * Service, pods that change, a list that is read again. What counts is private memory (RssAnon) of the built program with the flags that its
 * image runs it with.
 */
import { readFileSync } from 'node:fs';

import { destination } from '@weft/proto';
import { EndpointSliceKind, PodKind, ServiceKind } from '@weft/resources';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { startApiServer, type TestApiServer } from '../control-plane/api-server.ts';
import { serviceAccountKubeconfig, startController, type ControllerProcess } from '../control-plane/controller-process.ts';
import { CONTROL_PLANE_NAMESPACE, install, type Installation } from '../control-plane/installation.ts';
import { populate, serviceNamespace, type Population } from '../control-plane/populate.ts';
import { secondClusterIndex } from '../shared-cluster.ts';

const POPULATION: Population = { namespaces: 50, nodes: 100, services: 1000, podsPerService: 10 };
const POD_COUNT = POPULATION.services * POPULATION.podsPerService;
/** The bar for discovery, in kilobytes of RssAnon. */
const MAX_DESTINATION_KB = 250 * 1024;
const CHANGED_PODS = 500;
const LONG = { timeout: 300_000, interval: 500 };

const MANIFEST = JSON.parse(readFileSync(new URL('../../../apps/controller/package.json', import.meta.url), 'utf8')) as {
  readonly weft: { readonly nodeFlags: readonly string[] };
};
const BUILT = [...MANIFEST.weft.nodeFlags, 'dist/main.js'];

let api: TestApiServer;
let installation: Installation;
let account: { readonly path: string; remove(): void };
const processes: ControllerProcess[] = [];

beforeAll(async () => {
  api = await startApiServer(secondClusterIndex());
  installation = await install(api);
  account = await serviceAccountKubeconfig(api, CONTROL_PLANE_NAMESPACE, 'linkerd-destination');
  const writer = api.connect({ maxConnections: 32 });
  const startedMs = performance.now();
  if ((await writer.list(EndpointSliceKind)).length < POPULATION.services) await populate(writer, POPULATION);
  await writer.close();
  report('populated', `${POD_COUNT} pods in ${seconds(startedMs)}`);
}, 1_200_000);
afterAll(async () => {
  for (const process of processes) await process.stop();
  account.remove();
  await api.close();
}, 120_000);

describe(`memory with ${POD_COUNT} pods`, () => {
  it('of discovery stays within 250 MB, whatever its clients and the cluster do', async () => {
    const startedMs = performance.now();
    const process = await start('destination', ['-addr=127.0.0.1:0', '-metrics-addr=127.0.0.1:0', `-kubeconfig=${account.path}`]);
    await vi.waitFor(async () => expect(await process.get('/ready')).toMatch(/^200/), LONG);
    report('destination', `ready after ${seconds(startedMs)}`);
    const cached = Number(/^pods_cache_size\{cluster="local"\} (\d+)$/m.exec(await process.get('/metrics'))?.[1]);
    expect(cached).toBeGreaterThanOrEqual(POD_COUNT);
    measure('destination, caches filled', process);

    const services = await api.source.list(ServiceKind);
    const clusterIps = new Map(services.map(({ metadata, spec }) => [`${metadata.namespace}/${metadata.name}`, spec?.clusterIP ?? '']));
    const streams = Array.from({ length: POPULATION.services }, (_, index) => {
      const namespace = serviceNamespace(index, POPULATION);
      const contextToken = JSON.stringify({ ns: namespace, nodeName: `fake-${index % POPULATION.nodes}`, pod: `client-${index}` });
      const { get, getProfile } = destination.Destination.method;
      return {
        endpoints: process.stream(get, { scheme: 'k8s', path: `svc-${index}.${namespace}.svc.cluster.local:80`, contextToken }),
        profile: process.stream(getProfile, { path: `${clusterIps.get(`${namespace}/svc-${index}`)}:80`, contextToken }),
      };
    });
    await vi.waitFor(() => {
      const waiting = streams.filter(({ endpoints, profile }) => endpoints.messages.length === 0 || profile.messages.length === 0);
      expect(waiting.length).toBe(0);
    }, LONG);
    const [first] = streams[0]?.endpoints.messages ?? [];
    expect(first?.update.case === 'add' ? first.update.value.addrs.length : 0).toBe(POPULATION.podsPerService);
    measure(`destination, ${2 * streams.length} streams`, process);

    const before = streams.reduce((sum, { endpoints }) => sum + endpoints.messages.length, 0);
    for (let index = 0; index < CHANGED_PODS; index += 1) {
      const namespace = serviceNamespace(index, POPULATION);
      const name = `app-${index}-5d4f8c7b9-${index * POPULATION.podsPerService}`;
      await api.source.patch(PodKind, namespace, name, { metadata: { annotations: { 'e2e.example/turn': `${Date.now()}` } } }, 'weft-e2e');
    }
    const changedMs = performance.now();
    // The slices follow, as a Deployment that rolls has it: each pod is told of again.
    for (let index = 0; index < CHANGED_PODS; index += 1) {
      const namespace = serviceNamespace(index, POPULATION);
      await api.source.patch(
        EndpointSliceKind,
        namespace,
        `svc-${index}-abcde`,
        { metadata: { labels: { turn: `${Date.now()}` } } },
        'weft-e2e',
      );
    }
    await vi.waitFor(() => {
      const after = streams.reduce((sum, { endpoints }) => sum + endpoints.messages.length, 0);
      expect(after - before).toBeGreaterThanOrEqual(CHANGED_PODS);
    }, LONG);
    report('destination', `told of ${CHANGED_PODS} changes within ${seconds(changedMs)}`);
    measure('destination, after changes', process);
    expect(privateKb(process)).toBeLessThanOrEqual(MAX_DESTINATION_KB);
  });

  it('of policy is told', async () => {
    const startedMs = performance.now();
    const flags = [
      '--grpc-addr=127.0.0.1:0',
      '--admin-addr=127.0.0.1:0',
      '--admission-controller-disabled',
      `--kubeconfig=${account.path}`,
    ];
    const process = await start('policy', flags);
    await vi.waitFor(async () => expect(await process.get('/ready')).toMatch(/^200/), LONG);
    report('policy', `ready after ${seconds(startedMs)}`);
    measure('policy, caches filled', process);
    expect(privateKb(process)).toBeGreaterThan(0);
  });
});

async function start(container: 'destination' | 'policy', flags: readonly string[]): Promise<ControllerProcess> {
  const args = [...installation.argsOf('linkerd-destination', container), ...flags, '-log-format=json'];
  const started = await startController(args, `${container}-0`, BUILT);
  processes.push(started);
  return started;
}

/** Private memory now, in kilobytes. */
function privateKb({ process }: ControllerProcess): number {
  return statusKb(process.pid, 'RssAnon');
}

function statusKb(pid: number | undefined, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

function measure(what: string, running: ControllerProcess): void {
  const { pid } = running.process;
  const megabytes = (field: string): string => (statusKb(pid, field) / 1024).toFixed(1);
  report(what, `RssAnon ${megabytes('RssAnon')} MB, peak of all resident memory ${megabytes('VmHWM')} MB`);
}

function report(what: string, text: string): void {
  console.log(`scale: ${what}: ${text}`);
}

function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;
}
