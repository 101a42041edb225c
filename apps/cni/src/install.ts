// SPDX-License-Identifier: Apache-2.0
/*
 * `cni-install`: puts the plugin on its node and keeps it there until it is told to go (proxy-contract §10.3). Exit codes: 0 after a
 * signal, 1 when the node cannot be written to or the environment says nothing usable.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { daemonSetStays, Installer, readSettings, runInstaller } from '@weft/cni';
import { createKubernetesSource, inClusterConnection } from '@weft/resources';
import { controlLogger, untilSignal } from './control-log.ts';

/** At the end there is not much time to ask, in milliseconds. */
const RESTART_QUESTION_TIMEOUT_MS = 3000;

const logger = controlLogger('cni-install', process.env['LOG_LEVEL'] ?? 'info', process.env['LOG_FORMAT'] ?? 'plain');

async function main(): Promise<void> {
  const settings = await readSettings(process.env);
  const installer = new Installer(settings, logger);
  const isOnlyRestart = async (): Promise<boolean> => {
    try {
      const connection = await inClusterConnection(process.env, settings.serviceAccountDir);
      if (connection === undefined) return false;
      const source = createKubernetesSource({ ...connection, requestTimeoutMs: RESTART_QUESTION_TIMEOUT_MS, userAgent: 'weft-cni' });
      const namespace = (await readFile(join(settings.serviceAccountDir, 'namespace'), 'utf8')).trim();
      try {
        return await daemonSetStays(source, namespace, settings.daemonSetName, logger);
      } finally {
        await source.close();
      }
    } catch (error) {
      logger.warn('Cannot tell whether this is a restart', { error: (error as Error).message });
      return false;
    }
  };
  await runInstaller({ installer, settings, logger, stop: untilSignal(logger), isOnlyRestart });
}

try {
  await main();
  process.exit(0);
} catch (error) {
  logger.error('The plugin is not installed', { error: (error as Error).message });
  process.exit(1);
}
