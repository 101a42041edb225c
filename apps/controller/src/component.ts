// SPDX-License-Identifier: Apache-2.0
/*
 * The frame that every sub-command runs in: admin server first (so that probes are answered while caches fill), then the component, then
 * signals. It ends in order: not ready, streams ended, watches closed, admin server last; a component that fails ends the process with 1,
 * so that whoever runs it starts it again.
 */
import { startAdminServer, type AdminServer } from '@weft/grpc-server';
import type { Logger } from '@weft/telemetry';
import { promRegistry, type PromRegistry } from '@weft/telemetry/prom';
import type { ListenAddress } from './flags.ts';

/** What a component is given. */
export interface ComponentFrame {
  readonly logger: Logger;
  readonly registry: PromRegistry;
}

/** A running component. */
export interface Component {
  readonly isReady: boolean;
  /** Rejects when the component cannot go on; never resolves before `close`. */
  readonly failed: Promise<never>;
  /** Ends streams, then watches. */
  close(): Promise<void>;
}

export interface ComponentInit {
  readonly name: string;
  readonly adminAddress: ListenAddress;
  readonly logger: Logger;
  start(frame: ComponentFrame): Promise<Component>;
}

/** Streams may take this long to end after a signal; Kubernetes gives thirty seconds in all. */
export const SHUTDOWN_GRACE_MS = 10_000;

/** Runs a component until a signal or its failure; resolves with the exit code. */
export async function runComponent(init: ComponentInit): Promise<number> {
  const { logger } = init;
  const registry = promRegistry();
  const state: { component: Component | undefined; isStopping: boolean } = { component: undefined, isStopping: false };
  const stopped = untilSignal(logger);
  let admin: AdminServer | undefined;
  try {
    admin = await startAdmin(init.adminAddress, {
      isReady: () => state.component?.isReady === true && !state.isStopping,
      metrics: () => registry.metrics(),
      metricsContentType: registry.contentType,
    });
    logger.info('Admin server listening', { port: admin.port });
    const component = await Promise.race([init.start({ logger, registry }), stopped]);
    if (component !== 'stopped') {
      state.component = component;
      await Promise.race([stopped, component.failed]);
    }
    return 0;
  } catch (error) {
    logger.error(`${init.name} failed`, { error: (error as Error).message });
    return 1;
  } finally {
    state.isStopping = true;
    await state.component?.close();
    await admin?.close();
    logger.info('Stopped');
  }
}

type AdminOptions = Parameters<typeof startAdminServer>[2];

async function startAdmin({ host, port }: ListenAddress, options: AdminOptions): Promise<AdminServer> {
  return onAnyAddress(host, (one) => startAdminServer(one, port, options));
}

/** Listens on all addresses when no host is named: both families, or IPv4 alone where the machine has no IPv6. */
export async function onAnyAddress<T>(host: string, listen: (host: string) => Promise<T>): Promise<T> {
  if (host !== '') return listen(host);
  try {
    return await listen('::');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // grpc-js wraps the cause into its message.
    if (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL' && !/EAFNOSUPPORT|EADDRNOTAVAIL/.test(message)) throw error;
    return listen('0.0.0.0');
  }
}

function untilSignal(logger: Logger): Promise<'stopped'> {
  return new Promise((resolve) => {
    let count = 0;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        count += 1;
        logger.info('Signal received', { signal });
        resolve('stopped');
        // Whoever asks twice does not want to wait for streams.
        if (count > 1) process.exit(1);
      });
    }
  });
}
