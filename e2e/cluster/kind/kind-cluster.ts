// SPDX-License-Identifier: Apache-2.0
/*
 * The provider `kind`: nodes as containers, for machines that have Docker and a registry (GitHub Actions). Uses the commands `kind`, `docker` and
 * `kubectl` of the PATH. `$WEFT_KIND_NODE_IMAGE` chooses the version of Kubernetes; without it kind's own default runs.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../../../tools/cache.ts';
import type { Cluster, ClusterNode, ClusterRequest } from '../cluster.ts';
import { makeTestImages } from '../images/test-images.ts';

const run = promisify(execFile);
const READY_TIMEOUT = '180s';
const MAX_OUTPUT_BYTES = 16 << 20;
const ZONE_LABEL = 'topology.kubernetes.io/zone';
const INTERNAL = 'InternalIP';

const clusterName = (index: number): string => `weft${index}`;
const directoryOf = (index: number): string => join(cacheDirectory(), 'clusters', `kind-${clusterName(index)}`);
const kubeconfigOf = (index: number): string => join(directoryOf(index), 'kubeconfig');
/** Its presence says that the cluster outlives its maker. */
const keptFile = (index: number): string => join(directoryOf(index), 'kept');

/** The arguments of `kind create cluster`, and its configuration, which is JSON and so YAML. */
export function kindCreation({ index, nodes, ipFamily }: Pick<ClusterRequest, 'index' | 'nodes' | 'ipFamily'>): {
  readonly args: readonly string[];
  readonly configuration: object;
} {
  const image = process.env.WEFT_KIND_NODE_IMAGE ?? '';
  const args = ['create', 'cluster', '--name', clusterName(index), '--config', join(directoryOf(index), 'kind.json')];
  return {
    args: [...args, '--kubeconfig', kubeconfigOf(index), '--wait', READY_TIMEOUT, ...(image === '' ? [] : ['--image', image])],
    configuration: {
      kind: 'Cluster',
      apiVersion: 'kind.x-k8s.io/v1alpha4',
      networking: { ipFamily },
      // Where there are workers, kind taints the control plane; here every node takes pods.
      kubeadmConfigPatches: ['kind: InitConfiguration\nnodeRegistration:\n  taints: []\n'],
      nodes: Array.from({ length: nodes }, (_, at) => ({
        role: at === 0 ? 'control-plane' : 'worker',
        labels: { [ZONE_LABEL]: `zone-${at + 1}` },
      })),
    },
  };
}

/** Makes a cluster. Throws where one of its number is kept, or where a command fails. */
export async function createKindCluster(request: ClusterRequest): Promise<Cluster> {
  const { index, nodes, isKept = false, log } = request;
  if (nodes < 1) throw new RangeError('a kind cluster has at least one node');
  if ((await lines('kind', ['get', 'clusters'])).includes(clusterName(index))) {
    if (existsSync(keptFile(index)))
      throw new Error(`cluster ${clusterName(index)} is up and kept: npm run cluster -- down --index ${index}`);
    log?.(`removing what an earlier ${clusterName(index)} had left`);
    await removeKindCluster(index);
  }
  const { args, configuration } = kindCreation(request);
  mkdirSync(directoryOf(index), { recursive: true, mode: 0o700 });
  writeFileSync(join(directoryOf(index), 'kind.json'), JSON.stringify(configuration));
  try {
    await command('kind', args);
    log?.('nodes ready');
    if (isKept) writeFileSync(keptFile(index), '');
    const cluster = await attachKindCluster(index);
    await cluster.loadImages(request.images ?? makeTestImages(false).others);
    return cluster;
  } catch (error) {
    await removeKindCluster(index);
    throw error;
  }
}

interface NodeList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
    readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] };
  }[];
}

/** A cluster that runs already. */
export async function attachKindCluster(index: number): Promise<Cluster> {
  const name = clusterName(index);
  const kubeconfig = kubeconfigOf(index);
  if (!existsSync(directoryOf(index))) throw new Error(`no cluster ${name} runs: npm run cluster`);
  const list = JSON.parse(await command('kubectl', ['--kubeconfig', kubeconfig, 'get', 'nodes', '-o', 'json'])) as NodeList;
  const nodes: readonly ClusterNode[] = list.items.map(({ metadata, status }) => ({
    name: metadata.name,
    zone: metadata.labels[ZONE_LABEL] ?? '',
    addresses: status.addresses.filter(({ type }) => type === INTERNAL).map(({ address }) => address),
  }));
  const knownNode = (node: string): string => {
    if (!nodes.some((candidate) => candidate.name === node)) throw new Error(`${name} has no node ${node}`);
    return node;
  };
  const gateways = JSON.parse(await command('docker', ['network', 'inspect', 'kind', '--format', '{{json .IPAM.Config}}'])) as readonly {
    readonly Gateway?: string;
  }[];
  return {
    name,
    provider: 'kind',
    kubeconfig,
    kubectl: 'kubectl',
    nodes,
    hostAddress: gateways.map(({ Gateway }) => Gateway).find((address) => address !== undefined && !address.includes(':')),
    nodeCommand: (node, argv) => ['docker', 'exec', '-i', knownNode(node), ...argv],
    loadImages: async (archives) => {
      for (const archive of archives) await command('kind', ['load', 'image-archive', archive, '--name', name]);
    },
    killNode: async (node) => {
      await command('docker', ['kill', knownNode(node)]);
    },
    destroy: async () => {
      await removeKindCluster(index);
    },
  };
}

/** Removes cluster `index`. Returns whether there was one. */
export async function removeKindCluster(index: number): Promise<boolean> {
  const existed = (await lines('kind', ['get', 'clusters'])).includes(clusterName(index));
  if (existed) await command('kind', ['delete', 'cluster', '--name', clusterName(index), '--kubeconfig', kubeconfigOf(index)]);
  rmSync(directoryOf(index), { recursive: true, force: true });
  return existed;
}

async function command(name: string, args: readonly string[]): Promise<string> {
  return (await run(name, [...args], { maxBuffer: MAX_OUTPUT_BYTES })).stdout;
}

async function lines(name: string, args: readonly string[]): Promise<readonly string[]> {
  return (await command(name, args)).split('\n');
}
