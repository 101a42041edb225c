// SPDX-License-Identifier: Apache-2.0
/* A channel to the control plane in a test's hands: calls are kept, answers are given by hand. */
import { type DescMessage, type MessageInitShape, create, toBinary } from '@bufbuild/protobuf';
import type { GrpcCall, GrpcCallSink, GrpcCaller } from '../control/grpc-client.ts';

export class FakeCall implements GrpcCall {
  readonly path: string;
  readonly request: Uint8Array;
  isCancelled = false;
  isEnded = false;
  private readonly sink: GrpcCallSink;

  constructor(path: string, request: Uint8Array, sink: GrpcCallSink) {
    this.path = path;
    this.request = request;
    this.sink = sink;
  }

  get isOpen(): boolean {
    return !this.isCancelled && !this.isEnded;
  }

  cancel(): void {
    this.isCancelled = true;
  }

  sendBytes(message: Uint8Array): void {
    if (this.isOpen) this.sink.onMessage(message);
  }

  send<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): void {
    this.sendBytes(toBinary(schema, create(schema, message)));
  }

  end(status: number, message = ''): void {
    if (!this.isOpen) return;
    this.isEnded = true;
    this.sink.onEnd(status, message);
  }
}

export class FakeChannel implements GrpcCaller {
  isLoopback = false;
  isReachable = true;
  readonly calls: FakeCall[] = [];
  suspicions = 0;

  suspect(): void {
    this.suspicions += 1;
  }

  call(path: string, request: Uint8Array, sink: GrpcCallSink): GrpcCall {
    const call = new FakeCall(path, request, sink);
    this.calls.push(call);
    return call;
  }

  /** Calls to a method whose path ends so. */
  to(method: string): FakeCall[] {
    return this.calls.filter((call) => call.path.endsWith(method));
  }

  get last(): FakeCall {
    const last = this.calls.at(-1);
    if (last === undefined) throw new Error('nothing was called');
    return last;
  }
}
