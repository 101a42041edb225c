// SPDX-License-Identifier: Apache-2.0
/*
 * The admin HTTP server of a control-plane process (control-contract §3.1 for the policy controller's `/live` and `/ready`, §6.1 for the other
 * components' `/ping` and `/ready`): health for the kubelet, metrics for the scraper. One server answers both dialects, since the probes of the
 * two differ only in path.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AdminServerOptions {
  /** Whether the process is ready: its caches have synced and it is not shutting down. */
  readonly isReady: () => boolean;
  /** The metrics page, as text. */
  readonly metrics: () => string | Promise<string>;
  /** Content type of the metrics page. Default: Prometheus text format 0.0.4. */
  readonly metricsContentType?: string;
}

/** Seconds that a client may take to send a request's header section. */
const HEADERS_TIMEOUT_MS = 10_000;

/** A running admin server. */
export interface AdminServer {
  /** The port it listens on. */
  readonly port: number;
  close(): Promise<void>;
}

/** Starts the admin server on `host` and `port` (0 picks one). Rejects when it cannot be bound. */
export function startAdminServer(host: string, port: number, options: AdminServerOptions): Promise<AdminServer> {
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS }, (request, response) => {
    const path = (request.url ?? '/').split('?', 1)[0];
    const reply = (status: number, body: string, contentType = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': contentType });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      reply(405, 'method not allowed\n');
      return;
    }
    switch (path) {
      case '/live':
        reply(200, 'live\n');
        return;
      case '/ping':
        reply(200, 'pong\n');
        return;
      case '/ready':
        if (options.isReady()) reply(200, 'ok\n');
        else reply(500, 'not ready\n');
        return;
      case '/metrics': {
        const contentType = options.metricsContentType ?? 'text/plain; version=0.0.4; charset=utf-8';
        Promise.resolve()
          .then(() => options.metrics())
          .then(
            (page) => reply(200, page, contentType),
            () => reply(500, 'metrics are unavailable\n'),
          );
        return;
      }
      default:
        reply(404, 'not found\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve({ port: (server.address() as AddressInfo).port, close: () => close(server) });
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
