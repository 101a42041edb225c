// SPDX-License-Identifier: Apache-2.0
/*
 * Listening and accepting (proxy-contract §2.1–2.2). An accept error never stops the loop; a storm of connections is handed over a
 * few per turn, so that established traffic keeps its latency (design §3, "Storms").
 */
import { createServer, type Server, type Socket } from 'node:net';
import { netCounters, reportInternalError } from './config.ts';
import { getOriginalDestination, setUserTimeout } from './libc.ts';
import type { Listener, ListenOptions } from './options.ts';
import { errorCodeOf, handleOf } from './socket-driver.ts';
import { unmapped } from './socket-address.ts';
import { SocketStream } from './socket-stream.ts';
import type { SocketAddress } from './types.ts';

const DEFAULT_BACKLOG = 1024;
const DEFAULT_ACCEPTS_PER_TURN = 64;

/** Binds and starts to accept. Rejects with the error of Node when the address cannot be bound. */
export function listen(options: ListenOptions): Promise<Listener> {
  const listener = new SocketListener(options);
  return listener.start();
}

class SocketListener implements Listener {
  address: SocketAddress;
  private readonly options: ListenOptions;
  private readonly server: Server;
  private readonly maxAcceptsPerTurn: number;
  private waiting: Socket[] = [];
  private acceptsThisTurn = 0;
  private isTurnArmed = false;
  private isListening = false;
  private isClosing = false;

  constructor(options: ListenOptions) {
    this.options = options;
    this.address = { ip: options.host, port: options.port };
    this.maxAcceptsPerTurn = options.maxAcceptsPerTurn ?? DEFAULT_ACCEPTS_PER_TURN;
    this.server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: options.keepAliveMs !== undefined,
      keepAliveInitialDelay: options.keepAliveMs ?? 0,
    });
  }

  start(): Promise<Listener> {
    const { server, options } = this;
    return new Promise((resolve, reject) => {
      server.on('connection', (socket: Socket) => this.accepted(socket));
      server.on('error', (error) => {
        if (this.isListening) this.acceptFailed(errorCodeOf(error), error.message);
        else reject(error);
      });
      server.listen(
        {
          host: options.host,
          port: options.port,
          backlog: options.backlog ?? DEFAULT_BACKLOG,
          reusePort: options.reusePort ?? false,
          exclusive: true,
        },
        () => {
          this.isListening = true;
          const bound = server.address();
          if (bound !== null && typeof bound === 'object') this.address = { ip: bound.address, port: bound.port };
          resolve(this);
        },
      );
    });
  }

  close(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.server.close();
    for (const socket of this.waiting) socket.destroy();
    this.waiting = [];
  }

  private accepted(socket: Socket): void {
    if (this.acceptsThisTurn < this.maxAcceptsPerTurn) {
      this.acceptsThisTurn += 1;
      this.handOver(socket);
    } else {
      // A socket that waits here has no stream yet to take its errors.
      socket.on('error', ignore);
      this.waiting.push(socket);
    }
    this.armTurn();
  }

  private armTurn(): void {
    if (this.isTurnArmed) return;
    this.isTurnArmed = true;
    setImmediate(() => {
      this.isTurnArmed = false;
      this.acceptsThisTurn = 0;
      if (this.waiting.length === 0) return;
      const batch = this.waiting.splice(0, this.maxAcceptsPerTurn);
      this.acceptsThisTurn = batch.length;
      for (const socket of batch) {
        socket.off('error', ignore);
        this.handOver(socket);
      }
      this.armTurn();
    });
  }

  private handOver(socket: Socket): void {
    const { options } = this;
    const handle = handleOf(socket);
    const name: { address?: string; port?: number; family?: string } = {};
    if (handle?.getpeername?.(name) !== 0 || name.address === undefined) {
      // The peer was gone before we looked.
      socket.on('error', ignore);
      socket.destroy();
      this.acceptFailed('ENOTCONN', 'the connection was closed before it was accepted');
      return;
    }
    const remote = { ip: unmapped(name.address), port: name.port ?? 0 };
    if (options.userTimeoutMs !== undefined) setUserTimeout(handle.fd, options.userTimeoutMs);
    let originalDestination: SocketAddress | undefined;
    if (options.originalDestination) {
      originalDestination = getOriginalDestination(handle.fd, remote.ip.includes(':') ? 6 : 4);
      if (originalDestination === undefined) {
        socket.on('error', ignore);
        socket.destroy();
        netCounters.originalDestinationErrorsTotal += 1;
        this.acceptFailed('ERR_NET_ORIGINAL_DESTINATION', `no original destination for the connection from ${remote.ip}:${remote.port}`);
        return;
      }
    }
    netCounters.acceptsTotal += 1;
    const stream = new SocketStream(socket, socket, remote, undefined);
    try {
      options.onConnection(stream, originalDestination);
    } catch (error) {
      reportInternalError('onConnection', error);
      stream.destroy();
    }
  }

  private acceptFailed(code: string, message: string): void {
    netCounters.acceptErrorsTotal += 1;
    try {
      this.options.onError({ code, message });
    } catch (error) {
      reportInternalError('onError', error);
    }
  }
}

function ignore(): void {}
