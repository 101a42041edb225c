// SPDX-License-Identifier: Apache-2.0
/* `weft diagnostics proxy-metrics` (features CLI-31): the metrics of the proxies of a pod or a workload. */
import type { Command } from 'commander';
import { CommandFailure, type CommandContext } from '../../command-context.ts';
import { namespaceName } from '../../global-options.ts';
import { obfuscateMetrics } from '../../inspect/obfuscate.ts';
import { ProxyReadings } from '../../inspect/proxy-readings.ts';
import { parseResource } from '../../inspect/resource-argument.ts';
import { withCluster } from '../../inspect/with-cluster.ts';
import { readPods, rowName } from '../../inspect/workloads.ts';
import type { Cluster } from '../../kube/cluster.ts';

export interface ProxyMetricsOptions {
  readonly namespace?: string;
  readonly obfuscate?: boolean;
}

/** Flags and action. */
export function defineProxyMetrics(command: Command, context: CommandContext): void {
  command
    .argument('<resource...>', 'kind or kind/name: po/web-1, deploy/web, …')
    .option('-n, --namespace <namespace>', "namespace; default: that of the kubeconfig's context", namespaceName)
    .option('--obfuscate', 'hash names and addresses')
    .action(async (words: string[], options: ProxyMetricsOptions) => {
      await withCluster(context, (cluster, { linkerdNamespace }) => proxyMetrics(cluster, linkerdNamespace, words, options, context));
    });
}

/** Reads and writes. */
export async function proxyMetrics(
  cluster: Cluster,
  controlPlane: string,
  words: readonly string[],
  options: ProxyMetricsOptions,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
): Promise<void> {
  const resource = parseResource(words);
  if (resource.kind === 'service') throw new CommandFailure('a Service has no proxy of its own; name a workload or a pod');
  const namespace = options.namespace ?? cluster.defaultNamespace;
  const scope = resource.kind === 'namespace' && resource.name !== undefined ? resource.name : namespace;
  const pods = (await readPods(cluster, controlPlane, scope))
    .filter((pod) => pod.isMeshed && pod.isRunning && rowName(pod, resource) !== undefined)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (pods.length === 0) throw new CommandFailure(`no meshed pod of ${words.join('/')} runs in namespace ${scope}`);
  const readings = new ProxyReadings(cluster);
  try {
    const texts = await readings.read(pods, (pod, message) => err(`cannot read the proxy of ${pod.namespace}/${pod.name}: ${message}\n`));
    for (const [index, pod] of pods.entries()) {
      const text = texts.get(`${pod.namespace}/${pod.name}`) ?? '# ERROR not read\n';
      out(`#\n# POD ${pod.name} (${index + 1} of ${pods.length})\n#\n${options.obfuscate === true ? obfuscateMetrics(text) : text}`);
    }
    if (texts.size === 0) throw new CommandFailure('none of the proxies could be read');
  } finally {
    readings.close();
  }
}
