// SPDX-License-Identifier: Apache-2.0
/*
 * One endpoint as HTTP requests see it. `h2` endpoints (a meshed peer that takes HTTP/2, or native HTTP/2 clients) are ready while a
 * connection stands, and reconnect by themselves with back-off; `h1` endpoints connect on demand and count as ready until a
 * connect fails. Upgrades and CONNECT always take a fresh HTTP/1 connection (proxy-contract §4.2).
 *
 *   h2:  connecting ──ok──► ready ──last connection gone──► connecting (backing off first where it was short-lived)
 *             └──fail──► backing off ──timer──► connecting
 *   h1:  ready ──connect fails──► backing off ──timer, or a connect that works──► ready
 */
import type { PeakEwma } from '@weft/balance';
import type { ByteStream, PendingConnection } from '@weft/net';
import type { Backend } from '@weft/routing';
import type { Backoff } from '../config/types.ts';
import { type BackoffState, createBackoffState } from '../control/backoff.ts';
import type { Exchange } from '../http/exchange.ts';
import type { ProxyError } from '../http/proxy-error.ts';
import { H1ClientConnection, type H1Pool } from '../http/h1-client.ts';
import { H2ClientConnection, type H2ClientOptions, type H2ClientOwner } from '../http/h2-client.ts';
import { type ClientFailure, type ClientStream, HTTP_1_0 } from '../http/types.ts';
import type { Clock } from '../runtime.ts';
import type { Transport } from './endpoint-transport.ts';

/** A connection that ends sooner counts as a failed connect: who accepts and hangs up is not to be dialled in a circle. */
const SHORT_LIFE_MS = 1000;
/** While requests wait for an endpoint, it is tried again this long after the last try, however long its back-off has become. */
const WAKE_AFTER_MS = 1000;
/** Streams that nearly every peer allows. */
const DEFAULT_ASSUMED_STREAMS = 100;
/** Connections to one peer when it limits concurrent streams; beyond it requests wait. */
const MAX_H2_CONNECTIONS = 8;

/** A request that an endpoint can open a stream for. */
export interface Dispatchable extends Exchange {
  /** Why the request may not go to this endpoint; undefined = it may. */
  refuses(endpoint: HttpEndpoint): ProxyError | undefined;
  /** The stream for this exchange has been opened at the endpoint. */
  onBound(endpoint: HttpEndpoint): void;
  /** Error text with this request's context in front (§4.5): the logical address, the route, the backend where it is known. */
  describe(cause: string, backend: Backend | undefined): string;
}

export interface HttpEndpointOwner {
  /** `isReady` changed, or an endpoint can take requests again. */
  onReadiness(endpoint: HttpEndpoint): void;
}

export interface HttpEndpointOptions {
  readonly backoff: Backoff;
  readonly poolIdleTimeoutMs: number;
  readonly maxIdleConnections: number;
  readonly h2: H2ClientOptions;
  /** Requests that wait for a stream; beyond it they are shed. */
  readonly queueCapacity: number;
  readonly clock: Clock;
  readonly ewma: PeakEwma;
}

export class HttpEndpoint implements H1Pool, H2ClientOwner {
  readonly transport: Transport;
  readonly mode: 'h1' | 'h2';
  readonly load: PeakEwma;
  /** What requests through this endpoint are addressed to instead of their own authority. */
  readonly authorityOverride: string | undefined;
  /** Requests in flight, for the balancer's cost. */
  pending = 0;
  isReady: boolean;
  /** What a peer of this endpoint allowed last. */
  assumedMaxStreams: number = DEFAULT_ASSUMED_STREAMS;
  private readonly owner: HttpEndpointOwner;
  private readonly options: HttpEndpointOptions;
  private readonly clock: Clock;
  private readonly backoff: BackoffState;
  private readonly h2Connections: H2ClientConnection[] = [];
  private readonly idleH1: H1ClientConnection[] = [];
  private readonly openH1 = new Set<H1ClientConnection>();
  private readonly waiting: Dispatchable[] = [];
  private connecting: PendingConnection | undefined = undefined;
  private isClosed = false;
  private triedMs = 0;
  private cancelTimer: (() => void) | undefined = undefined;
  private cancelReaper: (() => void) | undefined = undefined;
  /** Connects of HTTP/1, each for one request. */
  private readonly pendingConnects = new Map<PendingConnection, Dispatchable>();
  /** Why the last connect failed, for error texts. */
  lastError: ClientFailure | undefined = undefined;

  constructor(transport: Transport, mode: 'h1' | 'h2', owner: HttpEndpointOwner, options: HttpEndpointOptions) {
    this.transport = transport;
    this.mode = mode;
    this.owner = owner;
    this.options = options;
    this.clock = options.clock;
    this.load = options.ewma;
    this.authorityOverride = transport.isLocal ? undefined : transport.address.authorityOverride;
    this.backoff = createBackoffState(options.backoff, options.clock.random);
    this.isReady = mode === 'h1';
  }

