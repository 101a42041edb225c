// SPDX-License-Identifier: Apache-2.0
/*
 * One call, from grpc-js's objects to `CallContext` and `ServerStream`. The stream keeps its own bounded queue in front of grpc-js, whose
 * queue has no bound, and reports its end exactly once, whichever side ended it.
 */
import { toBinary, type DescMessage, type Message } from '@bufbuild/protobuf';
import type { Metadata, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';

import { EncodedMessage, type CallContext, type Outgoing, type ServerStream } from './service.ts';
import { SendQueue } from './send-queue.ts';
import { GRPC_CODES, wireDetails, type GrpcCode } from './status.ts';

type AnyCall = ServerUnaryCall<Message, Uint8Array> | ServerWritableStream<Message, Uint8Array>;

/** Wire form of a response. */
export function encodeOutgoing<Desc extends DescMessage>(schema: Desc, message: Outgoing<Desc>): Uint8Array {
  return message instanceof EncodedMessage ? message.bytes : toBinary(schema, message);
}

/** The call's metadata and peer. */
export class GrpcCallContext implements CallContext {
  readonly method: string;
  private readonly headers: Metadata;
  private readonly call: AnyCall;

  constructor(method: string, call: AnyCall) {
    this.method = method;
    this.call = call;
    this.headers = call.metadata;
  }

  get peer(): string {
    return this.call.getPeer();
  }

  metadata(key: string): string | undefined {
    const value = this.headers.get(key)[0];
    return typeof value === 'string' ? value : undefined;
  }
}

/** What a stream tells the server about itself. */
export interface StreamObserver {
  onSent(): void;
  /** The stream is over, with the code it ended with; CANCELLED when the client left first. */
  onFinished(code: GrpcCode): void;
}

/** One server-streaming call. */
export class GrpcStream<Desc extends DescMessage> extends GrpcCallContext implements ServerStream<Desc> {
  private readonly stream: ServerWritableStream<Message, Uint8Array>;
  private readonly schema: Desc;
  private readonly observer: StreamObserver;
  private readonly queue: SendQueue<Uint8Array>;
  private listeners: (() => void)[] | undefined = [];
  private endedWith: GrpcCode | undefined = undefined;

  constructor(
    method: string,
    stream: ServerWritableStream<Message, Uint8Array>,
    schema: Desc,
    queueCapacity: number,
    observer: StreamObserver,
  ) {
    super(method, stream);
    this.stream = stream;
    this.schema = schema;
    this.observer = observer;
    this.queue = new SendQueue(queueCapacity, (bytes, done) => {
      stream.write(bytes, done);
    });
    // grpc-js emits this at the end of every call, also of those that ended well.
    stream.on('cancelled', () => this.finish());
  }

  get isOpen(): boolean {
    return this.listeners !== undefined && this.endedWith === undefined;
  }

  get isOverflowed(): boolean {
    return this.queue.isOverflowed;
  }

  send(message: Outgoing<Desc>): boolean {
    if (!this.isOpen) return false;
    if (this.queue.push(encodeOutgoing(this.schema, message))) {
      this.observer.onSent();
      return true;
    }
    // What is with the transport may still have to leave; everything else is gone.
    this.endedWith = GRPC_CODES.OK;
    this.queue.closeWhenDrained(() => this.stream.end());
    return false;
  }

  end(): void {
    if (!this.isOpen) return;
    this.endedWith = GRPC_CODES.OK;
    this.queue.closeWhenDrained(() => this.stream.end());
  }

  error(code: GrpcCode, details: string): void {
    if (!this.isOpen) return;
    this.endedWith = code;
    this.queue.discard();
    this.stream.emit('error', { code, details: wireDetails(details), message: '' });
  }

  onCancel(listener: () => void): void {
    if (this.listeners === undefined) listener();
    else this.listeners.push(listener);
  }

  private finish(): void {
    const listeners = this.listeners;
    if (listeners === undefined) return;
    this.listeners = undefined;
    this.queue.discard();
    this.observer.onFinished(this.endedWith ?? GRPC_CODES.CANCELLED);
    for (const listener of listeners) listener();
  }
}
