// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's process: environment in, exit code out (proxy-contract §1.1, §9). 64 = the configuration cannot be used, 1 = it could not
 * be built up (a port is taken, say), 0 = stopped in order, also when the grace period ran out.
 */
import { readFileSync } from 'node:fs';
import { ConfigError, Proxy, parseConfig } from '@weft/proxy';
import { Logger } from '@weft/telemetry';
import { settleMemory } from './settle-memory.ts';

const EX_USAGE = 64;

declare const WEFT_VERSION: string | undefined;
const version = typeof WEFT_VERSION === 'string' ? WEFT_VERSION : '0.0.0-dev';

if (process.argv.includes('--version')) {
  process.stdout.write(`${version}\n`);
  process.exit(0);
}

process.exitCode = await main();

async function main(): Promise<number> {
  let parsed;
  try {
    parsed = parseConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stdout.write(`Invalid configuration: ${error.message}\n`);
    process.exit(EX_USAGE);
  }
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
    if (error instanceof ConfigError) {
      log.error('Invalid configuration', { error: error.message });
      process.exit(EX_USAGE);
    }
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

/** The cgroup's memory limit as text, for the log. */
function memoryLimit(): string {
  try {
    return readFileSync('/sys/fs/cgroup/memory.max', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
