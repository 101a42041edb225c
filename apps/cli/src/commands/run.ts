// SPDX-License-Identifier: Apache-2.0
/*
 * `weft run DIR`: a mesh on this machine until Ctrl-C, or for a given time with a verdict at the end.
 */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import {
  checkMachine,
  formatSummary,
  HostRun,
  HostRunError,
  installCommand,
  isRunning,
  manifestCommands,
  missingPackages,
  mustRun,
  removeDeadRuns,
  removeRun,
  RUN_BASES,
  runPaths,
  summarise,
  thisMachine,
  TrafficMonitor,
} from '@weft/host-run';
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { findMeshFiles } from '../mesh-files.ts';
import { plainView, type RunView, screenView } from './live-view.ts';
import { checkRunOptions, type RawRunOptions, type RunOptions } from './run-options.ts';

const READ_EVERY_MS = 1000;
/** With `--for`, everything must be ready in this time. */
const SETTLE_LIMIT_MS = 180_000;

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .argument('[directory]', 'Kubernetes manifests; containers are local commands')
    .option('--name <name>', 'name of the run; default: made from the directory')
    .option('--for <duration>', 'end after this time (30s, 5m) with a summary; exit 1 if a request failed')
    .option('--output <format>', 'text or json', 'text')
    .option('--pod-network <cidr>', 'network of the pods; default: the first free one of 10.244.0.0/16 and below')
    .option('--settle <duration>', 'between a pod leaving the endpoints and SIGTERM', '1s')
    .option('--default-inbound-policy <policy>', 'for ports that no Server selects', 'all-unauthenticated')
    .option('--proxy-env <name=value...>', 'extra environment of every proxy')
    .option('--install-deps', 'install missing Debian packages, visibly')
    .option('--clean', 'only remove what earlier runs have left behind')
    .option('--no-view', 'plain lines, also in a terminal')
    .action(async (directory: string | undefined, options: RawRunOptions) => {
      context.finish(await run(directory, options, context.argv));
    });
}

/** Runs it; resolves with the exit code. */
export async function run(directory: string | undefined, raw: RawRunOptions, argv: readonly string[]): Promise<number> {
  let options: RunOptions;
  try {
    options = checkRunOptions(raw);
    if (directory === undefined && !options.cleans) throw new RangeError('name a directory of manifests');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return 2;
  }
  try {
    checkMachine(thisMachine(), `weft ${argv.join(' ')}`);
    if (options.cleans) return await clean(options.name);
    return await runDirectory(directory as string, options);
  } catch (error) {
    if (!(error instanceof HostRunError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

async function clean(name: string | undefined): Promise<number> {
  if (name !== undefined && isRunning(runPaths(name))) {
    process.stderr.write(`the run ${name} is running; end it first\n`);
    return 1;
  }
  const removed =
    name === undefined ? await removeDeadRuns(RUN_BASES, mustRun) : new Map([[name, await removeRun(runPaths(name), mustRun)]]);
  for (const [one, { processes, namespaces, links }] of removed) {
    process.stdout.write(`${one}: ${processes} processes, ${namespaces} network namespaces, ${links} links removed\n`);
  }
  if (removed.size === 0) process.stdout.write('nothing was left behind\n');
  return 0;
}

async function runDirectory(directory: string, options: RunOptions): Promise<number> {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new HostRunError('ERR_RUN_ARGUMENT', `${directory} is not a directory of manifests`);
  }
  provideTools(directory, options.installsDeps);
  const isScreen = process.stdout.isTTY && options.hasView && !options.isJson;
  const view = isScreen
    ? screenView((text) => process.stdout.write(text))
    : plainView((text) => (options.isJson ? process.stderr : process.stdout).write(text), !options.isJson);
  const host = new HostRun(
    {
      ...findMeshFiles(),
      directory,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.podNetwork === undefined ? {} : { podNetwork: options.podNetwork }),
      settleMs: options.settleMs,
      defaultInboundPolicy: options.defaultInboundPolicy,
      proxyEnv: options.proxyEnv,
    },
    {
      onEvent: (message) => view.onEvent(message),
      onProblem: ({ file, line, reason, object }) => view.onEvent(`${file}:${line}: ${object === undefined ? '' : `${object}: `}${reason}`),
      onHealed: (file) => view.onEvent(`${file} is in force again`),
      onLine: ({ metadata }, container, line) => view.onLine(`${metadata.namespace}/${metadata.name} ${container}`, line),
    },
  );
  const ended = untilSignal(host, view);
  endOnDefect(host);
  await host.start();
  try {
    return await follow(host, view, options, ended);
  } finally {
    view.close();
    await host.stop();
  }
}

/** Resolves at the first signal; the second ends everything at once. */
function untilSignal(host: HostRun, view: RunView): AbortSignal {
  const controller = new AbortController();
  let count = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      count += 1;
      if (count === 1) {
        view.onEvent(`${signal}: ending; once more to end at once`);
        controller.abort();
      } else void host.kill().then(() => process.exit(1));
    });
  }
  return controller.signal;
}