  /** Begins connecting where the mode asks for it. */
  start(): void {
    if (this.mode === 'h2') this.connectH2();
  }

  /** Opens (or queues for) a stream. */
  dispatch(exchange: Dispatchable): void {
    const refusal = exchange.refuses(this);
    if (refusal !== undefined) {
      exchange.rescue(refusal);
      return;
    }
    this.pending += 1;
    exchange.onBound(this);
    if (exchange.head.upgrade !== undefined || this.mode === 'h1') this.dispatchH1(exchange);
    else this.dispatchH2(exchange);
  }

  /** The exchange is over: its load no longer counts. */
  release(): void {
    this.pending -= 1;
  }

  /**
   * Takes no new requests, lets those in flight finish. `removed` = discovery has taken the address back; `backend` = nothing is known against the
   * address, so connects under way may still serve.
   */
  close(why: 'removed' | 'backend'): void {
    this.isClosed = true;
    this.isReady = false;
    this.cancelTimer?.();
    this.cancelReaper?.();
    this.connecting?.cancel();
    this.connecting = undefined;
    for (const connection of [...this.h2Connections]) connection.close();
    for (const connection of this.idleH1.splice(0)) connection.close();
    const waiting = this.waiting.splice(0);
    // A connect that is still under way is not waited for: the address may by now be somebody else's.
    if (why === 'removed') {
      for (const [pending, exchange] of this.pendingConnects) {
        pending.cancel();
        waiting.push(exchange);
      }
      this.pendingConnects.clear();
    }
    for (const exchange of waiting) exchange.onResponseFail(ENDPOINT_REMOVED);
  }

  // ---- HTTP/2

  onCapacity(connection: H2ClientConnection): void {
    if (Number.isFinite(connection.maxStreams)) this.assumedMaxStreams = Math.min(DEFAULT_ASSUMED_STREAMS, connection.maxStreams);
    this.serveWaiting();
  }

  onRetired(connection: H2ClientConnection, error: string, isSpent: boolean): void {
    const index = this.h2Connections.indexOf(connection);
    if (index >= 0) this.h2Connections.splice(index, 1);
    if (this.isClosed || this.h2Connections.length > 0) return;
    this.lastError = { kind: 'closed', message: error, h2Code: 0, isUnprocessed: true };
    if (!isSpent && this.clock.now() - connection.openedMs < SHORT_LIFE_MS) {
      this.connectFailed('', error);
      return;
    }
    // Reconnecting at once is right after an orderly close; a failing peer runs into the back-off of the connect itself.
    this.backoff.reset();
    this.setReady(false);
    this.connectH2();
  }

  private dispatchH2(exchange: Dispatchable): void {
    const end = exchange.isEndAtDispatch;
    for (const connection of this.h2Connections) {
      const stream = connection.request(exchange.head, end, exchange);
      if (stream !== undefined) {
        exchange.bind(stream, end);
        return;
      }
    }
    if (this.waiting.length >= this.options.queueCapacity) this.forgetDone();
    if (this.waiting.length >= this.options.queueCapacity) {
      exchange.rescue({ kind: 'load-shed', message: exchange.describe('service unavailable', undefined) });
      return;
    }
    this.waiting.push(exchange);
    if (this.wantsMoreConnections()) this.connectH2();
  }

  /** Another connection helps against the peer's limit of streams, not against a peer that does not read. */
  private wantsMoreConnections(): boolean {
    return this.h2Connections.length < MAX_H2_CONNECTIONS && !this.h2Connections.some((connection) => connection.isCongested);
  }

  /** Drops requests that have given up waiting. */
  private forgetDone(): void {
    const waiting = this.waiting.splice(0);
    for (const exchange of waiting) if (!exchange.isDone) this.waiting.push(exchange);
  }

  private serveWaiting(): void {
    while (this.waiting.length > 0) {
      const exchange = this.waiting[0] as Dispatchable;
      if (exchange.isDone) {
        this.waiting.shift();
        continue;
      }
      const end = exchange.isEndAtDispatch;
      let stream: ClientStream | undefined;
      for (const connection of this.h2Connections) {
        stream = connection.request(exchange.head, end, exchange);
        if (stream !== undefined) break;
      }
      if (stream === undefined) {
        if (this.wantsMoreConnections()) this.connectH2();
        return;
      }
      this.waiting.shift();
      exchange.bind(stream, end);
    }
  }

  /** Requests wait and nobody is ready: what kept this endpoint away may be over. */
  wake(): void {
    if (this.mode !== 'h2' || this.isClosed || this.cancelTimer === undefined || this.connecting !== undefined) return;
    if (this.h2Connections.length > 0 || this.clock.now() - this.triedMs < WAKE_AFTER_MS) return;
    this.cancelTimer();
    this.cancelTimer = undefined;
    this.connectH2();
  }

