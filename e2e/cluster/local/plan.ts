// SPDX-License-Identifier: Apache-2.0
/*
 * Names, addresses and paths of a local cluster, all derived from its number, so that two clusters share nothing and what an earlier run left can be
 * found by name. Cluster N has 10.99.N.0/24 between its nodes and the machine, pods in 10.(244+N).0.0/16, Services in 10.(96-N).0.0/16, and with
 * IPv6 the group N in fd10:99:N::/64, fd10:244:N::/48 and fd10:96:N::/112.
 */
import { join } from 'node:path';
import { cacheDirectory } from '../../../tools/cache.ts';
import type { IpFamily } from '../cluster.ts';

/** Numbers beyond these would leave the address ranges above. */
export const MAX_CLUSTER_INDEX = 9;
/** The machine is one: more nodes than this only wait for each other. */
export const MAX_NODES = 3;
/** The Service address range begins with the API server's address, and DNS has the tenth, as everywhere. */
const DNS_HOST_NUMBER = 10;
export const CLUSTER_DOMAIN = 'cluster.local';

/** One node's part of the plan. */
export interface NodePlan {
  /** From 1; node 1 also runs the control plane. */
  readonly number: number;
  readonly name: string;
  readonly zone: string;
  /** Addresses of the node itself: IPv4, then IPv6 where the cluster has it. */
  readonly addresses: readonly string[];
  /** Pod ranges, in the same order. */
  readonly podRanges: readonly string[];
  /** The link of the machine that leads to it. */
  readonly link: string;
  /** Its containers, kubelet directory and CNI state. */
  readonly directory: string;
  /** Below each hierarchy of /sys/fs/cgroup. */
  readonly cgroup: string;
}

/** Everything that is fixed before a cluster is made. */
export interface ClusterPlan {
  readonly name: string;
  readonly index: number;
  readonly ipFamily: IpFamily;
  /** 0: a control plane without kubelet; it still has the namespaces of node 1. */
  readonly nodeCount: number;
  /** The namespaces to make: at least one. */
  readonly nodes: readonly NodePlan[];
  readonly bridge: string;
  /** The bridge's own; a bridge takes the lowest of its ports otherwise, and neighbours lose it when a node joins. */
  readonly bridgeMac: string;
  /** The machine's addresses on the bridge. */
  readonly hostAddresses: readonly string[];
  readonly podRanges: readonly string[];
  readonly serviceRanges: readonly string[];
  /** Of the Service `kubernetes`. */
  readonly apiServiceAddress: string;
  readonly dnsAddress: string;
  readonly apiUrl: string;
  /** All state of this cluster. */
  readonly directory: string;
  readonly kubeconfig: string;
}

/** The plan of a cluster. Throws RangeError for a number or a count that there are no addresses for. */
export function planCluster(index: number, nodeCount: number, ipFamily: IpFamily, cache: string = cacheDirectory()): ClusterPlan {
  if (!Number.isInteger(index) || index < 0 || index > MAX_CLUSTER_INDEX)
    throw new RangeError(`a cluster's number is 0 to ${MAX_CLUSTER_INDEX}, not ${index}`);
  if (!Number.isInteger(nodeCount) || nodeCount < 0 || nodeCount > MAX_NODES)
    throw new RangeError(`a local cluster has 0 to ${MAX_NODES} nodes, not ${nodeCount}`);
  const name = `weft${index}`;
  const directory = join(cache, 'clusters', name);
  const families = (ipv4: string, ipv6: string): readonly string[] => (ipFamily === 'dual' ? [ipv4, ipv6] : [ipv4]);
  const nodes = Array.from({ length: Math.max(nodeCount, 1) }, (_, at): NodePlan => {
    const number = at + 1;
    return {
      number,
      name: `node${number}`,
      zone: `zone-${number}`,
      addresses: families(`10.99.${index}.${number + 1}`, `fd10:99:${index}::${number + 1}`),
      podRanges: families(`10.${244 + index}.${number}.0/24`, `fd10:244:${index}:${number}::/64`),
      link: `${name}p${number}`,
      directory: join(directory, `node${number}`),
      cgroup: `/${name}/node${number}`,
    };
  });
  const serviceNetwork = `10.${96 - index}`;
  return {
    name,
    index,
    ipFamily,
    nodeCount,
    nodes,
    bridge: `${name}h0`,
    bridgeMac: `02:00:0a:63:0${index}:01`,
    hostAddresses: families(`10.99.${index}.1`, `fd10:99:${index}::1`),
    podRanges: families(`10.${244 + index}.0.0/16`, `fd10:244:${index}::/48`),
    serviceRanges: families(`${serviceNetwork}.0.0/16`, `fd10:96:${index}::/112`),
    apiServiceAddress: `${serviceNetwork}.0.1`,
    dnsAddress: `${serviceNetwork}.0.${DNS_HOST_NUMBER}`,
    apiUrl: `https://10.99.${index}.2:6443`,
    directory,
    kubeconfig: join(directory, 'pki/admin.conf'),
  };
}
