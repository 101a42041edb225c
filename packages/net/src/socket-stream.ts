// SPDX-License-Identifier: Apache-2.0
/*
 * One connected socket, plain or TLS, as a ByteStream (design §3): pooled output that leaves in one write per turn, reads out of a
 * buffer shared by all streams, half-close both ways. Every call into a sink is a boundary: a throw destroys this stream only.
 *
 *   reading:  no sink ──setSink──► flowing ⇄ paused ──FIN──► ended
 *   writing:  open ──end()──► ending ──out empty, nothing in flight──► FIN sent
 *   both:     ──destroy(), error, or both halves done──► closed, onClose once
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { ByteWriter } from '@weft/bytes';
import { bufferPool } from './buffer-pool.ts';
import { netCounters, reportInternalError, writeHighWater } from './config.ts';
import { unmapped } from './socket-address.ts';
import { attachReader, errorCodeOf, handleOf, startReading, startWrite, stopReading } from './socket-driver.ts';
import { scheduleFlush } from './turn-flush.ts';
import type { ByteStream, ByteStreamSink, NetError, SocketAddress } from './types.ts';

const EMPTY: Buffer = Buffer.alloc(0);
const UNKNOWN_ADDRESS: SocketAddress = { ip: '', port: 0 };

/** A `ByteStream` on a socket of node:net or node:tls. Made by `listen`, `connect` and the TLS functions. */
export class SocketStream implements ByteStream {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly out: ByteWriter = new ByteWriter(bufferPool);
  onBeforeFlush: (() => void) | undefined = undefined;
  onClosed: ((error: NetError | undefined) => void) | undefined = undefined;
  bytesRead = 0;
  bytesWritten = 0;
  /** Owned by the flush. */
  flushPass = 0;

  private readonly socket: Socket;
  /** The TCP socket below TLS, else the same as `socket`. */
  private readonly tcpSocket: Socket;
  private sink: ByteStreamSink | undefined = undefined;
  /** Bytes to deliver before anything that is read: put back, or read while paused. */
  private held: Buffer[] = [];
  private isPaused = false;
  /** The peer's FIN has been seen, but may wait behind `held`. */
  private sawReadEnd = false;
  private toldReadEnd = false;
  private isEnding = false;
  private sentEnd = false;
  private isDestroyed = false;
  private isDetached = false;
  private sawClose = false;
  private toldClose = false;
  private isDelivering = false;
  private isWriting = false;
  private inFlight: Buffer = EMPTY;
  private inFlightBytes = 0;
  private needsDrain = false;
  private failure: NetError | undefined = undefined;

  constructor(socket: Socket, tcpSocket: Socket, remote: SocketAddress | undefined, local: SocketAddress | undefined) {
    this.socket = socket;
    this.tcpSocket = tcpSocket;
    this.remote = remote ?? addressOf(socket, 'getpeername');
    this.local = local ?? addressOf(socket, 'getsockname');
    netCounters.openStreams += 1;
    socket.on('end', this.handleEnd);
    socket.on('error', this.handleError);
    socket.on('close', this.handleClose);
    attachReader(socket, this);
  }

  get isClosed(): boolean {
    return this.isDestroyed || this.isEnding;
  }

  get isTls(): boolean {
    return this.socket !== this.tcpSocket;
  }

  get isBlocked(): boolean {
    const isBlocked = this.inFlightBytes + this.out.length > writeHighWater();
    // Whoever has seen it waits for `onDrain`, also if the write in flight completes before the next flush.
    if (isBlocked) this.needsDrain = true;
    return isBlocked;
  }

  setSink(sink: ByteStreamSink): void {
    const isFirst = this.sink === undefined;
    if (this.toldClose) return;
    this.sink = sink;
    if (this.sawClose) scheduleFlush(this);
    if (this.isDestroyed) return;
    if (this.held.length > 0 || (this.sawReadEnd && !this.toldReadEnd)) scheduleFlush(this);
    if (isFirst && !this.isPaused) startReading(this.socket);
  }

