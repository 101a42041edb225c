// SPDX-License-Identifier: Apache-2.0
/*
 * The server metrics of every gRPC process of the control plane: `grpc_server_*` with the names and labels of go-grpc-prometheus
 * (control-contract §1.9, §3.1), over whatever registry the process uses: the registry is reached through two structural interfaces, so a
 * prom-client registry fits and tests need none.
 */

/** A counter family: `inc` adds to the series of these labels. prom-client's Counter fits. */
export interface LabelledCounter {
  inc(labels: Record<string, string>, value?: number): void;
}

/** A histogram family. prom-client's Histogram fits. */
export interface LabelledHistogram {
  observe(labels: Record<string, string>, value: number): void;
}

/** A gauge family. prom-client's Gauge fits. */
export interface LabelledGauge {
  inc(labels: Record<string, string>, value?: number): void;
  dec(labels: Record<string, string>, value?: number): void;
  set(labels: Record<string, string>, value: number): void;
  remove(labels: Record<string, string>): void;
}

/** Makes metric families; a second call with the same name must return the same family. */
export interface MetricFactory {
  counter(name: string, help: string, labelNames: readonly string[]): LabelledCounter;
  gauge(name: string, help: string, labelNames: readonly string[]): LabelledGauge;
  histogram(name: string, help: string, labelNames: readonly string[], buckets: readonly number[]): LabelledHistogram;
}

/** Identity of a method in metric labels. */
export interface MethodLabels extends Record<string, string> {
  readonly grpc_type: 'unary' | 'server_stream';
  readonly grpc_service: string;
  readonly grpc_method: string;
}

/** What the server reports of its calls. */
export interface GrpcServerMetrics {
  callStarted(method: MethodLabels): void;
  messageReceived(method: MethodLabels): void;
  messageSent(method: MethodLabels): void;
  /** `codeName` as in `metricCodeName`; `durationSeconds` since the call started. */
  callHandled(method: MethodLabels, codeName: string, durationSeconds: number): void;
}

/** Buckets of `grpc_server_handling_seconds`: calls are either immediate or streams that live for minutes (control-contract §1.9). */
export const HANDLING_SECONDS_BUCKETS: readonly number[] = [0.1, 1, 300, 3600];

/** Server metrics kept in `factory`'s registry. */
export function createGrpcServerMetrics(factory: MetricFactory): GrpcServerMetrics {
  const names = ['grpc_type', 'grpc_service', 'grpc_method'];
  const started = factory.counter('grpc_server_started_total', 'Total number of RPCs started on the server.', names);
  const handled = factory.counter(
    'grpc_server_handled_total',
    'Total number of RPCs completed on the server, regardless of success or failure.',
    [...names, 'grpc_code'],
  );
  const received = factory.counter('grpc_server_msg_received_total', 'Total number of RPC stream messages received on the server.', names);
  const sent = factory.counter('grpc_server_msg_sent_total', 'Total number of gRPC stream messages sent by the server.', names);
  const seconds = factory.histogram(
    'grpc_server_handling_seconds',
    'Response latency (seconds) of gRPC that had been application-level handled by the server.',
    names,
    HANDLING_SECONDS_BUCKETS,
  );
  return {
    callStarted: (method) => started.inc(method),
    messageReceived: (method) => received.inc(method),
    messageSent: (method) => sent.inc(method),
    callHandled(method, codeName, durationSeconds) {
      handled.inc({ ...method, grpc_code: codeName });
      seconds.observe(method, durationSeconds);
    },
  };
}
