// SPDX-License-Identifier: Apache-2.0
export type { ByteStream, ByteStreamSink, NetError, SocketAddress, TlsPeer } from './types.ts';
export type {
  AcceptTlsOptions,
  ConnectCallbacks,
  ConnectOptions,
  ConnectTlsOptions,
  Listener,
  ListenOptions,
  NetConfig,
  NetCounters,
  PendingConnection,
  PoolStats,
  TlsCallbacks,
  TlsClientContext,
  TlsClientContextOptions,
  TlsContextOptions,
  TlsServerContext,
  TlsServerContextOptions,
} from './options.ts';
export { BufferPool, bufferPool, type BufferPoolOptions, poolStats } from './buffer-pool.ts';
export { configureNet, netCounters } from './config.ts';
export { connect } from './connect.ts';
export { getOriginalDestination, setUserTimeout } from './libc.ts';
export { listen } from './listen.ts';
export { deadlines, TimerHandle, TimerWheel } from './timer-wheel.ts';
export { createTlsClientContext, createTlsServerContext } from './tls-context.ts';
export { acceptTls, connectTls } from './tls-handshake.ts';
