// SPDX-License-Identifier: Apache-2.0
/* A stream without a server, for tests: keeps what is sent, decoded, and how it ended. */
import { fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { EncodedMessage, type GrpcCode, type Outgoing, type ServerStream } from '@weft/grpc-server';

export class RecordingStream<Desc extends DescMessage> implements ServerStream<Desc> {
  readonly messages: MessageShape<Desc>[] = [];
  readonly peer = '127.0.0.1:1';
  readonly method = 'test';
  isOpen = true;
  isOverflowed = false;
  status: { readonly code: GrpcCode; readonly details: string } | undefined = undefined;
  private readonly schema: Desc;
  private readonly listeners: (() => void)[] = [];

  constructor(schema: Desc) {
    this.schema = schema;
  }

  metadata(): undefined {
    return undefined;
  }

  send(message: Outgoing<Desc>): boolean {
    if (!this.isOpen) return false;
    this.messages.push(message instanceof EncodedMessage ? fromBinary(this.schema, message.bytes) : message);
    return true;
  }

  /** Ends as a stream whose queue is full. */
  overflow(): void {
    this.isOpen = false;
    this.isOverflowed = true;
  }

  end(): void {
    this.error(0, '');
  }

  error(code: GrpcCode, details: string): void {
    this.status = { code, details };
    this.cancel();
  }

  onCancel(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** The client leaves. */
  cancel(): void {
    this.isOpen = false;
    for (const listener of this.listeners.splice(0)) listener();
  }
}
