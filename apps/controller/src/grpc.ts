// SPDX-License-Identifier: Apache-2.0
/*
 * The gRPC server of a component: plaintext HTTP/2 for the proxy in front of it (control-contract §0), its metrics in the process's registry
 * and its internal errors in the log.
 */
import { createGrpcServerMetrics, GrpcServer } from '@weft/grpc-server';
import type { Logger } from '@weft/telemetry';
import { promMetricFactory, type PromRegistry } from '@weft/telemetry/prom';
import { onAnyAddress } from './component.ts';
import type { ListenAddress } from './flags.ts';

/** A server that is not listening yet. */
export function createServer(registry: PromRegistry, logger: Logger, streamQueueCapacity?: number): GrpcServer {
  return new GrpcServer({
    limits: streamQueueCapacity === undefined ? {} : { streamQueueCapacity },
    metrics: createGrpcServerMetrics(promMetricFactory(registry)),
    onInternalError: (error, method) =>
      logger.error('Call failed', { method, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  });
}

/** Listens and says so. */
export async function listenGrpc(server: GrpcServer, { host, port }: ListenAddress, logger: Logger): Promise<void> {
  const bound = await onAnyAddress(host, (one) => server.listen(`${one.includes(':') ? `[${one}]` : one}:${port}`));
  logger.info('gRPC server listening', { port: bound });
}
