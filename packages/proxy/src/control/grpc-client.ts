// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's own gRPC client on the proxy's own HTTP/2 codec (design §2: neither grpc-js nor node:http2 in the proxy): unary calls and
 * server streams with binary messages, statuses from trailers, over a channel that balances the resolved addresses of one
 * control-plane service. gRPC over HTTP/2: PROTOCOL-HTTP2.md.
 */
import { Buffer } from 'node:buffer';
import { type FieldList, fieldValue } from '@weft/bytes';
import { H2Connection, type H2ConnectionSink, type H2StreamHandle, type H2StreamSink } from '@weft/http2';
import { type ByteStream, type ByteStreamSink, type NetError, type SocketAddress, connect, connectTls } from '@weft/net';
import type { ControlAddress } from '../config/types.ts';
import type { LocalIdentity } from '../identity/types.ts';
import type { Clock } from '../runtime.ts';
import { type BackoffState, createBackoffState } from './backoff.ts';
import type { Backoff } from '../config/types.ts';
import type { ControlMetrics } from '../metrics/control-metrics.ts';

/** gRPC status codes that callers look at. */
export const GRPC_OK = 0;
export const GRPC_CANCELLED = 1;
export const GRPC_UNKNOWN = 2;
export const GRPC_INVALID_ARGUMENT = 3;
export const GRPC_DEADLINE_EXCEEDED = 4;
export const GRPC_NOT_FOUND = 5;
export const GRPC_FAILED_PRECONDITION = 9;
export const GRPC_UNIMPLEMENTED = 12;
export const GRPC_INTERNAL = 13;
export const GRPC_UNAVAILABLE = 14;

/** Messages of the control plane beyond this are refused. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Compressed flag and length in front of each message. */
const PREFIX_BYTES = 5;
const CANCEL = 8;
/** A connection that is younger is given time. */
const SUSPECT_AFTER_MS = 2000;
/** Beyond any number of addresses that a service has. */
const MAX_FIRST_ADDRESS = 65_536;
/** Calls that wait for a connection at most this long (§5.1: fail-fast 30 s). */
export const CONNECT_WAIT_MS = 30_000;

/** Receives a call's events. `onMessage` views are copies that may be kept. */
export interface GrpcCallSink {
  onMessage(message: Uint8Array): void;
  /** Last call. */
  onEnd(status: number, message: string): void;
}

export interface GrpcCall {
  cancel(): void;
}

/** What callers need of a channel. */
export interface GrpcCaller {
  /** Plaintext to the own pod (§1.6): stream limits do not apply. */
  readonly isLoopback: boolean;
  /** Whether the last connect worked: while it did not, nothing may be evicted from the caches (design §3). */
  readonly isReachable: boolean;
  /**
   * A call was not answered in time, so that whoever is at the other end may be stuck: where there are others, the next calls go to another one.
   */
  suspect(): void;
  /** Starts a call with one request message. */
  call(path: string, request: Uint8Array, sink: GrpcCallSink, metadata?: readonly string[]): GrpcCall;
}

export interface GrpcChannelDeps {
  readonly address: ControlAddress;
  /** Dialled instead of the address, which is a loopback one then. */
  readonly unixPath?: string | undefined;
  readonly identity: LocalIdentity;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number | undefined;
  readonly userTimeoutMs: number | undefined;
  readonly metrics: ControlMetrics;
  /** Addresses of the service now; calls back once. */
  resolve(onResolved: (addresses: readonly SocketAddress[]) => void, onError: (message: string) => void): void;
  readonly log: {
    debug(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
  };
}

interface Pending {
  readonly path: string;
  readonly request: Uint8Array;
  readonly metadata: readonly string[];
  readonly sink: GrpcCallSink;
  isCancelled: boolean;
  stream: CallStream | undefined;
  readonly startedMs: number;
  cancelWait: (() => void) | undefined;
}

/** A channel to one control-plane service. Connects on the first call, reconnects with back-off while calls wait. */
export class GrpcChannel implements GrpcCaller {
  private readonly deps: GrpcChannelDeps;
  private readonly backoff: BackoffState;
  private connection: ChannelConnection | undefined = undefined;
  private isConnecting = false;
  private cancelRetry: (() => void) | undefined = undefined;
  private waiting: Pending[] = [];
  /** Proxies that start together begin with different ones. */
  private nextAddress: number;
  private connectedMs = 0;
  private addressCount = 0;
  /** Calls have waited in vain: the gate of the metrics. */
  private isShut = false;
  private isClosed = false;
  isReachable = false;

  get isLoopback(): boolean {
    return this.deps.address.identity === undefined;
  }

