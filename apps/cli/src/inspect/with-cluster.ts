// SPDX-License-Identifier: Apache-2.0
/* Frame of a command that looks at a cluster: connects, works, and leaves no forward open, whatever happens. */
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import type { Cluster } from '../kube/cluster.ts';
import { connectCluster } from '../kube/connect-cluster.ts';

/** Runs `work` with the cluster of the global flags. */
export async function withCluster<T>(context: CommandContext, work: (cluster: Cluster, globals: GlobalOptions) => Promise<T>): Promise<T> {
  const globals = context.globals();
  const cluster = await connectCluster(globals, context.err);
  try {
    return await work(cluster, globals);
  } finally {
    cluster.close();
  }
}
