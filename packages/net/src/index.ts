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
  TlsContextOptions,
  TlsServerContext,
  TlsServerContextOptions,
} from './options.ts';
