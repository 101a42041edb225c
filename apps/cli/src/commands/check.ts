// SPDX-License-Identifier: Apache-2.0
/* `weft check` (features CLI-35 to CLI-39): flags, the run, and the program's exit code, 1 when anything failed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { NamespaceKind } from '@weft/resources';
import { categoriesOf } from '../check/categories.ts';
import type { CheckScope } from '../check/categories.ts';
import type { CheckResult } from '../check/check.ts';
import { findExtensionPrograms, METADATA_TIMEOUT_MS, runExtensionCheck } from '../check/extension-checks.ts';
import { fetchLatestVersion } from '../check/latest-version.ts';
import { Lookups } from '../check/lookups.ts';
import { CHECK_OUTPUTS, isSuccess, jsonReport, TableWriter } from '../check/report.ts';
import type { CheckOutput } from '../check/report.ts';
import { runChecks } from '../check/run-checks.ts';
import { CommandFailure } from '../command-context.ts';
import type { CommandContext, GlobalOptions } from '../command-context.ts';
import { parseDurationMs } from '../duration.ts';
import { DEFAULT_CNI_NAMESPACE, DEFAULT_NAMESPACE, namespaceName } from '../global-options.ts';
import { connectCluster } from '../kube/connect-cluster.ts';
import type { Cluster } from '../kube/cluster.ts';
import { EXTENSION_LABEL } from '../kube/mesh-config.ts';
import { VERSION } from '../version.ts';

/** As in the reference. */
const DEFAULT_WAIT_MS = 300_000;

interface RawCheckOptions {
  readonly pre?: boolean;
  readonly crds?: boolean;
  readonly proxy?: boolean;
  readonly namespace?: string;
  readonly output: CheckOutput;
  readonly wait: number;
  readonly expectedVersion?: string;
  readonly cliVersionOverride?: string;
  readonly linkerdCniEnabled?: boolean;
}

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .option('--pre', 'before an installation: is the cluster fit for it?')
    .option('--crds', 'only the custom resources of an installation')
    .option('--proxy', 'also the proxies in the pods')
    .option('-n, --namespace <namespace>', 'with --proxy: pods of this namespace; default: all', namespaceName)
    .addOption(new Option('-o, --output <format>', 'form of the results').choices(CHECK_OUTPUTS).default('table'))
    .addOption(
      new Option('--wait <duration>', 'how long to wait for what may still come').default(DEFAULT_WAIT_MS, '5m').argParser(duration),
    )
    .option('--expected-version <version>', 'instead of asking for the newest release')
    .option('--cli-version-override <version>', 'instead of the version of this program')
    .option('--linkerd-cni-enabled', 'with --pre: the CNI plugin must be there')
    .action(async (options: RawCheckOptions) => {
      context.finish(await check(options, context));
    });
}

function duration(text: string): number {
  const ms = text === '0' ? 0 : parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError(`${text} is no duration such as 30s or 5m.`);
  return ms;
}

function scopeOf(options: RawCheckOptions): CheckScope {
  const chosen = (['pre', 'crds', 'proxy'] as const).filter((name) => options[name] === true);
  if (chosen.length > 1) throw new CommandFailure(`--${chosen.join(' and --')} exclude one another`);
  return chosen[0] ?? 'installed';
}

async function check(options: RawCheckOptions, context: CommandContext): Promise<number> {
  const scope = scopeOf(options);
  const globals = context.globals();
  const clusters: Cluster[] = [];
  const lookups = new Lookups({
    settings: {
      controlPlaneNamespace: globals.linkerdNamespace,
      cniNamespace: globals.cniNamespace,
      dataPlaneNamespace: options.namespace ?? '',
      cliVersion: options.cliVersionOverride ?? VERSION,
      isCniExpected: options.linkerdCniEnabled === true,
    },
    connect: async () => {
      const cluster = await connectCluster(globals, context.err);
      clusters.push(cluster);
      return cluster;
    },
    latestVersion: () => (options.expectedVersion === undefined ? fetchLatestVersion() : Promise.resolve(options.expectedVersion)),
    nowMs: Date.now,
  });
  const table = options.output === 'json' ? undefined : new TableWriter(context.out, options.output === 'short');
  const report = (result: CheckResult): void => table?.add(result);
  const isTold = process.stderr.isTTY && options.output === 'table';
  const results = [
    ...(await runChecks(categoriesOf(scope), lookups, {
      nowMs: Date.now,
      sleep: (ms) => sleep(ms),
      waitMs: options.wait,
      onResult: report,
      ...(isTold ? { onRetry: (waiting, message): void => context.err(`\u001B[2K\r… ${waiting.description}: ${oneLine(message)}\r`) } : {}),
    })),
  ];
  if (isTold) context.err('\u001B[2K');
  if (scope === 'installed' || scope === 'proxy') {
    results.push(...(await checkExtensions(lookups, options, globals, table, results)));
  }
  if (table === undefined) context.out(jsonReport(results));
  else table.finish(results);
  for (const cluster of clusters) cluster.close();
  return isSuccess(results) ? 0 : 1;
}

async function checkExtensions(
  lookups: Lookups,
  options: RawCheckOptions,
  globals: GlobalOptions,
  table: TableWriter | undefined,
  coreResults: readonly CheckResult[],
): Promise<readonly CheckResult[]> {
  // Without a cluster there is nothing to be asked.
  const namespaces = await lookups.list(NamespaceKind, { labelSelector: EXTENSION_LABEL }).catch(() => []);
  const programs = await findExtensionPrograms(namespaces.map(({ metadata }) => metadata.labels[EXTENSION_LABEL] ?? ''));
  if (programs.length === 0) return [];
  if (options.output === 'table') table?.finish(coreResults);
  table?.section('Linkerd extensions checks');
  const results: CheckResult[] = [];
  for (const program of programs) {
    for (const result of await runExtensionCheck(program, extensionArguments(options, globals), options.wait + METADATA_TIMEOUT_MS)) {
      results.push(result);
      table?.add(result);
    }
  }
  return results;
}

/** The flags of this run that an extension understands (EX-01); only those that say something. */
export function extensionArguments(options: Pick<RawCheckOptions, 'proxy' | 'namespace' | 'wait'>, globals: GlobalOptions): string[] {
  const args: string[] = [];
  if (globals.linkerdNamespace !== DEFAULT_NAMESPACE) args.push('--linkerd-namespace', globals.linkerdNamespace);
  if (globals.cniNamespace !== DEFAULT_CNI_NAMESPACE) args.push('--cni-namespace', globals.cniNamespace);
  if (globals.kubeconfig !== undefined) args.push('--kubeconfig', globals.kubeconfig);
  if (globals.context !== undefined) args.push('--context', globals.context);
  if (globals.as !== undefined) args.push('--as', globals.as);
  for (const group of globals.asGroup) args.push('--as-group', group);
  if (globals.apiAddr !== undefined) args.push('--api-addr', globals.apiAddr);
  if (options.proxy === true) args.push('--proxy');
  if (options.namespace !== undefined) args.push('--namespace', options.namespace);
  if (options.wait !== DEFAULT_WAIT_MS) args.push('--wait', `${Math.ceil(options.wait / 1000)}s`);
  return args;
}

function oneLine(text: string): string {
  return (text.split('\n')[0] ?? '').slice(0, 100);
}