  constructor(deps: GrpcChannelDeps) {
    this.deps = deps;
    this.backoff = createBackoffState(deps.backoff, deps.clock.random);
    this.nextAddress = Math.floor(deps.clock.random() * MAX_FIRST_ADDRESS);
  }

  suspect(): void {
    const { connection } = this;
    if (connection === undefined || this.addressCount < 2 || this.deps.clock.now() - this.connectedMs < SUSPECT_AFTER_MS) return;
    this.deps.log.debug('control plane does not answer; trying another address', {
      addr: `${this.deps.address.host}:${this.deps.address.port}`,
    });
    connection.retire();
  }

  call(path: string, request: Uint8Array, sink: GrpcCallSink, metadata: readonly string[] = []): GrpcCall {
    const pending: Pending = {
      path,
      request,
      metadata,
      sink,
      isCancelled: false,
      stream: undefined,
      startedMs: this.deps.clock.now(),
      cancelWait: undefined,
    };
    this.deps.metrics.request();
    this.retireAnonymous();
    if (this.connection?.canCall === true) this.begin(this.connection, pending);
    else this.wait(pending);
    return {
      cancel: () => {
        if (pending.isCancelled) return;
        pending.isCancelled = true;
        pending.cancelWait?.();
        pending.stream?.cancel();
        const at = this.waiting.indexOf(pending);
        if (at >= 0) this.waiting.splice(at, 1);
        this.deps.metrics.balancer.queued(this.waiting.length);
      },
    };
  }

  close(): void {
    this.isClosed = true;
    this.deps.metrics.balancer.close();
    this.cancelRetry?.();
    this.connection?.close();
    for (const pending of this.waiting.splice(0)) this.finish(pending, GRPC_UNAVAILABLE, 'channel closed');
  }

  /** A connection from before the first certificate says nothing of who calls: what is called afterwards goes over another one. */
  private retireAnonymous(): void {
    if (this.connection?.isAnonymous === true && this.deps.identity.tls !== undefined) this.connection.retire();
  }

  private wait(pending: Pending): void {
    this.waiting.push(pending);
    this.deps.metrics.balancer.queued(this.waiting.length);
    pending.cancelWait = this.deps.clock.after(CONNECT_WAIT_MS, () => {
      const at = this.waiting.indexOf(pending);
      if (at < 0) return;
      this.waiting.splice(at, 1);
      const { balancer } = this.deps.metrics;
      balancer.queued(this.waiting.length);
      if (!this.isShut) balancer.gate(true);
      this.isShut = true;
      this.finish(pending, GRPC_UNAVAILABLE, 'service in fail-fast');
    });
    this.connect();
  }

  private finish(pending: Pending, status: number, message: string): void {
    pending.cancelWait?.();
    if (pending.isCancelled) return;
    pending.isCancelled = true;
    if (pending.stream?.isAnswered === true) this.deps.metrics.answered(status);
    else this.deps.metrics.failed();
    pending.sink.onEnd(status, message);
  }

  private connect(): void {
    if (this.isConnecting || this.isClosed || this.cancelRetry !== undefined) return;
    this.isConnecting = true;
    this.deps.resolve(
      (addresses) => {
        this.addressCount = addresses.length;
        this.deps.metrics.balancer.updated({ isReset: true, add: addresses, remove: [] });
        this.deps.metrics.balancer.endpoints(0, addresses.length);
        if (addresses.length === 0) this.connectFailed('no addresses');
        else this.dial(addresses[this.nextAddress++ % addresses.length] as SocketAddress);
      },
      (message) => this.connectFailed(message),
    );
  }

  private dial(address: SocketAddress): void {
    const { deps } = this;
    connect(
      {
        host: address.ip,
        port: address.port,
        ...(deps.unixPath === undefined ? {} : { unixPath: deps.unixPath }),
        timeoutMs: deps.connectTimeoutMs,
        ...(deps.keepAliveMs === undefined ? {} : { keepAliveMs: deps.keepAliveMs }),
        ...(deps.userTimeoutMs === undefined ? {} : { userTimeoutMs: deps.userTimeoutMs }),
      },
      {
        onConnect: (stream) => {
          const { identity } = deps.address;
          if (identity === undefined) {
            this.connected(stream, false);
            return;
          }
          // The first certificate is asked for without one (§3.2).
          const isAnonymous = deps.identity.tls === undefined;
          const context = deps.identity.tls?.client ?? deps.identity.anonymousClient;
          if (context === undefined) {
            stream.destroy();
            this.connectFailed('this proxy has no certificate yet');
            return;
          }
          connectTls(
            stream,
            context,
            { serverName: identity, expectedIdentity: identity, timeoutMs: deps.connectTimeoutMs * 10 },
            { onSecure: (secure) => this.connected(secure, isAnonymous), onError: (error) => this.connectFailed(error.message) },
          );
        },
        onError: (error) => this.connectFailed(error.message),
      },
    );
  }

