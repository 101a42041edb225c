// SPDX-License-Identifier: Apache-2.0
/*
 * Two ByteStreams joined in memory, behaving as net's SocketStream over loopback does: one write in flight, a bounded receive buffer at the
 * other end, half-close both ways, FIN and RST. Received bytes are shown in a scratch buffer that is spoilt afterwards, so that whoever
 * keeps a view is found out.
 */
import { Buffer } from 'node:buffer';
import { ByteWriter } from '@weft/bytes';
import type { ByteStream, ByteStreamSink, NetError, SocketAddress } from '@weft/net';
import type { LoopStream, TestLoop } from './test-loop.ts';

export interface MemoryStreamOptions {
  /** Bytes that wait at a reader who does not read. Default 64 KiB. */
  readonly receiveBufferBytes?: number;
  /** More than this in flight and unwritten blocks. Default 256 KiB, as net's. */
  readonly writeHighWaterBytes?: number;
  /** Longest piece shown to a sink at once. Default 64 KiB. */
  readonly readBytes?: number;
}

const SPOILT = 0xdb;
const RESET: NetError = { code: 'ECONNRESET', message: 'connection reset by peer' };

export class MemoryStream implements ByteStream, LoopStream {
  readonly remote: SocketAddress;
  readonly local: SocketAddress;
  readonly out: ByteWriter = new ByteWriter();
  onBeforeFlush: (() => void) | undefined = undefined;
  onClosed: ((error: NetError | undefined) => void) | undefined = undefined;
  bytesRead = 0;
  bytesWritten = 0;
  flushedInTurn = -1;
  /** The other end. */
  peer: MemoryStream | undefined = undefined;
  /** Most bytes that were ever waiting in `out` and in flight. */
  peakUnsentBytes = 0;
  isPaused = false;
  private readonly loop: TestLoop;
  private readonly receiveBufferBytes: number;
  private readonly writeHighWaterBytes: number;
  private readonly readBytes: number;
  private sink: ByteStreamSink | undefined = undefined;
  private inbox: Buffer[] = [];
  private inboxBytes = 0;
  private hasFin = false;
  private toldEnd = false;
  private isEnding = false;
  private sentFin = false;
  private isDestroyed = false;
  private toldClose = false;
  private inFlight: Buffer | undefined = undefined;
  private needsDrain = false;
  private failure: NetError | undefined = undefined;

  constructor(loop: TestLoop, local: SocketAddress, remote: SocketAddress, options: MemoryStreamOptions) {
    this.loop = loop;
    this.local = local;
    this.remote = remote;
    this.receiveBufferBytes = options.receiveBufferBytes ?? 65_536;
    this.writeHighWaterBytes = options.writeHighWaterBytes ?? 262_144;
    this.readBytes = options.readBytes ?? 65_536;
    loop.add(this);
  }

  get isClosed(): boolean {
    return this.isDestroyed || this.isEnding;
  }

  get isBlocked(): boolean {
    const isBlocked = this.unsentBytes > this.writeHighWaterBytes;
    if (isBlocked) this.needsDrain = true;
    return isBlocked;
  }

  get unsentBytes(): number {
    return this.out.length + (this.inFlight?.length ?? 0);
  }

  /** Bytes received and not yet shown. */
  get waitingBytes(): number {
    return this.inboxBytes;
  }

  setSink(sink: ByteStreamSink): void {
    this.sink = sink;
    this.loop.schedule(this);
  }

  unread(chunk: Uint8Array, start: number, end: number): void {
    if (start === end || this.isDestroyed) return;
    this.inbox.unshift(Buffer.from(chunk.subarray(start, end)));
    this.inboxBytes += end - start;
    this.toldEnd = false;
    this.loop.schedule(this);
  }

  schedule(): void {
    this.loop.schedule(this);
  }

  pauseReading(): void {
    this.isPaused = true;
  }

  resumeReading(): void {
    this.isPaused = false;
    this.loop.schedule(this);
  }

  end(): void {
    if (this.isClosed) return;
    this.isEnding = true;
    this.loop.schedule(this);
  }

