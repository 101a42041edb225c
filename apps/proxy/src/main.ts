// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's process: environment in, exit code out (proxy-contract §1.1, §9). 64 = the configuration cannot be used, 1 = it could not
 * be built up (a port is taken, say), 0 = stopped in order, also when the grace period ran out.
 */
import { readFileSync, writeSync } from 'node:fs';
import { ConfigError, type ConfigRefusal, Proxy, configure, refusalOf } from '@weft/proxy';
import { Logger } from '@weft/telemetry';
import { settleMemory } from './settle-memory.ts';

declare const WEFT_VERSION: string | undefined;
const version = typeof WEFT_VERSION === 'string' ? WEFT_VERSION : '0.0.0-dev';

if (process.argv.includes('--version')) {
  process.stdout.write(`${version}\n`);
  process.exit(0);
}

process.exitCode = await main();

async function main(): Promise<number> {
  const parsed = configure(process.env);
  if ('line' in parsed) return refuse(parsed);
  const { config, warnings } = parsed;
  const log = Logger.create({ filter: config.log, format: config.logFormat, target: 'linkerd_weft' });
  for (const warning of warnings) log.warn(warning);
  log.info('weft proxy', { version, node: process.version, uid: process.getuid?.() ?? -1, memory: memoryLimit() });

  process.on('uncaughtException', (error) => {
    // Every callback of the data path has a boundary of its own: what comes here is a defect that left no connection to blame.
    log.error('uncaught exception', { error: error.stack ?? error.message });
    process.exit(1);
  });
  process.on('unhandledRejection', (reason) => {
    log.error('unhandled rejection', { error: reason instanceof Error ? (reason.stack ?? reason.message) : String(reason) });
    process.exit(1);
  });

  let proxy: Proxy;
  try {
    proxy = new Proxy({
      config,
      environment: process.env,
      log,
      version,
      logFilter: { get: () => log.filterText, set: (text) => log.setFilter(text) },
      accessLogSink: (line) => void process.stderr.write(`${line}\n`),
    });
    await proxy.start();
    settleMemory();
  } catch (error) {
    // Files and certificates that the configuration names are looked at while the proxy is built up.
    if (error instanceof ConfigError) return refuse(refusalOf(error));
    log.error('cannot start', { error: (error as Error).message });
    process.exit(1);
  }
  const stopped = new Promise<void>((resolve) => {
    proxy.whenStopped(resolve);
    const onSignal = (): void => void proxy.stop();
    process.once('SIGTERM', onSignal);
    process.once('SIGINT', onSignal);
  });
  await stopped;
  // Timers and idle connections to the control plane must not keep the process.
  setImmediate(() => process.exit(0));
  return 0;
}

/** Says what is wrong and ends the process at once: what has been opened so far must not keep it. */
function refuse({ exitCode, line }: ConfigRefusal): never {
  writeSync(1, `${line}\n`);
  process.exit(exitCode);
}

/** The cgroup's memory limit as text, for the log. */
function memoryLimit(): string {
  try {
    return readFileSync('/sys/fs/cgroup/memory.max', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
