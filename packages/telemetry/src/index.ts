// SPDX-License-Identifier: Apache-2.0
/** `@weft/telemetry`: metrics and logs of the proxy and logs of the control plane; prom-client is behind `@weft/telemetry/prom`. */
export { CounterFamily, GaugeFamily, HistogramFamily, type FamilyOptions, type MetricLayout, type MetricType } from './metrics/family.ts';
export { formatLabels, MAX_LABEL_VALUE_LENGTH, type Labels } from './metrics/labels.ts';
export { processMetrics } from './metrics/process.ts';
export {
  DEFAULT_MAX_SERIES,
  DEFAULT_RETAIN_IDLE_MS,
  LATENCY_MS_BUCKETS,
  MetricRegistry,
  type RegistryOptions,
} from './metrics/registry.ts';
export { Counter, Gauge, Histogram } from './metrics/series.ts';
export { formatAccessLog, TRACE_ID_FIELDS, traceIdOf, type AccessLogFormat, type AccessLogRecord } from './logs/access-log.ts';
export { escapeText, peerText, type LogFields, type LogValue, type QuotedText } from './logs/fields.ts';
export { type LogFormat } from './logs/format.ts';
export { LogFilter, parseLogFilter, type LogLevel, type LogSpan } from './logs/level.ts';
export { DEFAULT_LOG_FILTER, Logger, type LoggerOptions } from './logs/logger.ts';
