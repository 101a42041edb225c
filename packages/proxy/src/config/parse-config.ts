// SPDX-License-Identifier: Apache-2.0
/* Environment → ProxyConfig (proxy-contract §1.2–1.6). Throws ConfigError at the first variable that cannot be used; the process exits 64. */
import { availableParallelism } from 'node:os';
import { parseLogFilter } from '@weft/telemetry';
import { controlAddress } from './control-address.ts';
import { coreCount } from './core-count.ts';
import { identityConfig } from './identity-config.ts';
import { isDnsIdentity, isSpiffeId } from './names.ts';
import { traceConfig } from './trace-config.ts';
import type { ControlStreamLimits, DirectionConfig, ProxyConfig, ServerHttp2Config } from './types.ts';
import { ConfigError, EnvReader, type Environment, variableName } from './values.ts';

const DEFAULT_POLICIES: ReadonlySet<string> = new Set([
  'deny',
  'all-authenticated',
  'all-unauthenticated',
  'cluster-authenticated',
  'cluster-unauthenticated',
  'audit',
]);

/** HTTP/2 begins with this connection window and cannot announce a smaller one (RFC 9113 §6.9.2). */
const MIN_CONNECTION_WINDOW_BYTES = 65_535;
const MIN_FRAME_BYTES = 16_384;

/** A parsed configuration and what the operator should know about it. */
export interface ParsedConfig {
  readonly config: ProxyConfig;
  readonly warnings: readonly string[];
}

/** Exit code for a configuration that cannot be used (§1.1, EX_USAGE of sysexits.h). */
export const EXIT_USAGE = 64;

/** How a process ends that cannot use its configuration. */
export interface ConfigRefusal {
  readonly exitCode: number;
  /** For the operator, without line feed. */
  readonly line: string;
}

/** The configuration, or how to end where there is none. */
export function configure(environment: Environment, availableCores?: number): ParsedConfig | ConfigRefusal {
  try {
    return parseConfig(environment, availableCores);
  } catch (error) {
    return refusalOf(error);
  }
}

/** Exit code and line for a ConfigError, whenever it was found; throws anything else on. */
export function refusalOf(error: unknown): ConfigRefusal {
  if (!(error instanceof ConfigError)) throw error;
  return { exitCode: EXIT_USAGE, line: `Invalid configuration: ${error.message}` };
}

