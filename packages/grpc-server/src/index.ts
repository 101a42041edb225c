// SPDX-License-Identifier: Apache-2.0
export { startAdminServer, type AdminServer, type AdminServerOptions } from './admin-server.ts';
export { DEFAULT_GRPC_LIMITS, GrpcServer, type GrpcServerLimits, type GrpcServerOptions } from './grpc-server.ts';
export {
  createGrpcServerMetrics,
  HANDLING_SECONDS_BUCKETS,
  type GrpcServerMetrics,
  type LabelledCounter,
  type LabelledGauge,
  type LabelledHistogram,
  type MethodLabels,
  type MetricFactory,
} from './metrics.ts';
export { SendQueue, type QueueWrite } from './send-queue.ts';
export {
  EncodedMessage,
  type CallContext,
  type Outgoing,
  type ServerStream,
  type ServiceHandlers,
  type StreamHandler,
  type UnaryHandler,
} from './service.ts';
export { GRPC_CODES, GrpcStatusError, MAX_STATUS_DETAILS_LENGTH, metricCodeName, type GrpcCode, type GrpcCodeName } from './status.ts';
