// SPDX-License-Identifier: Apache-2.0
/*
 * The run's name server: UDP and TCP (RFC 1035 §4.2) on the bridge's address. What it answers is the zone's; here are sockets and limits.
 */
import { Buffer } from 'node:buffer';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { type DnsAnswer, decodeQuery, encodeAnswer, encodeRefusal } from './message.ts';

/** Longest message over TCP: its length is two bytes. */
const MAX_TCP_BYTES = 65_535;
/** Longest query that is read over TCP. */
const MAX_QUERY_BYTES = 4096;
/** A TCP connection without a query ends after this many milliseconds. */
const TCP_IDLE_MS = 10_000;
const MAX_TCP_CONNECTIONS = 256;

/** Answers one question. */
export type Resolve = (name: string, type: number) => DnsAnswer;

/** A running name server. */
export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** The answer in bytes, or undefined where nothing should be sent. */
export function answerMessage(message: Buffer, resolve: Resolve, isTcp: boolean): Buffer | undefined {
  const query = decodeQuery(message);
  if (query === undefined) return undefined;
  if ('refuseWith' in query) return encodeRefusal(query.id, query.refuseWith);
  return encodeAnswer(query, resolve(query.name, query.type), isTcp ? MAX_TCP_BYTES : query.maxUdpBytes);
}

/** Serves on one address; rejects when the port is taken. Port 0 takes any, the same for both transports. */
export async function startDnsServer(host: string, port: number, resolve: Resolve): Promise<DnsServer> {
  const tcp = createServer((socket) => serveTcp(socket, resolve));
  tcp.maxConnections = MAX_TCP_CONNECTIONS;
  tcp.listen(port, host);
  await once(tcp, 'listening');
  const bound = (tcp.address() as AddressInfo).port;
  const udp = createSocket('udp4');
  udp.on('message', (message, from) => {
    const answer = answerMessage(message, resolve, false);
    // An answer that cannot be sent is a lost datagram, which resolvers repeat.
    if (answer !== undefined) udp.send(answer, from.port, from.address, () => undefined);
  });
  try {
    await bindUdp(udp, bound, host);
  } catch (error) {
    tcp.close();
    throw error;
  }
  return {
    port: bound,
    close: async () => {
      udp.close();
      await closeTcp(tcp);
    },
  };
}

async function bindUdp(udp: UdpSocket, port: number, address: string): Promise<void> {
  udp.bind({ port, address });
  await once(udp, 'listening');
}

async function closeTcp(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await closed;
}

function serveTcp(socket: Socket, resolve: Resolve): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  // A client that goes away costs nothing: its connection is gone with it.
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2) {
      const length = pending.readUInt16BE(0);
      if (length > MAX_QUERY_BYTES) {
        socket.destroy();
        return;
      }
      if (pending.length < length + 2) return;
      const answer = answerMessage(pending.subarray(2, length + 2), resolve, true);
      pending = pending.subarray(length + 2);
      if (answer === undefined) {
        socket.destroy();
        return;
      }
      const size = Buffer.alloc(2);
      size.writeUInt16BE(answer.length, 0);
      socket.write(Buffer.concat([size, answer]));
    }
  });
}
