// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's configuration after parsing: one field per meaning, units in the names. proxy-contract §1 lists the variables;
 * parse-config.ts maps them here and refuses what it must.
 */
import type { SocketAddress } from '@weft/net';
import type { IdentityConfig } from './identity-config.ts';

/** Exponential back-off (§1.1): base grows from min to max, plus up to `jitterRatio` of it. */
export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
  readonly jitterRatio: number;
}

/** `IP:port` or `name:port` of a control-plane service, with the identity its proxy must prove; identity undefined = loopback, plaintext (§1.6). */
export interface ControlAddress {
  readonly host: string;
  readonly port: number;
  readonly identity: string | undefined;
}

export interface ServerHttp2Config {
  readonly initialStreamWindowBytes: number | undefined;
  readonly initialConnectionWindowBytes: number | undefined;
  readonly keepAliveIntervalMs: number | undefined;
  readonly keepAliveTimeoutMs: number | undefined;
  readonly maxConcurrentStreams: number | undefined;
  readonly maxFrameBytes: number | undefined;
  readonly maxHeaderListBytes: number | undefined;
  readonly maxPendingAcceptResetStreams: number | undefined;
  /** Read, not used: windows here follow the memory budget. */
  readonly isFlowControlAdaptive: boolean | undefined;
  /** Read, not used: what waits to be sent is bounded per turn and by the memory budget. */
  readonly maxSendBufferBytes: number | undefined;
}

/** Settings that inbound and outbound have each. */
export interface DirectionConfig {
  readonly detectTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly connectBackoff: Backoff;
  readonly acceptKeepAliveMs: number | undefined;
  readonly acceptUserTimeoutMs: number | undefined;
  readonly connectKeepAliveMs: number | undefined;
  readonly connectUserTimeoutMs: number | undefined;
  readonly listenBacklog: number | undefined;
  readonly maxInFlight: number;
  readonly http1PoolIdleTimeoutMs: number;
  readonly maxIdleConnectionsPerEndpoint: number;
  readonly httpQueueCapacity: number;
  readonly httpFailfastTimeoutMs: number;
  readonly discoveryIdleTimeoutMs: number;
  readonly serverHttp2: ServerHttp2Config;
}

export interface ControlStreamLimits {
  readonly initialTimeoutMs: number | undefined;
  readonly idleTimeoutMs: number | undefined;
  readonly lifetimeMs: number | undefined;
}

/** Least and greatest life of DNS answers. */
export interface DnsConfig {
  readonly minTtlMs: number | undefined;
  readonly maxTtlMs: number | undefined;
}

/** Traces, and what describes this proxy in them. The first of a name wins: resource attributes, extra ones, those of the file. */
export interface TraceConfig {
  /** Undefined = no traces. */
  readonly collector: ControlAddress | undefined;
  readonly serviceName: string;
  /** File of lines `k="v"`, as the downward API writes labels. */
  readonly attributesPath: string | undefined;
  readonly extraAttributes: ReadonlyMap<string, string>;
  readonly resourceAttributes: ReadonlyMap<string, string>;
  readonly hostName: string | undefined;
}

/** Everything that the environment can say. */
export interface ProxyConfig extends IdentityConfig {
  readonly outboundListen: readonly SocketAddress[];
  readonly inboundListen: SocketAddress;
  readonly controlListen: SocketAddress;
  readonly adminListen: SocketAddress;
  /** Empty accepts any. */
  readonly inboundIps: ReadonlySet<string>;
  readonly inbound: DirectionConfig;
  readonly outbound: DirectionConfig & { readonly tcpQueueCapacity: number; readonly tcpFailfastTimeoutMs: number };
  /** Both directions: from the first octet of an HTTP/1 request head to its last. */
  readonly http1HeadTimeoutMs: number;
  readonly http2ClientStreamWindowBytes: number;
  readonly http2ClientConnectionWindowBytes: number;
  readonly isIngressMode: boolean;
  /** False when the app must never see `l5d-proxy-error` and the like on outbound answers. */
  readonly emitOutboundHeaders: boolean;
  readonly destination: ControlAddress;
  readonly policy: ControlAddress;
  readonly policyWorkload: string;
  readonly destinationContext: string;
  readonly profileSuffixes: readonly string[];
  readonly profileNetworks: readonly string[];
  readonly profileInitialTimeoutMs: number;
  readonly gatewaySuffixes: readonly string[];
  readonly inboundPorts: readonly number[];
  readonly inboundOpaquePorts: ReadonlySet<number>;
  readonly inboundDefaultPolicy: string;
  readonly clusterNetworks: readonly string[];
  readonly controlStreamLimits: ControlStreamLimits;
  readonly tapServiceName: string | undefined;
  readonly metricsRetainIdleMs: number;
  readonly inboundAuthorityLabels: boolean;
  readonly outboundHostnameLabels: boolean;
  readonly isShutdownEndpointEnabled: boolean;
  /** Ours (`WEFT_PROFILING`): CPU and heap profiles on the admin port. */
  readonly isProfilingEnabled: boolean;
  readonly shutdownGracePeriodMs: number;
  readonly log: string;
  readonly logFormat: 'plain' | 'json';
  readonly accessLog: 'apache' | 'json' | undefined;
  readonly coresWanted: number;
  readonly dns: DnsConfig;
  readonly traces: TraceConfig;
}