  private connected(stream: ByteStream, isAnonymous: boolean): void {
    this.isConnecting = false;
    if (this.isClosed) {
      stream.destroy();
      return;
    }
    this.backoff.reset();
    this.isReachable = true;
    this.connectedMs = this.deps.clock.now();
    const { balancer } = this.deps.metrics;
    balancer.endpoints(1, this.addressCount - 1);
    if (this.isShut) balancer.gate(false);
    this.isShut = false;
    const connection = new ChannelConnection(stream, isAnonymous, this.deps.clock.now, () => {
      if (this.connection === connection) {
        this.connection = undefined;
        this.isReachable = false;
        balancer.endpoints(0, this.addressCount);
        if (this.waiting.length > 0) this.connect();
      }
    });
    this.connection = connection;
    const waiting = this.waiting.splice(0);
    balancer.queued(0);
    for (const pending of waiting) {
      pending.cancelWait?.();
      if (!pending.isCancelled) this.begin(connection, pending);
    }
  }

  private connectFailed(message: string): void {
    this.isConnecting = false;
    this.isReachable = false;
    if (this.isClosed || this.waiting.length === 0) return;
    const delayMs = this.backoff.next();
    this.deps.log.debug('control plane connection failed', { addr: `${this.deps.address.host}:${this.deps.address.port}`, error: message });
    this.cancelRetry = this.deps.clock.after(delayMs, () => {
      this.cancelRetry = undefined;
      if (this.waiting.length > 0) this.connect();
    });
  }

  private begin(connection: ChannelConnection, pending: Pending): void {
    const { metrics, clock } = this.deps;
    const stream = new CallStream(
      (status, message) => this.finish(pending, status, message),
      pending.sink,
      () => metrics.head(clock.now() - pending.startedMs),
    );
    pending.stream = stream;
    const authority = `${this.deps.address.host}:${this.deps.address.port}`;
    if (!connection.start(authority, pending, stream)) {
      pending.stream = undefined;
      this.wait(pending);
      return;
    }
    metrics.balancer.waited(clock.now() - pending.startedMs);
  }
}

/** One HTTP/2 connection of the channel. */
class ChannelConnection implements ByteStreamSink, H2ConnectionSink {
  private readonly stream: ByteStream;
  private readonly codec: H2Connection;
  private readonly now: () => number;
  private readonly onGone: () => void;
  /** Opened without a client certificate. */
  readonly isAnonymous: boolean;
  private isGone = false;
  /** Closes when the last call has ended, which may be one that is cancelled because nobody answers. */
  private isRetiring = false;

  constructor(stream: ByteStream, isAnonymous: boolean, now: () => number, onGone: () => void) {
    this.stream = stream;
    this.isAnonymous = isAnonymous;
    this.now = now;
    this.onGone = onGone;
    this.codec = new H2Connection({ role: 'client' }, this, stream.out);
    stream.onBeforeFlush = () => {
      this.codec.isBlocked = stream.isBlocked;
      if (this.codec.flush()) stream.schedule();
      if (!this.isRetiring || this.codec.activeStreams > 0) return;
      this.isRetiring = false;
      this.close();
    };
    stream.setSink(this);
    stream.schedule();
  }

  get canCall(): boolean {
    return !this.isGone && this.codec.canRequest;
  }

  start(authority: string, pending: Pending, call: CallStream): boolean {
    const fields: FieldList = [
      ':method',
      'POST',
      ':scheme',
      'http',
      ':authority',
      authority,
      ':path',
      pending.path,
      'te',
      'trailers',
      'content-type',
      'application/grpc',
      ...pending.metadata,
    ];
    const handle = this.codec.request(fields, false, call);
    if (handle === undefined) return false;
    call.handle = handle;
    const frame = Buffer.allocUnsafe(5 + pending.request.length);
    frame[0] = 0;
    frame.writeUInt32BE(pending.request.length, 1);
    frame.set(pending.request, 5);
    handle.sendData(frame, 0, frame.length, true);
    this.stream.schedule();
    return true;
  }

  close(): void {
    this.codec.goaway(0);
    this.stream.end();
  }

  /** Takes no more calls and closes after the last of those under way. */
  retire(): void {
    this.gone();
    if (this.codec.activeStreams === 0) this.close();
    else this.isRetiring = true;
  }

  onRead(chunk: Buffer, start: number, end: number): void {
    if (!this.codec.recv(chunk, start, end, this.now())) {
      this.gone();
      this.stream.destroy();
      return;
    }
    // After GOAWAY the last call to end closes the connection.
    if (this.isGone && this.codec.activeStreams === 0) {
      this.stream.destroy();
      return;
    }
    this.stream.schedule();
  }

