// SPDX-License-Identifier: Apache-2.0
/*
 * `weft top` (features CLI-53): the busiest routes of workloads, drawn again and again. Rows are routes, not paths: proxies count by route;
 * single requests are for tap.
 */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { formatTable } from '@weft/host-run/view';
import type { CommandContext } from '../command-context.ts';
import type { Cluster } from '../kube/cluster.ts';
import type { TrafficRow } from '../inspect/traffic-rows.ts';
import { trafficCells } from '../inspect/traffic-format.ts';
import { SYSTEM_CLOCK, TrafficWatch, type WatchClock } from '../inspect/traffic-watch.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import { addTrafficOptions, durationOption, trafficQuery, type TrafficOptions } from './traffic-options.ts';

export interface TopOptions extends TrafficOptions {
  readonly interval: number;
  /** 0: without end. */
  readonly count: number;
}

/** Rows of one screen. */
const MAX_ROWS = 40;
const CLEAR = '\u001b[H\u001b[2J\u001b[3J';

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  addTrafficOptions(command.argument('<resource...>', 'kind or kind/name: ns, po, deploy, sts, ds, job, svc, …'))
    .addOption(durationOption('--interval <duration>', 'time between two readings', '2s'))
    .addOption(new Option('--count <number>', 'tables to draw; 0 for no end').argParser(parseCount).default(0))
    .action(async (words: string[], options: TopOptions) => {
      const isScreen = process.stdout.isTTY;
      await withCluster(context, (cluster, { linkerdNamespace }) =>
        top(cluster, linkerdNamespace, words, options, { ...context, isScreen }, SYSTEM_CLOCK),
      );
    });
}

/** Looks and draws until the count is reached. */
export async function top(
  cluster: Cluster,
  controlPlane: string,
  words: readonly string[],
  options: TopOptions,
  { out, err, isScreen }: Pick<CommandContext, 'out' | 'err'> & { readonly isScreen: boolean },
  clock: WatchClock,
): Promise<void> {
  const query = trafficQuery(words, options, cluster.defaultNamespace);
  const watch = await TrafficWatch.start(
    cluster,
    controlPlane,
    query,
    clock,
    ({ namespace, name }, message) => err(`cannot read the proxy of ${namespace}/${name}: ${message}\n`),
    (plan) => (source, sample) => {
      const row = plan.rowOf(source, sample);
      return row === undefined ? undefined : `${row}\n${routeOf(sample.labels)}`;
    },
  );
  try {
    for (let drawn = 0; options.count === 0 || drawn < options.count; drawn += 1) {
      const { rows, seconds } = await watch.next(options.interval);
      out(`${isScreen ? CLEAR : ''}${topTable(rows, seconds)}\n${isScreen ? '' : '\n'}`);
    }
  } finally {
    watch.close();
  }
}

/** The table, busiest first. */
export function topTable(rows: ReadonlyMap<string, TrafficRow>, seconds: number): string {
  const lines = [...rows]
    .filter(([, { stats }]) => stats.requests > 0)
    .toSorted(([keyA, a], [keyB, b]) => b.stats.requests - a.stats.requests || (keyA < keyB ? -1 : 1))
    .slice(0, MAX_ROWS)
    .map(([key, row]) => [...key.split('\n'), ...trafficCells(row, seconds)]);
  if (lines.length === 0) return 'No requests seen.';
  return formatTable(['NAMESPACE', 'NAME', 'ROUTE', 'SUCCESS', 'RPS', 'LATENCY_P50', 'LATENCY_P95', 'LATENCY_P99'], lines);
}

/** `HTTPRoute/web`; the default route is `[default]`, as in the reference's tables. */
function routeOf({ route_kind: kind = '', route_name: name = '' }: Readonly<Record<string, string>>): string {
  if (name === '') return '-';
  return kind === 'default' || kind === '' ? `[${name}]` : `${kind}/${name}`;
}

function parseCount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return Number(text);
}
