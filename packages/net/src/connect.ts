// SPDX-License-Identifier: Apache-2.0
/*
 * Outgoing TCP connections with a deadline. Only IP addresses: names are the business of discovery.
 */
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import { netCounters, reportInternalError } from './config.ts';
import { setUserTimeout } from './libc.ts';
import type { ConnectCallbacks, ConnectOptions, PendingConnection } from './options.ts';
import { errorCodeOf, handleOf } from './socket-driver.ts';
import { SocketStream } from './socket-stream.ts';
import { deadlines, type TimerHandle } from './timer-wheel.ts';

/** Connects; see `ConnectCallbacks`. Throws a TypeError if `host` is not an IP address. */
export function connect(options: ConnectOptions, callbacks: ConnectCallbacks): PendingConnection {
  if (isIP(options.host) === 0) throw new TypeError(`not an IP address: ${options.host}`);
  return new Connecting(options, callbacks);
}

class Connecting implements PendingConnection {
  private readonly options: ConnectOptions;
  private readonly callbacks: ConnectCallbacks;
  private readonly socket: Socket;
  private readonly deadline: TimerHandle;
  private isDone = false;

  constructor(options: ConnectOptions, callbacks: ConnectCallbacks) {
    this.options = options;
    this.callbacks = callbacks;
    const target = options.unixPath === undefined ? { host: options.host, port: options.port } : { path: options.unixPath };
    this.socket = connectSocket({
      ...target,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
      allowHalfOpen: true,
      autoSelectFamily: false,
      noDelay: true,
      keepAlive: options.keepAliveMs !== undefined,
      keepAliveInitialDelay: options.keepAliveMs ?? 0,
    });
    this.socket.pause();
    this.socket.on('connect', this.handleConnect);
    this.socket.on('error', this.handleError);
    this.deadline = deadlines.schedule(options.timeoutMs, () => {
      this.fail('ERR_NET_CONNECT_TIMEOUT', `connecting to ${options.host}:${options.port} took longer than ${options.timeoutMs} ms`);
    });
  }

  cancel(): void {
    if (this.isDone) return;
    this.finish();
    this.socket.destroy();
  }

  private readonly handleConnect = (): void => {
    if (this.isDone) return;
    this.finish();
    this.socket.off('error', ignore);
    netCounters.connectsTotal += 1;
    const { options, socket } = this;
    const fd = handleOf(socket)?.fd;
    if (options.userTimeoutMs !== undefined && fd !== undefined) setUserTimeout(fd, options.userTimeoutMs);
    const stream = new SocketStream(socket, socket, { ip: options.host, port: options.port }, undefined);
    try {
      this.callbacks.onConnect(stream);
    } catch (error) {
      reportInternalError('onConnect', error);
      stream.destroy();
    }
  };

  private readonly handleError = (error: Error): void => {
    this.fail(errorCodeOf(error), error.message);
  };

  private fail(code: string, message: string): void {
    if (this.isDone) return;
    this.finish();
    this.socket.destroy();
    netCounters.connectErrorsTotal += 1;
    try {
      this.callbacks.onError({ code, message });
    } catch (error) {
      reportInternalError('onError', error);
    }
  }

  private finish(): void {
    this.isDone = true;
    this.deadline.cancel();
    this.socket.off('connect', this.handleConnect);
    this.socket.off('error', this.handleError);
    // A socket that is being destroyed may still have an error to tell.
    this.socket.on('error', ignore);
  }
}

function ignore(): void {}
