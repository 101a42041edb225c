// SPDX-License-Identifier: Apache-2.0
/*
 * What callers pass to this package and get called back with: listeners, connections, TLS on either side (proxy-contract §2.2,
 * §3.4–3.5). All times are milliseconds, all sizes bytes. Every callback is a boundary: a throw in it ends that one connection.
 */
import type { KeyObject } from 'node:crypto';
import type { ByteStream, NetError, SocketAddress, TlsPeer } from './types.ts';

/** How to listen. */
export interface ListenOptions {
  /** IP address to bind; `::` also takes IPv4 peers. */
  readonly host: string;
  /** 0 lets the kernel choose: see `Listener.address`. */
  readonly port: number;
  /** Kernel queue of connections not yet accepted. Default 1024. */
  readonly backlog?: number;
  /** Idle time before TCP keepalive probes. Absent: no keepalive. */
  readonly keepAliveMs?: number;
  /** TCP_USER_TIMEOUT: how long sent bytes may stay unacknowledged. Absent: the kernel's default. */
  readonly userTimeoutMs?: number;
  /** Look up where each connection was going before the redirect; a connection for which that fails is dropped. */
  readonly originalDestination: boolean;
  /** Several processes or threads share the port. */
  readonly reusePort?: boolean;
  /** Connections handed over per turn of the event loop; the rest follow in the next turns. Default 64. */
  readonly maxAcceptsPerTurn?: number;
  /** A connection. `originalDestination` is set exactly when it was asked for. Set a sink at once: reading starts with it. */
  onConnection(stream: ByteStream, originalDestination: SocketAddress | undefined): void;
  /** Accepting failed for one connection (`EMFILE`, `ERR_NET_ORIGINAL_DESTINATION`, …). The listener goes on. */
  onError(error: NetError): void;
}

/** A bound listener. */
export interface Listener {
  readonly address: SocketAddress;
  /** Stops accepting. Connections already handed over live on. May be called again. */
  close(): void;
}

/** Where and how to connect. */
export interface ConnectOptions {
  /** An IP address, never a name. */
  readonly host: string;
  readonly port: number;
  /** A Unix socket: then address and port are only what the stream gives as its peer. */
  readonly unixPath?: string;
  /** From the call to the established connection. */
  readonly timeoutMs: number;
  readonly keepAliveMs?: number;
  readonly userTimeoutMs?: number;
  readonly localAddress?: string;
}

/** Exactly one of the two is called, never before `connect` has returned. */
export interface ConnectCallbacks {
  onConnect(stream: ByteStream): void;
  /** `code` is an errno name, or `ERR_NET_CONNECT_TIMEOUT`. */
  onError(error: NetError): void;
}

/** A running connect or handshake. After `cancel` no callback comes and the socket is closed. */
export interface PendingConnection {
  cancel(): void;
}

/** Own credentials and what peers are verified against. */
export interface TlsContextOptions {
  /** PKCS#8 PEM, or a key object. */
  readonly key: string | KeyObject;
  /** Own leaf first, then intermediates. */
  readonly certChainPem: string;
  /** The only roots that are trusted. At least one. */
  readonly trustAnchorsPem: readonly string[];
}

/** Of a client context; without key and certificate the client stays anonymous, as a proxy that has no certificate yet. */
export type TlsClientContextOptions = TlsContextOptions | Pick<TlsContextOptions, 'trustAnchorsPem'>;

/** Of a server context: `alpn` are the protocols to choose from. Absent: ALPN is not negotiated at all, whatever a peer offers. */
export interface TlsServerContextOptions extends TlsContextOptions {
  readonly alpn?: readonly string[];
}

/** Immutable; on renewal make a new one and use it for new handshakes. */
export interface TlsServerContext {
  readonly role: 'server';
}

/** Immutable; on renewal make a new one and use it for new handshakes. */
export interface TlsClientContext {
  readonly role: 'client';
}

/** Bound of a server-side handshake. */
export interface AcceptTlsOptions {
  /** Default: `handshakeTimeoutMs` of `configureNet`. */
  readonly timeoutMs?: number;
}

/** Who is expected at the other end. */
export interface ConnectTlsOptions {
  /** SNI. */
  readonly serverName: string;
  /** The one protocol to offer. Absent: no ALPN extension. */
  readonly alpn?: string;
  /** DNS name (compared in lower case) or URI that the verified leaf's SAN must contain, else `ERR_TLS_IDENTITY`. */
  readonly expectedIdentity: string;
  /** Default: `handshakeTimeoutMs` of `configureNet`. */
  readonly timeoutMs?: number;
}

/**
 * Exactly one of the two is called, later than the call that started the handshake. The plain stream belongs to the handshake from
 * that call on: it may not be touched any more, and its sink gets no further calls.
 */
export interface TlsCallbacks {
  /** Verified; no application byte has been read or written yet. `stream` replaces the plain one. */
  onSecure(stream: ByteStream, peer: TlsPeer): void;
  /** The connection is closed. `code`: `ERR_TLS_…`, or an errno name. */
  onError(error: NetError): void;
}

/** Limits and hooks of the package, one set per thread. */
export interface NetConfig {
  /** TLS handshakes in progress; further ones wait their turn within their own time limit. Default 128. */
  readonly maxConcurrentHandshakes: number;
  /** Handshakes begun in one turn of the event loop (each costs about half a millisecond of CPU). Default 4. */
  readonly maxHandshakeStartsPerTurn: number;
  /** Default 10,000. */
  readonly handshakeTimeoutMs: number;
  /** A stream with more than this in flight is `isBlocked`. Default 256 KiB. */
  readonly writeHighWaterBytes: number;
  /** What all streams together may have in flight: with very many, each is blocked sooner, though never below 16 KiB. Default Infinity. */
  readonly writeBudgetBytes: number;
  /** One read of a stream opened from now on takes at most this much, and so can overrun a limit by it. Default 64 KiB. */
  readonly readBufferBytes: number;
  /** A callback of ours or of a sink threw; that connection is already being destroyed. Must not throw. */
  readonly onInternalError: (where: string, error: unknown) => void;
}

/** Counts since the start of the thread, and gauges; plain fields that a metrics collector reads. */
export interface NetCounters {
  acceptsTotal: number;
  acceptErrorsTotal: number;
  originalDestinationErrorsTotal: number;
  connectsTotal: number;
  connectErrorsTotal: number;
  handshakesTotal: number;
  handshakeErrorsTotal: number;
  /** Gauge. */
  handshakesInFlight: number;
  /** Gauge: waiting for `maxConcurrentHandshakes`. */
  handshakesQueued: number;
  /** Gauge. */
  openStreams: number;
  /** Throws at a boundary, by place. */
  readonly internalErrorsTotal: Map<string, number>;
}

/** Occupancy of the buffer pool, in bytes. */
export interface PoolStats {
  /** Free buffers kept for reuse. */
  readonly retainedBytes: number;
  /** Handed out and not yet given back. */
  readonly borrowedBytes: number;
  readonly hitsTotal: number;
  readonly missesTotal: number;
}
