// SPDX-License-Identifier: Apache-2.0
/* Around a whole run of cluster suites: removes what an earlier run left before it, and the shared cluster after it. */
import { removeCluster } from './cluster.ts';
import { sharedClusterIndex } from './shared-cluster.ts';

/** Called by vitest in the process that outlives the test files; what it returns is called at the end. */
export default async function setup(): Promise<() => Promise<void>> {
  if (process.env.WEFT_CLUSTER_ATTACH !== undefined) return async () => undefined;
  process.env.WEFT_CLUSTER_MAKER = String(process.pid);
  await removeCluster(sharedClusterIndex());
  return async () => {
    await removeCluster(sharedClusterIndex());
  };
}
