// SPDX-License-Identifier: Apache-2.0
/*
 * Calls of a policy API without a network, recorded the way the vectors record theirs: messages as vector JSON, and the status. For tests.
 */
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { create, fromBinary } from '@bufbuild/protobuf';
import { EncodedMessage, GRPC_CODES, GrpcStatusError, type Outgoing, type ServerStream } from '@weft/grpc-server';
import { inbound, outbound } from '@weft/proto';
import { type VectorJson, toVectorJson } from '@weft/proto/testing';
import type { PolicyController } from '../policy-controller.ts';

/** How a call ended; null while it has not. */
export interface RecordedStatus {
  readonly code: number;
  readonly details: string;
}

/** A stream whose client is the test. */
export class RecordedCall<Desc extends DescMessage> implements ServerStream<Desc> {
  readonly peer = '127.0.0.1:0';
  readonly method: string;
  readonly messages: VectorJson[] = [];
  readonly isOverflowed = false;
  status: RecordedStatus | null = null;
  private readonly schema: Desc;
  private listeners: (() => void)[] = [];

  constructor(method: string, schema: Desc) {
    this.method = method;
    this.schema = schema;
  }

  get isOpen(): boolean {
    return this.status === null;
  }

  metadata(): undefined {
    return undefined;
  }

  send(message: Outgoing<Desc>): boolean {
    if (!this.isOpen) return false;
    this.messages.push(toVectorJson(this.schema, decode(this.schema, message)));
    return true;
  }

  end(): void {
    this.finish({ code: GRPC_CODES.OK, details: '' });
  }

  error(code: number, details: string): void {
    this.finish({ code, details });
  }

  /** The client goes away. */
  cancel(): void {
    this.finish({ code: GRPC_CODES.CANCELLED, details: '' });
  }

  onCancel(listener: () => void): void {
    if (this.isOpen) this.listeners.push(listener);
    else listener();
  }

  private finish(status: RecordedStatus): void {
    if (!this.isOpen) return;
    this.status = status;
    const listeners = this.listeners;
    this.listeners = [];
    for (const listener of listeners) listener();
  }
}

/** A call as a vector's request.json describes it. */
export interface VectorRequest {
  readonly method: string;
  readonly message_hex: string;
}

/** Makes the call that a vector describes. */
export async function callVector(controller: PolicyController, request: VectorRequest): Promise<RecordedCall<DescMessage>> {
  const bytes = Buffer.from(request.message_hex, 'hex');
  const name = request.method.split('/')[1] ?? '';
  const isInbound = request.method.includes('InboundServerPolicies');
  const call = new RecordedCall<DescMessage>(request.method, isInbound ? inbound.ServerSchema : outbound.OutboundPolicySchema);
  try {
    switch (name) {
      case 'GetPort':
        call.send(await controller.inbound.getPort(fromBinary(inbound.PortSpecSchema, bytes), call));
        call.end();
        break;
      case 'WatchPort':
        await controller.inbound.watchPort(fromBinary(inbound.PortSpecSchema, bytes), call);
        break;
      case 'Get':
        call.send(await controller.outbound.get(fromBinary(outbound.TrafficSpecSchema, bytes), call));
        call.end();
        break;
      case 'Watch':
        await controller.outbound.watch(fromBinary(outbound.TrafficSpecSchema, bytes), call);
        break;
      default:
        throw new Error(`no such method: ${request.method}`);
    }
  } catch (error) {
    if (!(error instanceof GrpcStatusError)) throw error;
    call.error(error.code, error.details);
  }
  return call;
}

function decode<Desc extends DescMessage>(schema: Desc, message: Outgoing<Desc>): MessageShape<Desc> {
  return message instanceof EncodedMessage ? fromBinary(schema, message.bytes) : create(schema, message as never);
}
