// SPDX-License-Identifier: Apache-2.0
/*
 * A loopback port whose connections lead to a port of a pod: one WebSocket to the API server for each (Kubernetes API, pods/portforward,
 * `v4.channel.k8s.io`). That protocol has no half-close: the end of either side ends the connection.
 */
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import type { Readable, Writable } from 'node:stream';
import { CommandFailure } from '../command-context.ts';
import type { PortForward } from './cluster.ts';

/** What is needed of `@kubernetes/client-node`'s PortForward. */
export interface PortForwarder {
  portForward(namespace: string, pod: string, ports: number[], output: Writable, error: Writable, input: Readable): Promise<unknown>;
}

interface ForwardSocket {
  close(): void;
  addEventListener(event: 'close' | 'error', listener: () => void): void;
}

/** Listens on a free port of 127.0.0.1. Rejects with CommandFailure when it cannot. */
export async function forwardPort(forwarder: PortForwarder, namespace: string, pod: string, port: number): Promise<PortForward> {
  const sockets = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    void join(forwarder, socket, namespace, pod, port);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', resolve);
  try {
    await promise;
  } catch (error) {
    throw new CommandFailure('cannot listen on a loopback port', 1, { cause: error });
  }
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function join(forwarder: PortForwarder, socket: Socket, namespace: string, pod: string, port: number): Promise<void> {
  const output = new PassThrough();
  const failure = new PassThrough();
  output.pipe(socket);
  // The pod's side says on its error channel why it cannot connect; the reader of the port then sees a cut connection.
  failure.on('data', () => socket.destroy());
  try {
    const webSocket = (await forwarder.portForward(namespace, pod, [port], output, failure, socket)) as ForwardSocket;
    const end = (): void => {
      output.end();
    };
    webSocket.addEventListener('close', end);
    webSocket.addEventListener('error', end);
    socket.on('close', () => webSocket.close());
    socket.resume();
  } catch {
    socket.destroy();
  }
}
