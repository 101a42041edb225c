// SPDX-License-Identifier: Apache-2.0
/*
 * Generated services on a grpc-js server (control-contract §0: plaintext HTTP/2 inside the pod, the proxy in front terminates mTLS; §1.1:
 * unlimited concurrent streams). It owns limits, error translation, metrics and shutdown; what a service means is the handler's business.
 * Server-initiated pings and connection ages stay off: the peer is the pod's own proxy, which keeps its connections alive itself.
 */
import { fromBinary, type DescMethod, type DescService, type Message } from '@bufbuild/protobuf';
import {
  Server,
  ServerCredentials,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedHandleCall,
} from '@grpc/grpc-js';

import type { GrpcServerMetrics, MethodLabels } from './metrics.ts';
import { encodeOutgoing, GrpcCallContext, GrpcStream } from './server-call.ts';
import type { ServiceHandlers, StreamHandler, UnaryHandler } from './service.ts';
import { GRPC_CODES, GrpcStatusError, metricCodeName, wireDetails, type GrpcCode } from './status.ts';

/** Limits of a gRPC server. */
export interface GrpcServerLimits {
  /** Largest request message, in bytes. Default 4 MiB, gRPC's own. */
  readonly maxRequestBytes: number;
  /** Messages that may wait on one stream before it is ended (control-contract §1.1 `-stream-queue-capacity`). Default 100. */
  readonly streamQueueCapacity: number;
  /** Concurrent streams per connection; undefined (the default) is no limit, since one proxy multiplexes a whole node's lookups. */
  readonly maxConcurrentStreams: number | undefined;
}

/** Defaults of `GrpcServerLimits`. */
export const DEFAULT_GRPC_LIMITS: GrpcServerLimits = {
  maxRequestBytes: 4 * 1024 * 1024,
  streamQueueCapacity: 100,
  maxConcurrentStreams: undefined,
};

export interface GrpcServerOptions {
  readonly limits?: Partial<GrpcServerLimits>;
  readonly metrics?: GrpcServerMetrics;
  /** Told of every exception of a handler that is not a `GrpcStatusError`; the client sees INTERNAL without its text. */
  readonly onInternalError?: (error: unknown, method: string) => void;
  /** Milliseconds, monotonic; for call durations. */
  readonly now?: () => number;
}

const NO_METRICS: GrpcServerMetrics = {
  callStarted: () => undefined,
  messageReceived: () => undefined,
  messageSent: () => undefined,
  callHandled: () => undefined,
};

/** A plaintext gRPC server. Register services, then `listen`; `shutdown` ends streams with OK. */
export class GrpcServer {
  private readonly server: Server;
  private readonly limits: GrpcServerLimits;
  private readonly metrics: GrpcServerMetrics;
  private readonly onInternalError: (error: unknown, method: string) => void;
  private readonly now: () => number;
  private readonly streams = new Set<{ end(): void }>();
  private isShuttingDown = false;

  constructor(options: GrpcServerOptions = {}) {
    this.limits = { ...DEFAULT_GRPC_LIMITS, ...options.limits };
    this.metrics = options.metrics ?? NO_METRICS;
    this.onInternalError = options.onInternalError ?? ((): void => undefined);
    this.now = options.now ?? ((): number => performance.now());
    this.server = new Server({
      'grpc.max_receive_message_length': this.limits.maxRequestBytes,
      'grpc.max_send_message_length': -1,
      'grpc.enable_channelz': 0,
      ...(this.limits.maxConcurrentStreams === undefined ? {} : { 'grpc.max_concurrent_streams': this.limits.maxConcurrentStreams }),
    });
  }

  /** Open streams. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** Adds a service. Throws when one of its methods is registered already. */
  register<Service extends DescService>(service: Service, handlers: ServiceHandlers<Service['method']>): void {
    const definition: Record<string, object> = {};
    const implementation: Record<string, UntypedHandleCall> = {};
    for (const method of service.methods) {
      const handler = (handlers as Record<string, unknown>)[method.localName];
      const call = this.callHandler(method, service.typeName, handler);
      if (call === undefined) continue;
      definition[method.name] = {
        path: `/${service.typeName}/${method.name}`,
        requestStream: false,
        responseStream: method.methodKind === 'server_streaming',
        requestDeserialize: (bytes: Buffer): Message => fromBinary(method.input, bytes),
        responseSerialize: asBuffer,
        requestSerialize: asBuffer,
        responseDeserialize: (bytes: Buffer): Message => fromBinary(method.output, bytes),
      };
      implementation[method.name] = call;
    }
    this.server.addService(definition as Parameters<Server['addService']>[0], implementation);
  }

