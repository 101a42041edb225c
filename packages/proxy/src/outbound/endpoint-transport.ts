// SPDX-License-Identifier: Apache-2.0
/*
 * How a connection to one endpoint is made (proxy-contract §3.6, §3.7): TCP, then mTLS where the endpoint has an identity, then the
 * transport header where the peer took the transport ALPN. There is no fallback from TLS to plaintext.
 */
import { encodeTransportHeader } from '@weft/detect';
import { type ByteStream, type NetError, type PendingConnection, connect, connectTls } from '@weft/net';
import type { EndpointAddress } from '@weft/routing';
import type { DirectionConfig } from '../config/types.ts';
import type { LocalIdentity } from '../identity/types.ts';
import type { TlsLog } from '../tcp/tls-log.ts';
import type { TransportMetrics } from '../metrics/transport-metrics.ts';

export const TRANSPORT_ALPN = 'transport.l5d.io/v1';

/** What the far proxy is told the stream carries; undefined = opaque bytes. */
export type SessionProtocol = 'http1' | 'http2' | undefined;

/** `tls` label values of a connection to an endpoint (proxy-contract §7.1). */
export type EndpointTlsStatus =
  | { readonly tls: 'true'; readonly serverId: string }
  | { readonly tls: 'no_identity'; readonly reason: 'loopback' | 'not_provided_by_service_discovery' };

/** How connections to one endpoint are made. */
export interface Transport {
  readonly address: EndpointAddress;
  /** In this very pod. */
  readonly isLocal: boolean;
  readonly tlsStatus: EndpointTlsStatus;
  /** Label set of the endpoint's metrics, in contract order. */
  readonly labels: Readonly<Record<string, string>>;
  /** Opens a connection ready for `session` bytes. Exactly one callback comes, later, unless cancelled. */
  connect(session: SessionProtocol, callbacks: ConnectorCallbacks): PendingConnection;
}

export interface ConnectorCallbacks {
  onReady(stream: ByteStream): void;
  onError(error: NetError): void;
}

export interface EndpointTransportDeps {
  readonly identity: LocalIdentity;
  readonly config: DirectionConfig;
  readonly inboundIps: ReadonlySet<string>;
  readonly metrics: TransportMetrics;
  /** `inbound`: the endpoint is this pod's application, whatever its address. */
  readonly direction: 'inbound' | 'outbound';
  /** Logical name of the backend, for the `authority` label. */
  readonly authority?: string | undefined;
  /** Undefined = failed handshakes are not logged. */
  readonly tlsLog?: TlsLog;
}

export class EndpointTransport implements Transport {
  readonly address: EndpointAddress;
  readonly isLocal: boolean;
  readonly tlsStatus: EndpointTlsStatus;
  readonly labels: Readonly<Record<string, string>>;
  private readonly tlsLog: TlsLog | undefined;
  private readonly direction: 'inbound' | 'outbound';
  private readonly identity: LocalIdentity;
  private readonly config: DirectionConfig;
  private readonly metrics: TransportMetrics;

  constructor(address: EndpointAddress, deps: EndpointTransportDeps) {
    this.address = address;
    this.identity = deps.identity;
    this.config = deps.config;
    this.metrics = deps.metrics;
    this.direction = deps.direction;
    this.tlsLog = deps.tlsLog;
    this.isLocal = deps.direction === 'inbound' || deps.inboundIps.has(address.ip);
    this.tlsStatus = this.isLocal
      ? { tls: 'no_identity', reason: 'loopback' }
      : address.tls === undefined
        ? { tls: 'no_identity', reason: 'not_provided_by_service_discovery' }
        : { tls: 'true', serverId: address.tls.identity };
    this.labels =
      deps.direction === 'inbound'
        ? { tls: 'no_identity', no_tls_reason: 'loopback' }
        : endpointLabels(address, this.tlsStatus, deps.authority);
  }

  connect(session: SessionProtocol, callbacks: ConnectorCallbacks): PendingConnection {
    const { address, config } = this;
    const tls = this.isLocal ? undefined : address.tls;
    const hasTransportPort = tls !== undefined && address.opaqueTransportPort !== undefined;
    let cancelled = false;
    let pending: PendingConnection | undefined;
    pending = connect(
      {
        host: address.ip,
        port: hasTransportPort ? address.opaqueTransportPort : address.port,
        timeoutMs: config.connectTimeoutMs,
        ...(config.connectKeepAliveMs === undefined ? {} : { keepAliveMs: config.connectKeepAliveMs }),
        ...(config.connectUserTimeoutMs === undefined ? {} : { userTimeoutMs: config.connectUserTimeoutMs }),
      },
      {
        onConnect: (stream) => {
          if (tls === undefined) {
            this.metrics.track(stream, this.direction, 'dst', this.labels);
            callbacks.onReady(stream);
            return;
          }
          const contexts = this.identity.tls;
          if (contexts === undefined) {
            stream.destroy();
            callbacks.onError({ code: 'ERR_TLS_NO_CERTIFICATE', message: 'this proxy has no certificate yet' });
            return;
          }
          const offersTransport = hasTransportPort || address.authorityOverride !== undefined;
          pending = connectTls(
            stream,
            contexts.client,
            {
              serverName: tls.serverName,
              expectedIdentity: tls.identity,
              timeoutMs: config.connectTimeoutMs,
              ...(offersTransport ? { alpn: TRANSPORT_ALPN } : {}),
            },
            {
              onSecure: (secure, peer) => {
                if (cancelled) {
                  secure.destroy();
                  return;
                }
                this.metrics.track(secure, this.direction, 'dst', this.labels);
                if (peer.alpn === TRANSPORT_ALPN) this.writeTransportHeader(secure, session);
                callbacks.onReady(secure);
              },
              onError: (error) => {
                this.tlsLog?.failed(this.direction, address.port, error);
                callbacks.onError(error);
              },
            },
          );
        },
        onError: (error) => callbacks.onError(error),
      },
    );
    return {
      cancel: () => {
        cancelled = true;
        pending?.cancel();
      },
    };
  }

  private writeTransportHeader(stream: ByteStream, session: SessionProtocol): void {
    const override = splitAuthority(this.address.authorityOverride);
    const header = encodeTransportHeader({
      port: override?.port ?? this.address.port,
      name: override?.host,
      sessionProtocol: this.address.protocolHint === 'opaque' ? undefined : session,
    });
    stream.out.writeBytes(header, 0, header.length);
    stream.schedule();
  }
}

/** Host and port of an authority override; without a port no name travels in the header (§3.6). */
function splitAuthority(authority: string | undefined): { host: string; port: number } | undefined {
  if (authority === undefined) return undefined;
  const colon = authority.lastIndexOf(':');
  if (colon < 0) return undefined;
  const port = Number(authority.slice(colon + 1));
  return Number.isInteger(port) && port > 0 && port < 65536 ? { host: authority.slice(0, colon), port } : undefined;
}

function endpointLabels(address: EndpointAddress, status: EndpointTlsStatus, authority: string | undefined): Record<string, string> {
  const labels: Record<string, string> = {
    ...(authority === undefined ? {} : { authority }),
    target_addr: address.ip.includes(':') ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`,
    target_ip: address.ip,
    target_port: String(address.port),
    tls: status.tls,
  };
  if (status.tls === 'true') labels['server_id'] = status.serverId;
  else labels['no_tls_reason'] = status.reason;
  for (const [name, value] of Object.entries(address.labels)) labels[`dst_${name}`] = value;
  return labels;
}
