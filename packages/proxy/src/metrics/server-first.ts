// SPDX-License-Identifier: Apache-2.0
/*
 * Servers that speak first on ports whose protocol is detected: their clients wait for the whole detection time before anything happens. It is the
 * costliest mistake of configuration there is, so it has a counter, and a line in the log that says what to do, once for each port.
 */
import type { Counter, CounterFamily, MetricRegistry } from '@weft/telemetry';

export interface ServerFirstLog {
  warn(message: string, fields?: Record<string, unknown>): void;
}

/** The counter of one direction. */
export class ServerFirstMetrics {
  private readonly family: CounterFamily;

  constructor(registry: MetricRegistry, direction: 'inbound' | 'outbound') {
    this.family = registry.counter(
      `weft_${direction}_tcp_server_first_total`,
      'Connections that waited for the whole detection time because the server speaks first',
    );
  }

  /** `labels` are those of the port. */
  of(labels: Readonly<Record<string, string>>): Counter {
    return this.family.get(labels);
  }
}

/** What is said about a port. */
export function warnOfServerFirst(log: ServerFirstLog, target: string, waitedMs: number): void {
  log.warn('the server speaks first: clients wait for protocol detection; declare the port opaque', {
    target,
    waited: `${waitedMs}ms`,
    remedy: 'config.linkerd.io/opaque-ports, or appProtocol linkerd.io/opaque on the Service port, or proxyProtocol opaque on the Server',
  });
}