  /** Binds `address` (`host:port`; port 0 picks one) and serves. Resolves with the port; rejects when it cannot be bound. */
  listen(address: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  }

  /** Stops accepting, ends every stream with OK, waits for calls to finish, and after `graceMs` closes what is left. */
  async shutdown(graceMs: number): Promise<void> {
    this.isShuttingDown = true;
    for (const stream of this.streams) stream.end();
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.server.forceShutdown();
        resolve();
      }, graceMs);
      this.server.tryShutdown(() => resolve());
    });
    clearTimeout(timer);
  }

  private callHandler(method: DescMethod, service: string, handler: unknown): UntypedHandleCall | undefined {
    if (typeof handler !== 'function') return undefined;
    const labels: MethodLabels = {
      grpc_type: method.methodKind === 'unary' ? 'unary' : 'server_stream',
      grpc_service: service,
      grpc_method: method.name,
    };
    switch (method.methodKind) {
      case 'unary':
        return this.unaryCall(method, labels, handler as UnaryHandler<DescMethod['input'], DescMethod['output']>);
      case 'server_streaming':
        return this.streamingCall(method, labels, handler as StreamHandler<DescMethod['input'], DescMethod['output']>);
      default:
        return undefined;
    }
  }

  private unaryCall(
    method: DescMethod,
    labels: MethodLabels,
    handler: UnaryHandler<DescMethod['input'], DescMethod['output']>,
  ): handleUnaryCall<Message, Uint8Array> {
    const name = `${labels.grpc_service}/${labels.grpc_method}`;
    return (call: ServerUnaryCall<Message, Uint8Array>, respond: sendUnaryData<Uint8Array>): void => {
      const startedMs = this.begin(labels);
      const answer = async (): Promise<void> => {
        let code: GrpcCode = GRPC_CODES.OK;
        try {
          const response = await handler(call.request, new GrpcCallContext(name, call));
          respond(null, encodeOutgoing(method.output, response));
          this.metrics.messageSent(labels);
        } catch (error) {
          const status = this.toStatus(error, name);
          code = status.code;
          respond({ code: status.code, details: wireDetails(status.details), message: '', name: '' });
        }
        this.metrics.callHandled(labels, metricCodeName(code), (this.now() - startedMs) / 1000);
      };
      // Never rejects: everything that can throw is inside its try.
      void answer();
    };
  }

  private streamingCall(
    method: DescMethod,
    labels: MethodLabels,
    handler: StreamHandler<DescMethod['input'], DescMethod['output']>,
  ): handleServerStreamingCall<Message, Uint8Array> {
    const name = `${labels.grpc_service}/${labels.grpc_method}`;
    return (call: ServerWritableStream<Message, Uint8Array>): void => {
      const startedMs = this.begin(labels);
      const stream = new GrpcStream(name, call, method.output, this.limits.streamQueueCapacity, {
        onSent: () => this.metrics.messageSent(labels),
        onFinished: (code) => {
          this.streams.delete(stream);
          this.metrics.callHandled(labels, metricCodeName(code), (this.now() - startedMs) / 1000);
        },
      });
      this.streams.add(stream);
      if (this.isShuttingDown) {
        stream.end();
        return;
      }
      const run = async (): Promise<void> => {
        try {
          await handler(call.request, stream);
        } catch (error) {
          const status = this.toStatus(error, name);
          stream.error(status.code, status.details);
        }
      };
      // Never rejects: everything that can throw is inside its try.
      void run();
    };
  }

  private begin(labels: MethodLabels): number {
    this.metrics.callStarted(labels);
    this.metrics.messageReceived(labels);
    return this.now();
  }

  private toStatus(error: unknown, method: string): GrpcStatusError {
    if (error instanceof GrpcStatusError) return error;
    this.onInternalError(error, method);
    return new GrpcStatusError(GRPC_CODES.INTERNAL, 'internal error');
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
