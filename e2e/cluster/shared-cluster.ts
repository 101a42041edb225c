// SPDX-License-Identifier: Apache-2.0
/*
 * The cluster that the suites of one run share: three nodes, made when the first suite asks, removed at the end of the run. Each suite keeps to
 * namespaces of its own; one that breaks nodes or the mesh itself makes a cluster of its own, with another number.
 *
 * `$WEFT_CLUSTER_INDEX` (default 0) is its number, and the one after it is free for a second. `WEFT_CLUSTER_ATTACH=9` uses a cluster that runs already
 * (`npm run cluster`) and leaves it as it is: the quickest way to write a test.
 */
import { afterEach } from 'vitest';
import { attachCluster, createCluster, type Cluster } from './cluster.ts';
import { Kube } from './harness/kube.ts';
import { hasMesh, installMesh } from './harness/mesh.ts';

const SHARED_NODES = 3;

/** The number of the shared cluster of this run. */
export function sharedClusterIndex(): number {
  return Number(process.env.WEFT_CLUSTER_ATTACH ?? process.env.WEFT_CLUSTER_INDEX ?? 0);
}

/** A number that is free for a cluster of a suite's own. */
export function secondClusterIndex(): number {
  return sharedClusterIndex() + 1;
}

/** The shared cluster, made where this run has none yet. */
export async function sharedCluster(): Promise<Cluster> {
  const index = sharedClusterIndex();
  if (process.env.WEFT_CLUSTER_ATTACH !== undefined) return attachCluster(index);
  const makerPid = Number(process.env.WEFT_CLUSTER_MAKER ?? process.pid);
  return attachCluster(index).catch(async () =>
    createCluster({ nodes: SHARED_NODES, ipFamily: 'ipv4', index, makerPid, log: (line) => console.log(`cluster: ${line}`) }),
  );
}

/** Prints what the namespaces hold after each test that fails. Call it at a file's top level. */
export function reportFailures(namespaces: () => readonly (Kube | undefined)[]): void {
  afterEach(async ({ task }) => {
    if (task.result?.state !== 'fail') return;
    for (const kube of namespaces()) if (kube !== undefined) console.log(await kube.report());
  });
}

/** The shared cluster with a mesh in it, installed with the charts' defaults where this run has none yet. */
export async function sharedMesh(): Promise<Kube> {
  const kube = new Kube(await sharedCluster());
  if (!(await hasMesh(kube))) await installMesh(kube, { log: (line) => console.log(`mesh: ${line}`) });
  return kube;
}
