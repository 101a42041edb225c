// SPDX-License-Identifier: Apache-2.0
/*
 * A Kubernetes cluster for tests, behind one interface: `local` runs Kubernetes' own binaries on this machine (docs/guides/test-cluster.md), `kind`
 * runs it in containers where Docker and a registry are there (GitHub Actions). Tests ask for the interface and never for the provider.
 */
import { attachKindCluster, createKindCluster, removeKindCluster } from './kind/kind-cluster.ts';
import { attachLocalCluster, createLocalCluster, removeLocalCluster } from './local/local-cluster.ts';

export type ClusterProvider = 'local' | 'kind';
/** The families of pod and Service addresses; `dual` has IPv4 first. */
export type IpFamily = 'ipv4' | 'dual';

/** What a test asks for. */
export interface ClusterRequest {
  /** Default: `$WEFT_CLUSTER_PROVIDER`, else `local`. */
  readonly provider?: ClusterProvider;
  /** 1 to 3; 0 is a control plane without nodes (local only). */
  readonly nodes: number;
  readonly ipFamily: IpFamily;
  /** 0 to 9: clusters of different numbers run side by side. */
  readonly index: number;
  /** OCI archives whose images every node has from the start. Default: the one of tests (images/test-images.ts). */
  readonly images?: readonly string[];
  /** Leaves the cluster running when this process ends, until someone destroys it. */
  readonly isKept?: boolean;
  /** The process whose end makes the cluster a leftover, which the next start of its number removes. Default: this one (local only). */
  readonly makerPid?: number;
  /** Receives a line for each step. */
  readonly log?: (line: string) => void;
}

/** One node. */
export interface ClusterNode {
  readonly name: string;
  /** Value of its label `topology.kubernetes.io/zone`. */
  readonly zone: string;
  /** Its internal addresses, IPv4 first. */
  readonly addresses: readonly string[];
}

/** A cluster that runs. */
export interface Cluster {
  readonly name: string;
  readonly provider: ClusterProvider;
  /** Path of a kubeconfig with all rights. */
  readonly kubeconfig: string;
  /** Path or name of a kubectl that suits it. */
  readonly kubectl: string;
  readonly nodes: readonly ClusterNode[];
  /** The address at which pods and the API server reach servers of this machine; undefined where they cannot. */
  readonly hostAddress: string | undefined;
  /** Makes the images of these OCI archives usable on every node, by their references, without a registry. */
  loadImages(archives: readonly string[]): Promise<void>;
  /** The command line that runs `argv` as root in a node's network, mount and process namespaces. Throws for an unknown node. */
  nodeCommand(node: string, argv: readonly string[]): readonly string[];
  /** Ends a node as a power cut would; it does not come back. */
  killNode(node: string): Promise<void>;
  /** Removes everything that creating it made. May be called again. */
  destroy(): Promise<void>;
}

/** The provider that is used where none is asked for. Throws for an unknown name in the environment. */
export function defaultProvider(): ClusterProvider {
  const name = process.env.WEFT_CLUSTER_PROVIDER ?? 'local';
  if (name !== 'local' && name !== 'kind') throw new Error(`WEFT_CLUSTER_PROVIDER=${name}: there are local and kind`);
  return name;
}

/** Makes a cluster whose nodes are ready and whose DNS answers. Throws where it cannot, with everything removed again. */
export async function createCluster(request: ClusterRequest): Promise<Cluster> {
  return (request.provider ?? defaultProvider()) === 'kind' ? createKindCluster(request) : createLocalCluster(request);
}

/** A cluster that another process made and keeps. Throws where none of this number runs. */
export async function attachCluster(index: number, provider: ClusterProvider = defaultProvider()): Promise<Cluster> {
  return provider === 'kind' ? attachKindCluster(index) : attachLocalCluster(index);
}

/** Removes cluster `index`, running or half made or left by a killed process. Returns whether there was anything. */
export async function removeCluster(index: number, provider: ClusterProvider = defaultProvider()): Promise<boolean> {
  return provider === 'kind' ? removeKindCluster(index) : removeLocalCluster(index);
}
