// SPDX-License-Identifier: Apache-2.0
/*
 * What a service looks like to its author: typed handlers derived from a generated descriptor, and what a handler is given (the call's
 * metadata and peer; for streams, a bounded way to send). Nothing here knows grpc-js, so services can be tested without a server.
 */
import type { DescMessage, DescService, MessageShape } from '@bufbuild/protobuf';

import type { GrpcCode } from './status.ts';

/** A message already in wire form, so that one encoding serves every stream that sends it. The bytes must never change afterwards. */
export class EncodedMessage<Desc extends DescMessage = DescMessage> {
  readonly bytes: Uint8Array;
  /** Phantom: which message these bytes are. */
  declare readonly schema?: Desc;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** A response: a message, or its bytes. */
export type Outgoing<Desc extends DescMessage> = MessageShape<Desc> | EncodedMessage<Desc>;

/** What is known of a call besides its request. */
export interface CallContext {
  /** First value of a metadata key (lower case), or undefined. Binary (`-bin`) values are not offered. */
  metadata(key: string): string | undefined;
  /** Address of the peer, `ip:port`. */
  readonly peer: string;
  /** Full method name without the leading slash, `package.Service/Method`. */
  readonly method: string;
}

/**
 * The sending side of one server-streaming call (control-contract §1.9). Messages wait in a bounded queue while the client is slow; once the
 * queue is full the rest is dropped and the stream ends with OK, so that the client asks afresh instead of getting a gap.
 */
export interface ServerStream<Desc extends DescMessage = DescMessage> extends CallContext {
  /** Sends or queues `message`. False when it was not taken: the stream is over, or its queue overflowed just now (see `isOverflowed`). */
  send(message: Outgoing<Desc>): boolean;
  /** Ends with OK once what is queued has been sent. */
  end(): void;
  /** Drops what is queued and ends with `code`. */
  error(code: GrpcCode, details: string): void;
  /** Calls `listener` once when the stream is over, whoever ended it; at once when it already is. */
  onCancel(listener: () => void): void;
  /** Whether messages are still taken. */
  readonly isOpen: boolean;
  /** Whether a full queue ended this stream. */
  readonly isOverflowed: boolean;
}

/** Answers a unary call; throw `GrpcStatusError` for a status, anything else becomes INTERNAL without its text. */
export type UnaryHandler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  context: CallContext,
) => Promise<Outgoing<Output>>;

/** Starts a stream. Returning does not end it; throwing (or rejecting) does, as for unary calls. */
export type StreamHandler<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageShape<Input>,
  stream: ServerStream<Output>,
) => void | Promise<void>;

type MethodHandler<Method> = Method extends { methodKind: 'unary'; input: infer Input; output: infer Output }
  ? Input extends DescMessage
    ? Output extends DescMessage
      ? UnaryHandler<Input, Output>
      : never
    : never
  : Method extends { methodKind: 'server_streaming'; input: infer Input; output: infer Output }
    ? Input extends DescMessage
      ? Output extends DescMessage
        ? StreamHandler<Input, Output>
        : never
      : never
    : undefined;

/**
 * One handler per method of a generated service (`ServiceHandlers<(typeof destination.Destination)['method']>`), named as in the descriptor.
 * Client-streaming methods take `undefined` and stay unimplemented.
 */
export type ServiceHandlers<Methods extends DescService['method']> = { readonly [Name in keyof Methods]: MethodHandler<Methods[Name]> };
