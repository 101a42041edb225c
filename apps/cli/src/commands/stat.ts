// SPDX-License-Identifier: Apache-2.0
/* `weft stat` (features CLI-46): success, rate and latency of workloads, from their proxies' own metrics over a short window. */
import { Option, type Command } from 'commander';
import { CommandFailure, type CommandContext } from '../command-context.ts';
import type { Cluster } from '../kube/cluster.ts';
import { trafficJson, trafficTable } from '../inspect/traffic-format.ts';
import { namedRows } from '../inspect/traffic-query.ts';
import { SYSTEM_CLOCK, TrafficWatch, type WatchClock } from '../inspect/traffic-watch.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import { addTrafficOptions, durationOption, trafficQuery, type TrafficOptions } from './traffic-options.ts';

export interface StatOptions extends TrafficOptions {
  readonly timeWindow: number;
  readonly output: 'table' | 'wide' | 'json';
  readonly unmeshed?: boolean;
}

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  addTrafficOptions(command.argument('<resource...>', 'kind or kind/name: ns, po, deploy, sts, ds, job, svc, …'))
    .addOption(durationOption('-t, --time-window <duration>', 'how long to look', '5s'))
    .addOption(new Option('-o, --output <format>', 'table, wide or json').choices(['table', 'wide', 'json']).default('table'))
    .option('--unmeshed', 'also workloads without any proxy')
    .action(async (words: string[], options: StatOptions) => {
      await withCluster(context, (cluster, { linkerdNamespace }) => stat(cluster, linkerdNamespace, words, options, context, SYSTEM_CLOCK));
    });
}

/** Looks and writes. */
export async function stat(
  cluster: Cluster,
  controlPlane: string,
  words: readonly string[],
  options: StatOptions,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
  clock: WatchClock,
): Promise<void> {
  const query = trafficQuery(words, options, cluster.defaultNamespace);
  const watch = await TrafficWatch.start(cluster, controlPlane, query, clock, ({ namespace, name }, message) =>
    err(`cannot read the proxy of ${namespace}/${name}: ${message}\n`),
  );
  try {
    const { pods, rows: traffic, seconds } = await watch.next(options.timeWindow);
    const rows = namedRows(query, pods, traffic, options.unmeshed === true);
    if (rows.length === 0 && query.subject.name !== undefined) {
      throw new CommandFailure(`nothing is seen of ${words.join('/')}; does it run in the mesh? --unmeshed shows what does not`);
    }
    if (options.output === 'json') out(trafficJson(rows, seconds));
    else if (rows.length === 0) err('No traffic found.\n');
    else {
      const style = {
        hasNamespace: query.subject.namespace === undefined && query.subject.kind !== 'namespace',
        isWide: options.output === 'wide',
      };
      out(`${trafficTable(rows, seconds, style)}\n`);
    }
  } finally {
    watch.close();
  }
}
