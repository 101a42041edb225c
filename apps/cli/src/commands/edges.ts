// SPDX-License-Identifier: Apache-2.0
/* `weft edges` (features CLI-51): connections between workloads and whether they are secured, from the clients' proxies. */
import { Option, type Command } from 'commander';
import { parseSamples } from '@weft/host-run/view';
import type { CommandContext } from '../command-context.ts';
import type { Cluster } from '../kube/cluster.ts';
import { edgesJson, edgesOf, edgesTable, isEdgeMetric } from '../inspect/edges.ts';
import { ProxyReadings } from '../inspect/proxy-readings.ts';
import { parseResource } from '../inspect/resource-argument.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import { readPods } from '../inspect/workloads.ts';
import { addScopeOptions, scopeOf, type TrafficOptions } from './traffic-options.ts';

export interface EdgesOptions extends TrafficOptions {
  readonly output: 'table' | 'wide' | 'json';
}

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  addScopeOptions(command.argument('<resource...>', 'kind or kind/name: ns, po, deploy, sts, ds, job, …'))
    .addOption(new Option('-o, --output <format>', 'table, wide or json').choices(['table', 'wide', 'json']).default('table'))
    .action(async (words: string[], options: EdgesOptions) => {
      await withCluster(context, (cluster, { linkerdNamespace }) => edges(cluster, linkerdNamespace, words, options, context));
    });
}

/** Looks and writes. */
export async function edges(
  cluster: Cluster,
  controlPlane: string,
  words: readonly string[],
  options: EdgesOptions,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
): Promise<void> {
  const resource = parseResource(words);
  const namespace = scopeOf(options, cluster.defaultNamespace);
  // Clients of a namespace's workloads may be in any other.
  const pods = await readPods(cluster, controlPlane);
  const readers = pods.filter(({ isMeshed, isRunning }) => isMeshed && isRunning);
  const readings = new ProxyReadings(cluster);
  try {
    const texts = await readings.read(readers, (pod, message) =>
      err(`cannot read the proxy of ${pod.namespace}/${pod.name}: ${message}\n`),
    );
    const clients = readers.map((source) => ({
      source,
      samples: parseSamples(texts.get(`${source.namespace}/${source.name}`) ?? '', isEdgeMetric),
    }));
    const found = edgesOf(clients, pods, resource, namespace);
    if (options.output === 'json') out(edgesJson(found));
    else if (found.length === 0) err('No edges found.\n');
    else out(`${edgesTable(found, options.output === 'wide')}\n`);
  } finally {
    readings.close();
  }
}