/** A defect of ours ends the run, and still leaves nothing behind. */
function endOnDefect(host: HostRun): void {
  const end = (error: unknown): void => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    void host.kill().finally(() => process.exit(1));
  };
  process.once('uncaughtException', end);
  process.once('unhandledRejection', end);
}

/** Reads the traffic until the end; resolves with the exit code. */
async function follow(host: HostRun, view: RunView, options: RunOptions, ended: AbortSignal): Promise<number> {
  const monitor = new TrafficMonitor();
  const startedMs = performance.now();
  let readyMs: number | undefined;
  while (!ended.aborted) {
    await pause(READ_EVERY_MS, ended);
    await monitor.update(host.monitoredPods(), performance.now());
    const nowMs = performance.now();
    if (readyMs === undefined && host.isSettled) {
      readyMs = nowMs;
      monitor.startTotal(nowMs);
      view.onEvent(`everything is ready after ${((nowMs - startedMs) / 1000).toFixed(1)} s`);
    }
    const { tables, spanMs } = monitor.window;
    const pods = host.pods();
    view.update(summarise(tables, spanMs, monitor.failures), {
      name: host.paths.name,
      pods: pods.length,
      readyPods: pods.filter((pod) => pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')).length,
      problems: host.problems().map(({ file, line, reason }) => `${file}:${line}: ${reason}`),
      logs: host.paths.logs,
    });
    if (options.forMs === undefined) continue;
    if (readyMs === undefined && nowMs - startedMs > SETTLE_LIMIT_MS) {
      process.stderr.write(`not everything was ready after ${SETTLE_LIMIT_MS / 1000} s; see ${host.paths.logs}\n`);
      return 1;
    }
    if (readyMs !== undefined && nowMs - readyMs >= options.forMs) break;
  }
  if (options.forMs === undefined) return 0;
  const { tables, spanMs } = monitor.total(performance.now());
  const summary = summarise(tables, spanMs, monitor.failures);
  if (options.isJson) {
    process.stdout.write(`${JSON.stringify({ run: host.paths.name, ...summary, problems: host.problems() })}\n`);
  } else {
    process.stdout.write(`\n${formatSummary(summary)}\n\n${summary.failures} failed in ${summary.seconds.toFixed(0)} s\n`);
  }
  return summary.failures === 0 ? 0 : 1;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

/** Tools of the run and programs of the containers: installed where that was asked for, named where not. */
function provideTools(directory: string, installs: boolean): void {
  const machine = thisMachine();
  // A program's Debian package mostly has its name.
  const programs = manifestCommands(directory).map((name) => [name, name] as const);
  const missing = missingPackages(machine, programs);
  if (missing.length === 0) return;
  const command = installCommand(missing);
  if (!installs) {
    const tools = missingPackages(machine);
    const line = `missing programs; type: ${command.join(' ')} (or add --install-deps)`;
    if (tools.length > 0) throw new HostRunError('ERR_RUN_MISSING_TOOLS', line);
    // The containers' programs may be on their way, or named by another package.
    process.stderr.write(`${line}\n`);
    return;
  }
  process.stderr.write(`${command.join(' ')}\n`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = (): number | null =>
    spawnSync(command[0] as string, command.slice(1), { stdio: ['ignore', 2, 2], env: environment }).status;
  if (install() === 0) return;
  spawnSync('apt-get', ['update'], { stdio: ['ignore', 2, 2], env: environment });
  if (install() !== 0) throw new HostRunError('ERR_RUN_MISSING_TOOLS', `could not install ${missing.join(' ')}; install them by hand`);
}
