// SPDX-License-Identifier: Apache-2.0
/*
 * A second cluster beside the shared one, with two nodes and both address families: what one node cannot show, and what a start and an end do to
 * the machine. Only for the local provider: what kind leaves behind is kind's.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCluster, removeCluster, type Cluster } from './cluster.ts';
import { echoApp } from './harness/apps.ts';
import { eventually } from './harness/eventually.ts';
import { Kube } from './harness/kube.ts';
import type { Echo, Pod } from './harness/objects.ts';
import { tracesOfLocalCluster } from './local/local-cluster.ts';
import { reportFailures, secondClusterIndex, sharedCluster } from './shared-cluster.ts';

const NODES = 2;
/** The controllers wait 50 s for a node that says nothing. */
const NOTICE_TIMEOUT_MS = 120_000;
const index = secondClusterIndex();
let cluster: Cluster;
let kube: Kube;
let pods: readonly Pod[] = [];
let serviceAddresses: readonly string[] = [];

reportFailures(() => [kube]);

beforeAll(async () => {
  await sharedCluster();
  cluster = await createCluster({ provider: 'local', nodes: NODES, ipFamily: 'dual', index });
  kube = await new Kube(cluster).createNamespace('nodes');
  await kube.apply(
    ...echoApp({ name: 'spread', replicas: NODES, isSpread: true, serviceSpec: { ipFamilyPolicy: 'RequireDualStack', type: 'NodePort' } }),
  );
  await kube.rollout('deploy/spread');
  pods = await kube.pods('app=spread');
  const service = await kube.get<{ readonly spec: { readonly clusterIPs: readonly string[] } }>('service', 'spread');
  serviceAddresses = service?.spec.clusterIPs ?? [];
});
afterAll(async () => removeCluster(index, 'local'));

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
const addressesOf = (pod: Pod): readonly string[] => pod.status.podIPs?.map(({ ip }) => ip) ?? [];
async function ask(from: Pod, address: string, port: number): Promise<Echo> {
  return JSON.parse((await kube.curl(from.metadata.name, `http://${bracketed(address)}:${port}/`)).body) as Echo;
}

describe('two nodes and two families beside another cluster', () => {
  it('puts one pod on each node, in the range of that node', () => {
    expect(new Set(pods.map(({ spec }) => spec.nodeName))).toEqual(new Set(cluster.nodes.map(({ name }) => name)));
    for (const pod of pods) {
      const number = pod.spec.nodeName?.replace('node', '');
      expect(addressesOf(pod)).toEqual([
        expect.stringMatching(new RegExp(`^10\\.${244 + index}\\.${number}\\.`)),
        expect.stringMatching(new RegExp(`^fd10:244:${index}:${number}::`)),
      ]);
    }
  });

  it('carries every pod’s traffic to every pod by each address, unchanged', async () => {
    for (const from of pods)
      for (const to of pods)
        for (const [at, address] of addressesOf(to).entries()) {
          const seen = await ask(from, address, 8080);
          expect(seen.pod).toBe(to.metadata.name);
          expect(seen.from.replace('::ffff:', '')).toBe(addressesOf(from)[at]);
        }
  });

  it('balances the Service’s address of each family over both nodes, from each node', async () => {
    expect(serviceAddresses).toHaveLength(2);
    for (const from of pods)
      for (const address of serviceAddresses) {
        const loop = `for i in $(seq 40); do curl -s http://${bracketed(address)}/; done`;
        const { stdout } = await kube.exec(from.metadata.name, ['sh', '-c', loop]);
        const nodes = stdout
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as Echo).node);
        expect(new Set(nodes)).toEqual(new Set(cluster.nodes.map(({ name }) => name)));
      }
  });

  it('executes and reads logs on each node', async () => {
    for (const { metadata } of pods) {
      expect((await kube.exec(metadata.name, ['hostname'])).stdout.trim()).toBe(metadata.name);
      expect(await kube.logs(metadata.name)).toContain('listening');
    }
  });

  it('keeps the clusters apart', async () => {
    const shared = new Kube(await sharedCluster());
    expect(await shared.get('namespace', kube.namespace)).toBeUndefined();
    const names = async (of: Kube): Promise<readonly string[]> => (await of.list('nodes')).map(({ metadata }) => metadata.uid);
    expect(await names(kube)).not.toEqual(expect.arrayContaining([...(await names(shared))]));
  });

  it('notices that a node has died', async () => {
    await cluster.killNode('node2');
    expect(() => cluster.nodeCommand('node2', ['true'])).toThrow('does not run');
    await eventually(
      'node2 is not ready',
      async () => {
        const node = await kube.get<Pod>('node', 'node2');
        return node?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'Unknown');
      },
      { timeoutMs: NOTICE_TIMEOUT_MS },
    );
  });

  it('refuses a number that is in use', async () => {
    await expect(createCluster({ provider: 'local', nodes: 1, ipFamily: 'ipv4', index })).rejects.toThrow('destroy it first');
  });

  it('leaves nothing when it is destroyed, and the other cluster goes on', async () => {
    expect(await tracesOfLocalCluster(index)).not.toEqual([]);
    await cluster.destroy();
    await cluster.destroy();
    expect(await tracesOfLocalCluster(index)).toEqual([]);
    expect(await new Kube(await sharedCluster()).list('nodes')).not.toEqual([]);
  });
});

describe('what a killed maker leaves', () => {
  const make = (options: string): string =>
    `import { createCluster } from ${JSON.stringify(`${import.meta.dirname}/cluster.ts`)};
     await createCluster({ provider: 'local', nodes: 0, ipFamily: 'ipv4', index: ${index}, ${options} });
     console.log('made'); setInterval(() => {}, 1000);`;

  it('is removed by the next start; a kept cluster is not', async () => {
    const maker = spawn(process.execPath, ['--input-type=module', '-e', make('')], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(maker.stdout, 'data');
    await expect(createCluster({ provider: 'local', nodes: 0, ipFamily: 'ipv4', index })).rejects.toThrow(
      `belongs to process ${maker.pid}`,
    );
    maker.kill('SIGKILL');
    await once(maker, 'close');
    expect(await tracesOfLocalCluster(index)).not.toEqual([]);

    const lines: string[] = [];
    await createCluster({ provider: 'local', nodes: 0, ipFamily: 'ipv4', index, isKept: true, log: (line) => lines.push(line) });
    expect(lines[0]).toContain(`removed what an earlier weft${index} had left`);
    await expect(createCluster({ provider: 'local', nodes: 0, ipFamily: 'ipv4', index })).rejects.toThrow('is up and kept');
    await removeCluster(index, 'local');
    expect(await tracesOfLocalCluster(index)).toEqual([]);
  });
});
