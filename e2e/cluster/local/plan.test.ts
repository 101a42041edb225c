// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MAX_CLUSTER_INDEX, planCluster, type ClusterPlan } from './plan.ts';

const all: readonly ClusterPlan[] = Array.from({ length: MAX_CLUSTER_INDEX + 1 }, (_, index) => planCluster(index, 3, 'dual', '/cache'));

/** Everything of a plan that the machine has only once. */
function uniqueThings(plan: ClusterPlan): readonly string[] {
  const nodes = plan.nodes.flatMap((node) => [node.link, node.directory, node.cgroup, ...node.addresses, ...node.podRanges]);
  return [plan.name, plan.bridge, plan.directory, ...plan.hostAddresses, ...plan.serviceRanges, plan.dnsAddress, plan.apiUrl, ...nodes];
}

describe('the plan of a cluster', () => {
  it('shares nothing with that of another number', () => {
    const things = all.flatMap(uniqueThings);
    expect(new Set(things).size).toBe(things.length);
  });

  it('keeps Services, pods and nodes in ranges of their own', () => {
    const second = (address: string): number => Number(address.split('.')[1]);
    const octets = all.flatMap((plan) => [plan.podRanges[0] ?? '', plan.serviceRanges[0] ?? ''].map(second));
    expect(new Set(octets).size).toBe(octets.length);
    expect(octets).not.toContain(99);
    expect(octets.every((octet) => octet >= 0 && octet <= 255)).toBe(true);
  });

  it('has names that fit a link', () => {
    for (const plan of all) for (const name of [plan.bridge, ...plan.nodes.map(({ link }) => link)]) expect(name.length).toBeLessThan(16);
  });

  it('puts a pod range of each node inside that of the cluster', () => {
    const [plan] = all as [ClusterPlan];
    expect(plan.nodes.map(({ name, zone, addresses, podRanges }) => [name, zone, addresses, podRanges])).toEqual([
      ['node1', 'zone-1', ['10.99.0.2', 'fd10:99:0::2'], ['10.244.1.0/24', 'fd10:244:0:1::/64']],
      ['node2', 'zone-2', ['10.99.0.3', 'fd10:99:0::3'], ['10.244.2.0/24', 'fd10:244:0:2::/64']],
      ['node3', 'zone-3', ['10.99.0.4', 'fd10:99:0::4'], ['10.244.3.0/24', 'fd10:244:0:3::/64']],
    ]);
    expect([plan.podRanges, plan.serviceRanges]).toEqual([
      ['10.244.0.0/16', 'fd10:244:0::/48'],
      ['10.96.0.0/16', 'fd10:96:0::/112'],
    ]);
  });

  it('has no IPv6 unless asked, and one set of namespaces even without nodes', () => {
    const plan = planCluster(4, 0, 'ipv4', '/cache');
    expect(JSON.stringify(plan)).not.toContain('fd10');
    expect(plan).toMatchObject({ nodeCount: 0, nodes: [{ name: 'node1' }], kubeconfig: '/cache/clusters/weft4/pki/admin.conf' });
  });

  it.each([
    [-1, 1],
    [10, 1],
    [0.5, 1],
    [0, 4],
    [0, -1],
    [Number.NaN, 1],
  ])('refuses number %d with %d nodes', (index, nodes) => {
    expect(() => planCluster(index, nodes, 'ipv4', '/cache')).toThrow(RangeError);
  });
});