  onReadEnd(): void {
    this.gone();
    this.codec.close();
    this.stream.end();
  }

  onDrain(): void {
    this.codec.isBlocked = false;
    this.stream.schedule();
  }

  onClose(_error: NetError | undefined): void {
    this.gone();
    this.codec.close();
  }

  onRequest(): H2StreamSink {
    throw new Error('request on a client connection');
  }

  onSettings(): void {}

  onGoaway(): void {
    this.gone();
  }

  onPong(): void {}

  onOutput(): void {
    this.stream.schedule();
  }

  private gone(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.onGone();
  }
}

/** One call's stream: gathers length-prefixed messages and reads the status. */
class CallStream implements H2StreamSink {
  handle: H2StreamHandle | undefined = undefined;
  /** The head of an answer has come. */
  isAnswered = false;
  private readonly onHead: () => void;
  private readonly finish: (status: number, message: string) => void;
  private readonly sink: GrpcCallSink;
  /** Bytes of the message that is still coming, its prefix included. */
  private gathered: Buffer[] = [];
  private gatheredBytes = 0;
  /** Bytes wanted before `gathered` is looked at again: the prefix, then the whole message. */
  private wantedBytes = PREFIX_BYTES;
  private isDone = false;

  constructor(finish: (status: number, message: string) => void, sink: GrpcCallSink, onHead: () => void) {
    this.finish = finish;
    this.onHead = onHead;
    this.sink = sink;
  }

  cancel(): void {
    if (this.isDone) return;
    this.isDone = true;
    this.handle?.reset(CANCEL);
  }

  onHeaders(fields: Readonly<FieldList>, endStream: boolean): void {
    if (!this.isAnswered) {
      this.isAnswered = true;
      this.onHead();
    }
    const status = fieldValue(fields, ':status');
    const grpcStatus = fieldValue(fields, 'grpc-status');
    if (grpcStatus !== undefined && endStream) this.endWith(fields);
    else if (status !== '200') this.end(GRPC_UNKNOWN, `HTTP status ${status ?? ''}`);
    else if (endStream) this.end(GRPC_UNKNOWN, 'stream ended without status');
  }

  onInterim(): void {}

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    this.handle?.consume(end - start);
    if (this.isDone) return;
    this.gathered.push(Buffer.from(chunk.subarray(start, end)));
    this.gatheredBytes += end - start;
    if (this.gatheredBytes >= this.wantedBytes) this.takeMessages();
    if (endStream) this.end(GRPC_UNKNOWN, 'stream ended without status');
  }

  /** Hands out all whole messages. Pieces are joined once per message, however many there are. */
  private takeMessages(): void {
    const bytes = this.gathered.length === 1 ? (this.gathered[0] as Buffer) : Buffer.concat(this.gathered);
    let at = 0;
    this.wantedBytes = PREFIX_BYTES;
    while (!this.isDone && bytes.length - at >= PREFIX_BYTES) {
      const messageBytes = bytes.readUInt32BE(at + 1);
      if (bytes[at] !== 0 || messageBytes > MAX_MESSAGE_BYTES) {
        this.handle?.reset(CANCEL);
        this.end(GRPC_INTERNAL, bytes[at] === 0 ? 'message is too large' : 'message is compressed');
        return;
      }
      this.wantedBytes = PREFIX_BYTES + messageBytes;
      if (bytes.length - at < this.wantedBytes) break;
      const message = bytes.subarray(at + PREFIX_BYTES, at + this.wantedBytes);
      at += this.wantedBytes;
      this.wantedBytes = PREFIX_BYTES;
      this.sink.onMessage(message);
    }
    this.gathered = at === bytes.length ? [] : [bytes.subarray(at)];
    this.gatheredBytes = bytes.length - at;
  }

  onTrailers(fields: Readonly<FieldList>): void {
    this.endWith(fields);
  }

  onReset(code: number): void {
    this.end(code === CANCEL ? GRPC_CANCELLED : GRPC_UNAVAILABLE, `stream was reset (HTTP/2 code ${code})`);
  }

  onWritable(): void {}

  private endWith(fields: Readonly<FieldList>): void {
    const status = Number(fieldValue(fields, 'grpc-status') ?? GRPC_UNKNOWN);
    this.end(Number.isInteger(status) ? status : GRPC_UNKNOWN, decodeMessage(fieldValue(fields, 'grpc-message') ?? ''));
  }

  private end(status: number, message: string): void {
    if (this.isDone) return;
    this.isDone = true;
    this.finish(status, message);
  }
}

function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