  private connectH2(): void {
    if (this.connecting !== undefined || this.isClosed || this.cancelTimer !== undefined) return;
    this.triedMs = this.clock.now();
    this.connecting = this.transport.connect('http2', {
      onReady: (stream) => {
        this.connecting = undefined;
        if (this.isClosed) {
          stream.destroy();
          return;
        }
        const connection = new H2ClientConnection(stream, this, this.options.h2, this.clock);
        this.h2Connections.push(connection);
        this.setReady(true);
        this.serveWaiting();
      },
      onError: (error) => {
        this.connecting = undefined;
        this.connectFailed(error.code, error.message);
      },
    });
  }

  private connectFailed(code: string, message: string): void {
    if (this.isClosed) return;
    this.lastError = connectFailure(code, message);
    this.setReady(this.h2Connections.length > 0);
    if (this.h2Connections.length === 0) {
      for (const exchange of this.waiting.splice(0)) exchange.onResponseFail({ ...this.lastError, isUnprocessed: true });
    }
    if (this.cancelTimer !== undefined) return;
    this.cancelTimer = this.clock.after(this.backoff.next(), () => {
      this.cancelTimer = undefined;
      // An HTTP/1 endpoint is tried by the next request that comes.
      if (this.mode === 'h1') this.setReady(true);
      else if (this.h2Connections.length === 0 || this.waiting.length > 0) this.connectH2();
    });
  }

  // ---- HTTP/1

  onReusable(connection: H1ClientConnection): void {
    if (this.isClosed || this.idleH1.length >= this.options.maxIdleConnections) {
      connection.close();
      return;
    }
    connection.idleSinceMs = this.clock.now();
    connection.markReused();
    this.idleH1.push(connection);
    this.scheduleReaper();
  }

  onGone(connection: H1ClientConnection): void {
    this.openH1.delete(connection);
    const index = this.idleH1.indexOf(connection);
    if (index >= 0) this.idleH1.splice(index, 1);
  }

  private dispatchH1(exchange: Dispatchable): void {
    // After an idle connection that had died, the others may have died with it.
    const mayReuse = exchange.head.upgrade === undefined && exchange.head.version !== HTTP_1_0 && !exchange.wantsFresh;
    const idle = mayReuse ? this.idleH1.pop() : undefined;
    if (idle !== undefined) {
      this.send(idle, exchange);
      return;
    }
    const pending = this.transport.connect('http1', {
      onReady: (stream) => {
        this.pendingConnects.delete(pending);
        if (this.mode === 'h1') this.reached();
        this.adopt(stream, exchange);
      },
      onError: (error) => {
        this.pendingConnects.delete(pending);
        const failure = connectFailure(error.code, error.message);
        if (this.mode === 'h1') this.connectFailed(error.code, error.message);
        exchange.onResponseFail(failure);
      },
    });
    this.pendingConnects.set(pending, exchange);
  }

  private adopt(stream: ByteStream, exchange: Dispatchable): void {
    const connection = new H1ClientConnection(stream, this);
    this.openH1.add(connection);
    if (exchange.isDone) {
      connection.close();
      return;
    }
    this.send(connection, exchange);
  }

  private send(connection: H1ClientConnection, exchange: Dispatchable): void {
    const end = exchange.isEndAtDispatch && exchange.head.upgrade === undefined;
    connection.request(exchange.head, end, exchange);
    exchange.bind(connection, end);
  }

  /** A connect has worked. */
  private reached(): void {
    if (this.isClosed) return;
    this.backoff.reset();
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.setReady(true);
  }

  private scheduleReaper(): void {
    if (this.cancelReaper !== undefined) return;
    this.cancelReaper = this.clock.after(this.options.poolIdleTimeoutMs, () => {
      this.cancelReaper = undefined;
      const oldest = this.clock.now() - this.options.poolIdleTimeoutMs;
      // The list is a stack: the longest idle are in front.
      while (this.idleH1.length > 0 && (this.idleH1[0] as H1ClientConnection).idleSinceMs <= oldest) this.idleH1.shift()?.close();
      if (this.idleH1.length > 0) this.scheduleReaper();
    });
  }

  private setReady(isReady: boolean): void {
    if (this.isReady === isReady) return;
    this.isReady = isReady;
    this.owner.onReadiness(this);
  }
}

/** Discovery has taken the endpoint back; the request has not been anywhere. */
export const ENDPOINT_REMOVED: ClientFailure = { kind: 'closed', message: 'endpoint was removed', h2Code: 0, isUnprocessed: true };

/** A connect that failed never reached the application. */
function connectFailure(code: string, message: string): ClientFailure {
  return {
    kind: code === 'ERR_NET_CONNECT_TIMEOUT' ? 'connect-timeout' : 'connect',
    message,
    h2Code: 0,
    isUnprocessed: true,
  };
}
