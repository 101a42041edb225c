// SPDX-License-Identifier: Apache-2.0
/*
 * Starts what the configuration asks for of tap and traces (proxy-contract §8); a proxy with neither loads nothing of them. Their messages are
 * modules that nothing else imports: one bundle, but their code does not run before it is needed.
 */
import { readFile } from 'node:fs/promises';
import type { ByteStream } from '@weft/net';
import type { MetricRegistry } from '@weft/telemetry';
import type { ControlAddress, ProxyConfig, TraceConfig } from '../config/types.ts';
import type { GrpcCaller } from '../control/grpc-client.ts';
import type { LocalIdentity } from '../identity/types.ts';
import type { Clock } from '../runtime.ts';
import type { TapRegistry } from '../tap/tap-registry.ts';
import { TapServer, createTapRegistry } from '../tap/tap-server.ts';
import { resourceAttributes } from '../traces/resource-attributes.ts';
import type { SpanExporter, SpanExporterMetrics } from '../traces/span-exporter.ts';
import { Tracer } from '../traces/tracer.ts';
import { Observation } from './observation.ts';

export interface ObservationDeps {
  readonly config: ProxyConfig;
  readonly identity: LocalIdentity;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly wallClock: () => number;
  readonly metrics: MetricRegistry;
  readonly version: string;
  channel(address: ControlAddress, name: string): GrpcCaller;
  readonly log: {
    debug(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
  };
}

export interface RunningObservation {
  readonly observation: Observation;
  /** Serves a connection to the control port; undefined = the port is not bound. */
  readonly acceptTap: ((stream: ByteStream) => void) | undefined;
  /** Resolves when the last spans are taken, or after a second. */
  close(): Promise<void>;
}

/** Undefined where neither is asked for. */
export async function startObservation(deps: ObservationDeps): Promise<RunningObservation | undefined> {
  const { tapServiceName, traces } = deps.config;
  const spanMetrics = exporterMetrics(deps.metrics);
  if (tapServiceName === undefined && traces.collector === undefined) return undefined;
  const tap = tapServiceName === undefined ? undefined : await startTap(deps, tapServiceName);
  const exporter = traces.collector === undefined ? undefined : await startExporter(deps, traces, traces.collector, spanMetrics);
  const { clock, wallClock } = deps;
  const tracer = exporter === undefined ? undefined : new Tracer({ now: clock.now, wallClock, random: clock.random, sink: exporter });
  return {
    observation: new Observation(tap?.registry, tracer),
    acceptTap: tap === undefined ? undefined : (stream) => tap.server.accept(stream),
    close: () => {
      tap?.server.close();
      return new Promise((resolve) => {
        if (exporter === undefined) resolve();
        else exporter.close(resolve);
      });
    },
  };
}

async function startTap(
  { identity, clock, metrics }: ObservationDeps,
  clientName: string,
): Promise<{ readonly registry: TapRegistry; readonly server: TapServer }> {
  const { tapCodec } = await import('../tap/tap-codec.ts');
  const registry = createTapRegistry(metrics, clock, tapCodec);
  return { registry, server: new TapServer({ clientName, identity, clock, codec: tapCodec, registry }) };
}

async function startExporter(
  deps: ObservationDeps,
  traces: TraceConfig,
  collector: ControlAddress,
  metrics: SpanExporterMetrics,
): Promise<SpanExporter> {
  const { SpanExporter: Exporter } = await import('../traces/span-exporter.ts');
  const { attributesPath } = traces;
  const labelsText = attributesPath === undefined ? '' : await readLabels(attributesPath, deps.log);
  return new Exporter({
    channel: deps.channel(collector, 'trace-collector'),
    resource: resourceAttributes({
      serviceName: traces.serviceName,
      labelsText,
      extra: traces.extraAttributes,
      own: traces.resourceAttributes,
      hostName: traces.hostName,
      pid: process.pid,
      startMs: deps.wallClock(),
    }),
    version: deps.version,
    after: deps.clock.after,
    metrics,
    log: deps.log,
  });
}

/** Counted from the start, traces or not, as the reference does (§7.1). */
function exporterMetrics(registry: MetricRegistry): SpanExporterMetrics {
  const counter = (name: string, help: string) => registry.counter(name, help, undefined, { layout: 'legacy' }).get();
  return {
    streams: counter('opentelemetry_span_export_streams', 'Total count of opened span streams'),
    requests: counter('opentelemetry_span_export_requests', 'Total count of span export request messages'),
    exported: counter('opentelemetry_span_exports', 'Total count of spans exported'),
    dropped: counter('weft_opentelemetry_spans_dropped_total', 'Spans that the collector did not take in time'),
  };
}

/** Traces without labels are better than no proxy. */
async function readLabels(path: string, log: ObservationDeps['log']): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    log.warn('cannot read the labels file of traces', { path, error: (error as Error).message });
    return '';
  }
}
