// SPDX-License-Identifier: Apache-2.0
/*
 * Calls the control plane's gRPC services as a proxy would, through a forwarded port: plaintext, since it ends inside the pod
 * (control-contract §0).
 */
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Client, credentials, type ServiceError, status as grpcStatus } from '@grpc/grpc-js';
import { CommandFailure } from '../command-context.ts';

/** Named limits of a call. */
export interface CallLimits {
  /** From the call to its first answer. */
  readonly firstMs: number;
  /** A stream that says nothing for this long has said what there is. */
  readonly idleMs: number;
  readonly maxMessageBytes: number;
}

export const CALL_LIMITS: CallLimits = { firstMs: 5_000, idleMs: 300, maxMessageBytes: 64 * 1024 * 1024 };

/** Where a service listens: `host:port`. */
export type ServiceAddress = string;

/** The one answer of a unary method. Rejects with CommandFailure that names the status. */
export async function callUnary<M extends DescMethod>(
  address: ServiceAddress,
  method: M,
  request: MessageInitShape<M['input']>,
  limits: CallLimits = CALL_LIMITS,
): Promise<MessageShape<M['output']>> {
  const client = connect(address, limits);
  const { promise, resolve, reject } = Promise.withResolvers<MessageShape<M['output']>>();
  client.makeUnaryRequest(
    pathOf(method),
    encoder(method.input),
    decoder<M['output']>(method.output),
    create(method.input, request as never),
    { deadline: Date.now() + limits.firstMs },
    (error, answer) => {
      if (error !== null) reject(failureOf(error, method));
      else resolve(answer as MessageShape<M['output']>);
    },
  );
  try {
    return await promise;
  } finally {
    client.close();
  }
}

/** What a stream says until it falls silent; [] when it says nothing. Rejects with CommandFailure for a stream that ends with an error. */
export async function callStream<M extends DescMethod>(
  address: ServiceAddress,
  method: M,
  request: MessageInitShape<M['input']>,
  limits: CallLimits = CALL_LIMITS,
): Promise<MessageShape<M['output']>[]> {
  const client = connect(address, limits);
  const messages: MessageShape<M['output']>[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const stream = client.makeServerStreamRequest(
    pathOf(method),
    encoder(method.input),
    decoder<M['output']>(method.output),
    create(method.input, request as never),
  );
  let timer = setTimeout(resolve, limits.firstMs);
  stream.on('data', (message: MessageShape<M['output']>) => {
    messages.push(message);
    clearTimeout(timer);
    timer = setTimeout(resolve, limits.idleMs);
  });
  stream.on('error', (error: ServiceError) => reject(failureOf(error, method)));
  stream.on('end', resolve);
  try {
    await promise;
    return messages;
  } finally {
    clearTimeout(timer);
    // What is cancelled reports it as an error, which nobody waits for any more.
    stream.removeAllListeners('error').on('error', () => undefined);
    stream.cancel();
    client.close();
  }
}

function connect(address: ServiceAddress, { maxMessageBytes }: CallLimits): Client {
  return new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.enable_retries': 0,
  });
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encoder<D extends DescMessage>(schema: D): (message: MessageShape<D>) => Buffer {
  return (message) => Buffer.from(toBinary(schema, message));
}

function decoder<D extends DescMessage>(schema: D): (bytes: Buffer) => MessageShape<D> {
  return (bytes) => fromBinary(schema, bytes);
}

function failureOf({ code, details, message }: ServiceError, method: DescMethod): CommandFailure {
  return new CommandFailure(`${method.parent.name}.${method.name}: ${grpcStatus[code] ?? code}: ${details || message}`);
}