/** Throws ConfigError. `availableCores` = cores of this machine. */
export function parseConfig(environment: Environment, availableCores: number = availableParallelism()): ParsedConfig {
  const env = new EnvReader(environment);
  const warnings: string[] = [];
  const one = (name: string, ip: string, port: number) => {
    const list = env.socketAddresses(name, [{ ip, port }]);
    if (list.length !== 1) throw new ConfigError(variableName(name), 'takes exactly one address');
    return list[0] as (typeof list)[number];
  };
  const outboundListen = env.socketAddresses('OUTBOUND_LISTEN_ADDRS', [one('OUTBOUND_LISTEN_ADDR', '127.0.0.1', 4140)]);
  if (outboundListen.length > 2)
    throw new ConfigError(variableName('OUTBOUND_LISTEN_ADDRS'), 'has more than two addresses; give one for IPv4 and one for IPv6');

  const identity = identityConfig(env);

  const clusterNetworks = env.networks('POLICY_CLUSTER_NETWORKS');
  const inboundDefaultPolicy = env.text('INBOUND_DEFAULT_POLICY') ?? 'all-unauthenticated';
  if (env.text('INBOUND_DEFAULT_POLICY') === undefined)
    warnings.push(`${variableName('INBOUND_DEFAULT_POLICY')} is not set; using all-unauthenticated`);
  if (!DEFAULT_POLICIES.has(inboundDefaultPolicy)) {
    throw new ConfigError(variableName('INBOUND_DEFAULT_POLICY'), `is no default policy; use one of ${[...DEFAULT_POLICIES].join(', ')}`);
  }
  if (/^(cluster-|audit)/.test(inboundDefaultPolicy) && clusterNetworks.length === 0) {
    throw new ConfigError(variableName('POLICY_CLUSTER_NETWORKS'), `must be set for the default policy ${inboundDefaultPolicy}`);
  }
  for (const name of ['INBOUND_PORTS_REQUIRE_IDENTITY', 'INBOUND_PORTS_REQUIRE_TLS']) {
    if ((env.text(name) ?? '') !== '') warnings.push(`${variableName(name)} is not read by proxies; the policy controller enforces it`);
  }

  const isIngressMode = env.flag('INGRESS_MODE', false);
  const coresWanted = coreCount(env, availableCores);
  if (coresWanted > 1) warnings.push(`${coresWanted} cores were asked for; this version uses one`);
  const accessLog = env.text('ACCESS_LOG');
  if (accessLog !== undefined && accessLog !== '' && accessLog !== 'apache' && accessLog !== 'json') {
    warnings.push(`${variableName('ACCESS_LOG')} is neither apache nor json; there will be no access log`);
  }
  const logFormat = (env.text('LOG_FORMAT') ?? 'plain').toLowerCase();

  const config: ProxyConfig = {
    ...identity,
    outboundListen,
    inboundListen: one('INBOUND_LISTEN_ADDR', '0.0.0.0', 4143),
    controlListen: one('CONTROL_LISTEN_ADDR', '0.0.0.0', 4190),
    adminListen: one('ADMIN_LISTEN_ADDR', '127.0.0.1', 4191),
    inboundIps: env.ips('INBOUND_IPS'),
    inbound: direction(env, 'INBOUND', 'MAX_IDLE_CONNS_PER_ENDPOINT', {
      connectMs: 300,
      backoffMaxMs: 10_000,
      failfastMs: 1000,
      idleMs: 90_000,
    }),
    outbound: {
      ...direction(env, 'OUTBOUND', 'OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT', {
        connectMs: 1000,
        backoffMaxMs: 60_000,
        failfastMs: 3000,
        idleMs: 5000,
      }),
      tcpQueueCapacity: env.count('OUTBOUND_TCP_QUEUE_CAPACITY', 10_000),
      tcpFailfastTimeoutMs: env.durationMs('OUTBOUND_TCP_FAILFAST_TIMEOUT', 3000),
    },
    http1HeadTimeoutMs: env.durationMs('HTTP1_HEAD_TIMEOUT', 30_000),
    http2ClientStreamWindowBytes: env.count('HTTP2_INITIAL_STREAM_WINDOW_SIZE', 65_535, 0x7fff_ffff),
    http2ClientConnectionWindowBytes: Math.max(
      MIN_CONNECTION_WINDOW_BYTES,
      env.count('HTTP2_INITIAL_CONNECTION_WINDOW_SIZE', 1_048_576, 0x7fff_ffff),
    ),
    isIngressMode,
    emitOutboundHeaders: !env.flag('OUTBOUND_DISABLE_INFORMATIONAL_HEADERS', isIngressMode),
    destination: controlAddress(env, 'DESTINATION_SVC'),
    policy: controlAddress(env, 'POLICY_SVC'),
    policyWorkload: env.required('POLICY_WORKLOAD', 'give the workload as JSON: {"ns":"…", "pod":"…"}'),
    destinationContext: env.text('DESTINATION_CONTEXT') ?? '',
    profileSuffixes: env.suffixes('DESTINATION_PROFILE_SUFFIXES', ['svc.cluster.local.']),
    profileNetworks: env.networks('DESTINATION_PROFILE_NETWORKS'),
    profileInitialTimeoutMs: env.durationMs('DESTINATION_PROFILE_INITIAL_TIMEOUT', 500),
    gatewaySuffixes: env.suffixes('INBOUND_GATEWAY_SUFFIXES', []),
    inboundPorts: [...env.ports('INBOUND_PORTS')],
    inboundOpaquePorts: env.ports('INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION'),
    inboundDefaultPolicy,
    clusterNetworks,
    controlStreamLimits: streamLimits(env),
    tapServiceName: tapServiceName(env),
    metricsRetainIdleMs: env.durationMs('METRICS_RETAIN_IDLE', 600_000),
    inboundAuthorityLabels: env.text('INBOUND_METRICS_AUTHORITY_LABELS') === 'unsafe',
    outboundHostnameLabels: env.flag('OUTBOUND_METRICS_HOSTNAME_LABELS', false),
    isShutdownEndpointEnabled: env.flag('SHUTDOWN_ENDPOINT_ENABLED', false),
    isProfilingEnabled: env.wholeFlag('WEFT_PROFILING', false),
    shutdownGracePeriodMs: env.durationMs('SHUTDOWN_GRACE_PERIOD', 120_000),
    log: logFilter(env),
    logFormat: logFormat === 'json' ? 'json' : 'plain',
    accessLog: accessLog === 'apache' || accessLog === 'json' ? accessLog : undefined,
    coresWanted,
    dns: { minTtlMs: env.durationMs('DNS_MIN_TTL', undefined), maxTtlMs: env.durationMs('DNS_MAX_TTL', undefined) },
    traces: traceConfig(env),
  };
  return { config, warnings };
}

/** The only identity that may tap; empty = nobody, as if unset. */
function tapServiceName(env: EnvReader): string | undefined {
  const name = env.text('TAP_SVC_NAME');
  if (name === undefined || name === '' || isSpiffeId(name)) return name === '' ? undefined : name;
  if (!isDnsIdentity(name.toLowerCase()))
    throw new ConfigError(variableName('TAP_SVC_NAME'), 'is neither a DNS name without trailing dot nor a spiffe:// URI');
  return name.toLowerCase();
}

function logFilter(env: EnvReader): string {
  const text = env.text('LOG') ?? 'warn,linkerd=info,hickory=error';
  const filter = parseLogFilter(text);
  if ('error' in filter) throw new ConfigError(variableName('LOG'), `${filter.error}; write a list like warn,linkerd=info`);
  return text;
}