  unread(chunk: Uint8Array, start: number, end: number): void {
    if (start === end || this.isDestroyed) return;
    this.held.unshift(copyOf(chunk, start, end));
    this.toldReadEnd = false;
    scheduleFlush(this);
  }

  schedule(): void {
    scheduleFlush(this);
  }

  pauseReading(): void {
    if (this.isPaused || this.isDestroyed) return;
    this.isPaused = true;
    stopReading(this.socket);
  }

  resumeReading(): void {
    if (!this.isPaused || this.isDestroyed) return;
    this.isPaused = false;
    if (this.held.length > 0 || (this.sawReadEnd && !this.toldReadEnd)) scheduleFlush(this);
    if (this.sink !== undefined) startReading(this.socket);
  }

  end(): void {
    if (this.isClosed) return;
    this.isEnding = true;
    scheduleFlush(this);
  }

  destroy(options?: { reset?: boolean }): void {
    if (this.isDestroyed || this.isDetached) return;
    this.isDestroyed = true;
    this.held = [];
    this.out.discard();
    // libuv refuses a reset while a FIN is queued, and node:net would then leak the descriptor.
    const canReset = handleOf(this.tcpSocket) !== undefined && (!this.sentEnd || this.socket.writableFinished);
    if (options?.reset === true && canReset) {
      // A TLS socket follows when this one has closed. Destroyed right away, it would free OpenSSL's state, perhaps under a callback of it.
      this.tcpSocket.resetAndDestroy();
    } else {
      this.socket.destroy();
    }
  }

  /** Called by the end-of-turn flush. */
  flush(): void {
    if (this.isDestroyed || this.isDetached) {
      this.out.discard();
      if (this.sawClose) this.tellClose();
      return;
    }
    if (this.held.length > 0 || this.sawReadEnd) this.deliverHeld();
    if (this.onBeforeFlush !== undefined) {
      try {
        this.onBeforeFlush();
      } catch (error) {
        this.fail('onBeforeFlush', error);
      }
    }
    if (this.inFlightBytes === 0) this.writeOut();
  }

  /** Called by the driver. */
  received(chunk: Buffer, bytes: number): void {
    if (this.isDestroyed || this.isDetached) return;
    this.bytesRead += bytes;
    // Bytes put back come first. TLS may hand over a few more records after reading was stopped.
    if (this.held.length > 0 && !this.isDelivering) this.deliverHeld();
    if (this.sink === undefined || this.isPaused || this.isDelivering || this.held.length > 0) {
      if (!this.isDestroyed) this.held.push(copyOf(chunk, 0, bytes));
      return;
    }
    this.deliver(chunk, 0, bytes);
  }

  /** Called by the driver. */
  writeCompleted(errorCode: string | undefined): void {
    const bytes = this.inFlightBytes;
    bufferPool.release(this.inFlight);
    this.inFlight = EMPTY;
    this.inFlightBytes = 0;
    if (this.isDestroyed) return;
    if (errorCode !== undefined) {
      this.failure ??= { code: errorCode, message: `writing to ${this.remote.ip}:${this.remote.port} failed: ${errorCode}` };
      this.destroy();
      return;
    }
    this.bytesWritten += bytes;
    if (this.needsDrain && !this.isBlocked) {
      this.needsDrain = false;
      try {
        this.sink?.onDrain();
      } catch (error) {
        this.fail('onDrain', error);
        return;
      }
    }
    if (!this.isWriting && (this.out.length > 0 || this.isEnding)) scheduleFlush(this);
  }

