// SPDX-License-Identifier: Apache-2.0
/* `control_request_total` and `control_response_total` of the channels to the control plane (proxy-contract §7.1). */
import type { Counter, CounterFamily, MetricRegistry } from '@weft/telemetry';
import type { ControlAddress } from '../config/types.ts';

const LEGACY = { layout: 'legacy' } as const;

export class ControlFamilies {
  private readonly requests: CounterFamily;
  private readonly responses: CounterFamily;

  constructor(registry: MetricRegistry) {
    this.requests = registry.counter('control_request_total', 'Total count of HTTP requests.', undefined, LEGACY);
    this.responses = registry.counter('control_response_total', 'Total count of HTTP responses.', undefined, LEGACY);
  }

  channel(address: ControlAddress): ControlMetrics {
    const labels = {
      addr: `${address.host}:${address.port}`,
      ...(address.identity === undefined
        ? { tls: 'no_identity', no_tls_reason: 'loopback' }
        : { tls: 'true', server_id: address.identity }),
    };
    return new ControlMetrics(labels, this.requests.get(labels), this.responses);
  }
}

export class ControlMetrics {
  private readonly labels: Readonly<Record<string, string>>;
  private readonly requests: Counter;
  private readonly responses: CounterFamily;

  constructor(labels: Readonly<Record<string, string>>, requests: Counter, responses: CounterFamily) {
    this.labels = labels;
    this.requests = requests;
    this.responses = responses;
  }

  request(): void {
    this.requests.value += 1;
  }

  /** A call ended with a gRPC status. */
  response(grpcStatus: number): void {
    const isFailure = [2, 4, 7, 13, 14, 15].includes(grpcStatus);
    this.responses.get({
      ...this.labels,
      status_code: '200',
      classification: isFailure ? 'failure' : 'success',
      grpc_status: String(grpcStatus),
      error: '',
    }).value += 1;
  }
}