function direction(
  env: EnvReader,
  prefix: 'INBOUND' | 'OUTBOUND',
  idleConnections: string,
  defaults: { connectMs: number; backoffMaxMs: number; failfastMs: number; idleMs: number },
): DirectionConfig {
  return {
    detectTimeoutMs: env.durationMs(`${prefix}_DETECT_TIMEOUT`, 10_000),
    connectTimeoutMs: env.durationMs(`${prefix}_CONNECT_TIMEOUT`, defaults.connectMs),
    connectBackoff: env.backoff(`${prefix}_CONNECT`, { minMs: 100, maxMs: defaults.backoffMaxMs, jitterRatio: 0.1 }),
    acceptKeepAliveMs: env.durationMs(`${prefix}_ACCEPT_KEEPALIVE`, undefined),
    acceptUserTimeoutMs: env.durationMs(`${prefix}_ACCEPT_USER_TIMEOUT`, undefined),
    connectKeepAliveMs: env.durationMs(`${prefix}_CONNECT_KEEPALIVE`, undefined),
    connectUserTimeoutMs: env.durationMs(`${prefix}_CONNECT_USER_TIMEOUT`, undefined),
    listenBacklog: env.count(`${prefix}_TCP_LISTEN_BACKLOG`, undefined),
    maxInFlight: env.count(`${prefix}_MAX_IN_FLIGHT`, 100_000),
    http1PoolIdleTimeoutMs: env.durationMs(`${prefix}_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT`, 3000),
    maxIdleConnectionsPerEndpoint: env.count(idleConnections, 10_000),
    httpQueueCapacity: env.count(`${prefix}_HTTP_QUEUE_CAPACITY`, 10_000),
    httpFailfastTimeoutMs: env.durationMs(`${prefix}_HTTP_FAILFAST_TIMEOUT`, defaults.failfastMs),
    discoveryIdleTimeoutMs: env.durationMs(`${prefix}_DISCOVERY_IDLE_TIMEOUT`, defaults.idleMs),
    serverHttp2: serverHttp2(env, `${prefix}_SERVER_HTTP2`),
  };
}

function serverHttp2(env: EnvReader, prefix: string): ServerHttp2Config {
  const connectionWindowBytes = env.count(`${prefix}_INITIAL_CONNECTION_WINDOW_SIZE`, undefined, 0x7fff_ffff);
  const maxFrameBytes = env.count(`${prefix}_MAX_FRAME_SIZE`, undefined, 0xff_ffff);
  if (maxFrameBytes !== undefined && maxFrameBytes < MIN_FRAME_BYTES) {
    throw new ConfigError(variableName(`${prefix}_MAX_FRAME_SIZE`), `must be at least ${MIN_FRAME_BYTES} (RFC 9113 §6.5.2)`);
  }
  return {
    initialStreamWindowBytes: env.count(`${prefix}_INITIAL_STREAM_WINDOW_SIZE`, undefined, 0x7fff_ffff),
    initialConnectionWindowBytes:
      connectionWindowBytes === undefined ? undefined : Math.max(MIN_CONNECTION_WINDOW_BYTES, connectionWindowBytes),
    keepAliveIntervalMs: env.durationMs(`${prefix}_KEEP_ALIVE_INTERVAL`, undefined),
    keepAliveTimeoutMs: env.durationMs(`${prefix}_KEEP_ALIVE_TIMEOUT`, undefined),
    maxConcurrentStreams: env.count(`${prefix}_MAX_CONCURRENT_STREAMS`, undefined),
    maxFrameBytes,
    maxHeaderListBytes: env.count(`${prefix}_MAX_HEADER_LIST_SIZE`, undefined),
    maxPendingAcceptResetStreams: env.count(`${prefix}_MAX_PENDING_ACCEPT_RESET_STREAMS`, undefined),
    isFlowControlAdaptive: env.flag(`${prefix}_ADAPTIVE_FLOW_CONTROL`, undefined),
    maxSendBufferBytes: env.count(`${prefix}_MAX_SEND_BUF_SIZE`, undefined),
  };
}

function streamLimits(env: EnvReader): ControlStreamLimits {
  const limits = {
    initialTimeoutMs: env.optionalDurationMs('CONTROL_STREAM_INITIAL_TIMEOUT'),
    idleTimeoutMs: env.optionalDurationMs('CONTROL_STREAM_IDLE_TIMEOUT'),
    lifetimeMs: env.optionalDurationMs('CONTROL_STREAM_LIFETIME'),
  };
  const ordered = [limits.initialTimeoutMs, limits.idleTimeoutMs, limits.lifetimeMs].filter((value) => value !== undefined);
  if (ordered.some((value, index) => index > 0 && value < (ordered[index - 1] as number))) {
    throw new ConfigError(variableName('CONTROL_STREAM_IDLE_TIMEOUT'), 'initial, idle and lifetime must not decrease in that order');
  }
  return limits;
}
