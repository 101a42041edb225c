// SPDX-License-Identifier: Apache-2.0
import { promMetricFactory, PromRegistry } from '@weft/telemetry/prom';
import { describe, expect, it } from 'vitest';

import { createGrpcServerMetrics, type MethodLabels } from './metrics.ts';

const METHOD: MethodLabels = { grpc_type: 'unary', grpc_service: 'a.B', grpc_method: 'C' };

describe('createGrpcServerMetrics', () => {
  it('renders the families of go-grpc-prometheus', async () => {
    const registry = new PromRegistry();
    const metrics = createGrpcServerMetrics(promMetricFactory(registry));
    metrics.callStarted(METHOD);
    metrics.messageReceived(METHOD);
    metrics.messageSent(METHOD);
    metrics.callHandled(METHOD, 'OK', 0.5);
    const labels = 'grpc_type="unary",grpc_service="a.B",grpc_method="C"';
    const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(lines).toEqual([
      `grpc_server_started_total{${labels}} 1`,
      `grpc_server_handled_total{${labels},grpc_code="OK"} 1`,
      `grpc_server_msg_received_total{${labels}} 1`,
      `grpc_server_msg_sent_total{${labels}} 1`,
      `grpc_server_handling_seconds_bucket{le="0.1",${labels}} 0`,
      `grpc_server_handling_seconds_bucket{le="1",${labels}} 1`,
      `grpc_server_handling_seconds_bucket{le="300",${labels}} 1`,
      `grpc_server_handling_seconds_bucket{le="3600",${labels}} 1`,
      `grpc_server_handling_seconds_bucket{le="+Inf",${labels}} 1`,
      `grpc_server_handling_seconds_sum{${labels}} 0.5`,
      `grpc_server_handling_seconds_count{${labels}} 1`,
    ]);
  });
});
