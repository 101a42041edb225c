// SPDX-License-Identifier: Apache-2.0
/*
 * Our connections on loopback sockets, for the comparison with `node:http2` only: one flush per turn, backpressure from the
 * socket, nothing else. The proxy's own driver is elsewhere.
 */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { ByteWriter } from '@weft/bytes';
import { H2Connection } from '../src/connection.ts';
import type { H2ConnectionSink, H2Options } from '../src/types.ts';

/** A connection and its socket. */
export interface Driven {
  readonly connection: H2Connection;
  readonly socket: Socket;
}

/** Puts a connection of ours on a socket. */
export function drive(socket: Socket, options: Partial<H2Options> & Pick<H2Options, 'role'>, sink: H2ConnectionSink): Driven {
  const out = new ByteWriter();
  let isScheduled = false;
  const flush = (): void => {
    isScheduled = false;
    const hasMore = connection.flush();
    if (out.length > 0 && !socket.destroyed) {
      const { buffer, bytes } = out.take();
      if (!socket.write(buffer.subarray(0, bytes))) connection.isBlocked = true;
    }
    if (hasMore) schedule();
    if (connection.isClosed) socket.end();
  };
  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(flush);
  };
  const connection: H2Connection = new H2Connection(options, withOutput(sink, schedule), out);
  schedule();
  socket.setNoDelay(true);
  socket.on('drain', () => {
    connection.isBlocked = false;
    schedule();
  });
  socket.on('data', (chunk) => {
    if (typeof chunk !== 'string' && !connection.recv(chunk, 0, chunk.length, performance.now())) schedule();
  });
  socket.on('error', () => connection.close());
  socket.on('close', () => connection.close());
  return { connection, socket };
}

/** A server of ours; `accept` makes the sink of each connection. */
export async function listen(
  options: Partial<H2Options>,
  accept: () => H2ConnectionSink,
): Promise<{ server: Server; port: number; driven: Driven[] }> {
  const driven: Driven[] = [];
  const server = createServer((socket) => driven.push(drive(socket, { ...options, role: 'server' }, accept())));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: portOf(server), driven };
}

/** A connection of ours to a port of this machine. */
export async function dial(port: number, options: Partial<H2Options>, sink: H2ConnectionSink): Promise<Driven> {
  const socket = connect(port, '127.0.0.1');
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return drive(socket, { ...options, role: 'client' }, sink);
}

/** Where a server listens. */
export function portOf(server: { address(): string | AddressInfo | null }): number {
  return (server.address() as AddressInfo).port;
}

function withOutput(sink: H2ConnectionSink, onOutput: () => void): H2ConnectionSink {
  return {
    onRequest: (stream, fields, endStream) => sink.onRequest(stream, fields, endStream),
    onSettings: () => sink.onSettings(),
    onGoaway: (lastStreamId, code) => sink.onGoaway(lastStreamId, code),
    onPong: (opaque) => sink.onPong(opaque),
    onOutput,
  };
}
