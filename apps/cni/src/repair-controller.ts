// SPDX-License-Identifier: Apache-2.0
/*
 * `cni-repair-controller`: deletes pods of its node that started before the plugin was there (proxy-contract §10.4). Settings come from
 * `LINKERD_CNI_REPAIR_CONTROLLER_{NODE_NAME,POD_NAME,LOG_LEVEL,LOG_FORMAT}`; metrics and probes are on port 9990. Exit codes: 0 after a
 * signal, 1 when it cannot start.
 */
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { RepairController } from '@weft/cni';
import { type AdminServer, startAdminServer } from '@weft/grpc-server';
import { createKubernetesSource, inClusterConnection } from '@weft/resources';
import { promRegistry } from '@weft/telemetry/prom';
import { controlLogger, untilSignal } from './control-log.ts';
import { repairMetrics } from './repair-metrics.ts';

const PREFIX = 'LINKERD_CNI_REPAIR_CONTROLLER_';
const DEFAULT_ADMIN_PORT = 9990;
/** Between two attempts to listen, in milliseconds. */
const LISTEN_RETRY_MS = 500;

const setting = (name: string): string => process.env[`${PREFIX}${name}`] ?? '';
const logger = controlLogger('cni-repair-controller', setting('LOG_LEVEL') || 'info', setting('LOG_FORMAT'));

async function main(): Promise<void> {
  const [nodeName, podName] = [setting('NODE_NAME'), setting('POD_NAME')];
  if (nodeName === '' || podName === '') throw new Error(`${PREFIX}NODE_NAME and ${PREFIX}POD_NAME are needed`);
  const connection = await inClusterConnection(process.env, process.env['SERVICE_ACCOUNT_PATH'] || undefined);
  if (connection === undefined) throw new Error('KUBERNETES_SERVICE_HOST is not set: this has to run in a pod');
  const stop = untilSignal(logger);
  const source = createKubernetesSource({
    ...connection,
    userAgent: 'weft-cni-repair-controller',
    onRetry: (_kind, error, delayMs) => logger.warn('Cannot watch pods', { error: (error as Error).message, retry_ms: delayMs }),
  });
  const registry = promRegistry();
  const controller = new RepairController({ source, nodeName, podName, logger, metrics: repairMetrics(registry) });
  const port = Number(setting('ADMIN_PORT') || DEFAULT_ADMIN_PORT);
  const options = { isReady: () => controller.isSynced, metrics: () => registry.metrics(), metricsContentType: registry.contentType };
  controller.start();
  logger.info('Watching pods', { node: nodeName });
  const admin = await startAdmin(port, options, stop);
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  await controller.close();
  await source.close();
  await admin?.close();
}

/**
 * On both families, or IPv4 alone where the node has no IPv6. The port is the node's, and the pod before this one may hold it a little
 * longer: that is waited for, while pods are already repaired. Undefined when `stop` came first.
 */
async function startAdmin(
  port: number,
  options: Parameters<typeof startAdminServer>[2],
  stop: AbortSignal,
): Promise<AdminServer | undefined> {
  for (let hasSaid = false; !stop.aborted; hasSaid = true) {
    try {
      return await startAdminServer('::', port, options).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE') throw error;
        return startAdminServer('0.0.0.0', port, options);
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      if (!hasSaid) logger.warn('The admin port is still in use: waiting', { port });
      await sleep(LISTEN_RETRY_MS);
    }
  }
  return undefined;
}

try {
  await main();
  process.exit(0);
} catch (error) {
  logger.error('The repair controller cannot run', { error: (error as Error).message });
  process.exit(1);
}