  /**
   * Hands the socket and the bytes not yet delivered to TLS. This object is dead afterwards; its sink gets no further calls.
   * Undefined when the stream is already closed or has begun to write.
   */
  detach(): { socket: Socket; held: Buffer[] } | undefined {
    if (this.isClosed || this.isDetached || this.sawReadEnd || this.inFlightBytes > 0 || this.socket !== this.tcpSocket) return undefined;
    this.isDetached = true;
    this.isDestroyed = true;
    stopReading(this.socket);
    this.socket.off('end', this.handleEnd);
    this.socket.off('error', this.handleError);
    this.socket.off('close', this.handleClose);
    this.out.discard();
    this.sink = undefined;
    netCounters.openStreams -= 1;
    const { held } = this;
    this.held = [];
    return { socket: this.socket, held };
  }

  private deliver(chunk: Buffer, start: number, end: number): void {
    try {
      this.sink?.onRead(chunk, start, end);
    } catch (error) {
      this.fail('onRead', error);
    }
  }

  private deliverHeld(): void {
    this.isDelivering = true;
    while (this.held.length > 0 && this.sink !== undefined && !this.isPaused && !this.isDestroyed) {
      const chunk = this.held.shift() as Buffer;
      this.deliver(chunk, 0, chunk.length);
    }
    this.isDelivering = false;
    if (this.sawReadEnd && !this.toldReadEnd && this.held.length === 0 && this.sink !== undefined && !this.isDestroyed) {
      this.toldReadEnd = true;
      try {
        this.sink.onReadEnd();
      } catch (error) {
        this.fail('onReadEnd', error);
      }
    }
  }

  private writeOut(): void {
    const { out } = this;
    this.needsDrain ||= this.isBlocked;
    if (this.isDestroyed) {
      out.discard();
    } else if (out.length > 0) {
      const { buffer, length } = out;
      out.buffer = EMPTY;
      out.length = 0;
      this.inFlight = buffer;
      this.inFlightBytes = length;
      this.isWriting = true;
      startWrite(this.socket, length === buffer.length ? buffer : buffer.subarray(0, length), this);
      this.isWriting = false;
    }
    if (this.isEnding && !this.sentEnd && this.inFlightBytes === 0 && this.out.length === 0 && !this.isDestroyed) {
      this.sentEnd = true;
      this.socket.end();
    }
  }

  private fail(where: string, error: unknown): void {
    reportInternalError(where, error);
    this.failure ??= { code: 'ERR_NET_INTERNAL', message: `internal error in ${where}` };
    this.destroy();
  }

  private readonly handleEnd = (): void => {
    this.sawReadEnd = true;
    if (!this.isDelivering) this.deliverHeld();
  };

  private readonly handleError = (error: Error): void => {
    this.failure ??= { code: errorCodeOf(error), message: error.message };
  };

  private readonly handleClose = (): void => {
    this.isDestroyed = true;
    this.sawClose = true;
    this.held = [];
    this.out.discard();
    netCounters.openStreams -= 1;
    this.tellClose();
  };

  /** Waits for the first sink if there has been none. */
  private tellClose(): void {
    const { sink } = this;
    if (sink === undefined || this.toldClose) return;
    this.toldClose = true;
    this.sink = undefined;
    const { onClosed } = this;
    this.onClosed = undefined;
    try {
      onClosed?.(this.failure);
    } catch (error) {
      reportInternalError('onClosed', error);
    }
    try {
      sink.onClose(this.failure);
    } catch (error) {
      reportInternalError('onClose', error);
    }
  }
}

/** Reads one end of a socket; empty when the peer is already gone. */
export function addressOf(socket: Socket, name: 'getpeername' | 'getsockname'): SocketAddress {
  const found: { address?: string; port?: number } = {};
  const handle = handleOf(socket);
  if (handle?.[name]?.(found) !== 0 || found.address === undefined) return UNKNOWN_ADDRESS;
  return { ip: unmapped(found.address), port: found.port ?? 0 };
}

function copyOf(chunk: Uint8Array, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  copy.set(chunk.subarray(start, end));
  return copy;
}