  destroy(options?: { reset?: boolean }): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.inbox = [];
    this.inboxBytes = 0;
    this.inFlight = undefined;
    this.out.discard();
    const { peer } = this;
    if (peer !== undefined && !peer.isDestroyed) {
      if (options?.reset === true) peer.fail(RESET);
      else peer.hasFin = true;
    }
    this.loop.schedule(this);
  }

  flush(): void {
    if (this.isDestroyed) {
      this.out.discard();
      return;
    }
    if (this.onBeforeFlush !== undefined) this.guard(() => this.onBeforeFlush?.());
    this.peakUnsentBytes = Math.max(this.peakUnsentBytes, this.unsentBytes);
    if (this.inFlight === undefined && this.out.length > 0) {
      this.needsDrain ||= this.isBlocked;
      this.inFlight = Buffer.from(this.out.buffer.subarray(0, this.out.length));
      this.out.discard();
    }
  }

  exchange(): boolean {
    if (this.isDestroyed) return this.tellClose();
    const hasWritten = this.write();
    const hasRead = this.read();
    if (this.sentFin && this.toldEnd && !this.isDestroyed) this.isDestroyed = true;
    return hasWritten || hasRead || this.isDestroyed;
  }

  /** Breaks the connection as the kernel would. */
  fail(error: NetError): void {
    if (this.isDestroyed) return;
    this.failure = error;
    this.isDestroyed = true;
    this.inbox = [];
    this.inboxBytes = 0;
    this.inFlight = undefined;
    this.out.discard();
  }

  private write(): boolean {
    const { inFlight } = this;
    const peer = this.peer as MemoryStream;
    if (inFlight !== undefined) {
      if (peer.isDestroyed) {
        this.fail(RESET);
        return true;
      }
      const bytes = Math.min(inFlight.length, peer.receiveBufferBytes - peer.inboxBytes);
      if (bytes <= 0) return false;
      peer.inbox.push(Buffer.from(inFlight.subarray(0, bytes)));
      peer.inboxBytes += bytes;
      this.bytesWritten += bytes;
      this.inFlight = bytes === inFlight.length ? undefined : inFlight.subarray(bytes);
      if (this.inFlight === undefined) {
        if (this.needsDrain && !this.isBlocked) {
          this.needsDrain = false;
          this.guard(() => this.sink?.onDrain());
        }
        this.loop.schedule(this);
      }
      return true;
    }
    if (this.isEnding && !this.sentFin && this.out.length === 0) {
      this.sentFin = true;
      if (!peer.isDestroyed) peer.hasFin = true;
      return true;
    }
    return false;
  }

  private read(): boolean {
    if (this.sink === undefined || this.isPaused) return false;
    const chunk = this.inbox.shift();
    if (chunk !== undefined) {
      const bytes = Math.min(chunk.length, this.readBytes);
      if (bytes < chunk.length) this.inbox.unshift(chunk.subarray(bytes));
      this.inboxBytes -= bytes;
      this.bytesRead += bytes;
      const scratch = Buffer.alloc(bytes + 8, SPOILT);
      chunk.copy(scratch, 4, 0, bytes);
      this.guard(() => this.sink?.onRead(scratch, 4, 4 + bytes));
      scratch.fill(SPOILT);
      return true;
    }
    if (this.hasFin && !this.toldEnd) {
      this.toldEnd = true;
      this.guard(() => this.sink?.onReadEnd());
      return true;
    }
    return false;
  }

  private tellClose(): boolean {
    if (this.toldClose) return false;
    this.toldClose = true;
    this.loop.remove(this);
    this.onClosed?.(this.failure);
    const { sink } = this;
    this.sink = undefined;
    this.guard(() => sink?.onClose(this.failure));
    return true;
  }

  private guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.loop.errors.push(error);
      this.fail({ code: 'ERR_NET_INTERNAL', message: 'internal error' });
    }
  }
}

/** Two joined streams: the first is the client's end. */
export function createStreamPair(
  loop: TestLoop,
  options: MemoryStreamOptions = {},
  client: SocketAddress = { ip: '10.1.0.1', port: 40_000 },
  server: SocketAddress = { ip: '10.1.0.2', port: 8080 },
): readonly [MemoryStream, MemoryStream] {
  const a = new MemoryStream(loop, client, server, options);
  const b = new MemoryStream(loop, server, client, options);
  a.peer = b;
  b.peer = a;
  return [a, b];
}
