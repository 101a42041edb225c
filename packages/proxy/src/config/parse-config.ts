// SPDX-License-Identifier: Apache-2.0
/* Environment → ProxyConfig (proxy-contract §1.2–1.6). Throws ConfigError at the first variable that cannot be used; the process exits 64. */
import { type ControlAddress, type ControlStreamLimits, type DirectionConfig, type ProxyConfig, type ServerHttp2Config } from './types.ts';
import { ConfigError, EnvReader, type Environment, parseHostPort } from './values.ts';

const DEFAULT_POLICIES: ReadonlySet<string> = new Set([
  'deny',
  'all-authenticated',
  'all-unauthenticated',
  'cluster-authenticated',
  'cluster-unauthenticated',
  'audit',
]);

/** What configuration may ask for and this version does not do. */
const NOT_BUILT: readonly (readonly [string, string])[] = [
  ['INGRESS_MODE', 'ingress mode'],
  ['INBOUND_GATEWAY_SUFFIXES', 'the multicluster gateway'],
  ['TAP_SVC_NAME', 'tap'],
  ['TRACE_COLLECTOR_SVC_ADDR', 'export of traces'],
];

/** HTTP/2 begins with this connection window and cannot announce a smaller one (RFC 9113 §6.9.2). */
const MIN_CONNECTION_WINDOW_BYTES = 65_535;
const MIN_FRAME_BYTES = 16_384;

/** A parsed configuration and what the operator should know about it. */
export interface ParsedConfig {
  readonly config: ProxyConfig;
  readonly warnings: readonly string[];
}

export function parseConfig(environment: Environment): ParsedConfig {
  const env = new EnvReader(environment);
  const warnings: string[] = [];
  const variable = (name: string): string => `LINKERD2_PROXY_${name}`;
  if ((env.text('IDENTITY_DISABLED') ?? '') !== '')
    throw new ConfigError(variable('IDENTITY_DISABLED'), 'is set, but identity is mandatory; unset it');
  if (env.text('IDENTITY_SPIRE_WORKLOAD_API_ADDRESS') !== undefined || env.text('IDENTITY_SPIRE_SOCKET') !== undefined) {
    throw new ConfigError(
      variable('IDENTITY_SPIRE_WORKLOAD_API_ADDRESS'),
      'SPIRE identities are not supported yet; use the identity service',
    );
  }

  const single = env.socketAddresses('OUTBOUND_LISTEN_ADDR', [{ ip: '127.0.0.1', port: 4140 }]);
  const outboundListen = env.socketAddresses('OUTBOUND_LISTEN_ADDRS', single.slice(0, 1));
  if (outboundListen.length > 2)
    throw new ConfigError(variable('OUTBOUND_LISTEN_ADDRS'), 'has more than two addresses; give one for IPv4 and one for IPv6');
  const one = (name: string, ip: string, port: number) => {
    const list = env.socketAddresses(name, [{ ip, port }]);
    if (list.length !== 1) throw new ConfigError(variable(name), 'takes exactly one address');
    return list[0] as (typeof list)[number];
  };

  const trustAnchorsPem = env.required('IDENTITY_TRUST_ANCHORS', 'give the trust anchors as PEM text');
  const localName = env.text('IDENTITY_LOCAL_NAME');
  const identityName = (localName ?? env.required('IDENTITY_SERVER_ID', 'or set LINKERD2_PROXY_IDENTITY_LOCAL_NAME')).toLowerCase();
  const serverName = (localName ?? env.required('IDENTITY_SERVER_NAME', 'or set LINKERD2_PROXY_IDENTITY_LOCAL_NAME')).toLowerCase();
  if (!isIdentityName(identityName))
    throw new ConfigError(
      variable(localName === undefined ? 'IDENTITY_SERVER_ID' : 'IDENTITY_LOCAL_NAME'),
      'is not a DNS name without trailing dot',
    );
  if (identityName !== serverName) throw new ConfigError(variable('IDENTITY_SERVER_NAME'), 'must equal IDENTITY_SERVER_ID');

  const clusterNetworks = env.networks('POLICY_CLUSTER_NETWORKS');
  const inboundDefaultPolicy = env.text('INBOUND_DEFAULT_POLICY') ?? 'all-unauthenticated';
  if (env.text('INBOUND_DEFAULT_POLICY') === undefined)
    warnings.push(`${variable('INBOUND_DEFAULT_POLICY')} is not set; using all-unauthenticated`);
  if (!DEFAULT_POLICIES.has(inboundDefaultPolicy)) {
    throw new ConfigError(variable('INBOUND_DEFAULT_POLICY'), `is no default policy; use one of ${[...DEFAULT_POLICIES].join(', ')}`);
  }
  if (/^(cluster-|audit)/.test(inboundDefaultPolicy) && clusterNetworks.length === 0) {
    throw new ConfigError(variable('POLICY_CLUSTER_NETWORKS'), `must be set for the default policy ${inboundDefaultPolicy}`);
  }
  for (const name of ['INBOUND_PORTS_REQUIRE_IDENTITY', 'INBOUND_PORTS_REQUIRE_TLS']) {
    if ((env.text(name) ?? '') !== '') warnings.push(`${variable(name)} is not read by proxies; the policy controller enforces it`);
  }

  for (const [name, what] of NOT_BUILT) {
    const value = env.text(name) ?? '';
    if (value !== '' && value !== 'false') warnings.push(`${variable(name)} is set, but ${what} is not built yet`);
  }

  const isIngressMode = env.flag('INGRESS_MODE', false);
  const coresWanted = env.count('CORES_MIN', env.count('CORES', 1));
  if (coresWanted > 1) warnings.push(`${coresWanted} cores were asked for; this version uses one`);
  const accessLog = env.text('ACCESS_LOG');
  if (accessLog !== undefined && accessLog !== '' && accessLog !== 'apache' && accessLog !== 'json') {
    warnings.push(`${variable('ACCESS_LOG')} is neither apache nor json; there will be no access log`);
  }
  const logFormat = (env.text('LOG_FORMAT') ?? 'plain').toLowerCase();

  const config: ProxyConfig = {
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
    http2ClientStreamWindowBytes: env.count('HTTP2_INITIAL_STREAM_WINDOW_SIZE', 65_535, 0x7fff_ffff),
    http2ClientConnectionWindowBytes: Math.max(
      MIN_CONNECTION_WINDOW_BYTES,
      env.count('HTTP2_INITIAL_CONNECTION_WINDOW_SIZE', 1_048_576, 0x7fff_ffff),
    ),
    isIngressMode,
    emitOutboundHeaders: !env.flag('OUTBOUND_DISABLE_INFORMATIONAL_HEADERS', isIngressMode),
    destination: control(env, 'DESTINATION_SVC'),
    policy: control(env, 'POLICY_SVC'),
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
    trustAnchorsPem,
    identityName,
    serverName,
    identityDir: env.required('IDENTITY_DIR', 'give the directory for the key and the CSR'),
    tokenFile: env.required('IDENTITY_TOKEN_FILE', 'give the path of the projected service account token'),
    identityService: control(env, 'IDENTITY_SVC'),
    identityMinRefreshMs: env.durationMs('IDENTITY_MIN_REFRESH', 10_000),
    identityMaxRefreshMs: env.durationMs('IDENTITY_MAX_REFRESH', 86_400_000),
    tapServiceName: env.text('TAP_SVC_NAME') === '' ? undefined : env.text('TAP_SVC_NAME'),
    metricsRetainIdleMs: env.durationMs('METRICS_RETAIN_IDLE', 600_000),
    inboundAuthorityLabels: env.text('INBOUND_METRICS_AUTHORITY_LABELS') === 'unsafe',
    outboundHostnameLabels: env.flag('OUTBOUND_METRICS_HOSTNAME_LABELS', false),
    isShutdownEndpointEnabled: env.flag('SHUTDOWN_ENDPOINT_ENABLED', false),
    shutdownGracePeriodMs: env.durationMs('SHUTDOWN_GRACE_PERIOD', 120_000),
    log: env.text('LOG') ?? 'warn,linkerd=info,hickory=error',
    logFormat: logFormat === 'json' ? 'json' : 'plain',
    accessLog: accessLog === 'apache' || accessLog === 'json' ? accessLog : undefined,
    coresWanted,
  };
  return { config, warnings };
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
    throw new ConfigError(`LINKERD2_PROXY_${prefix}_MAX_FRAME_SIZE`, `must be at least ${MIN_FRAME_BYTES} (RFC 9113 §6.5.2)`);
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
  };
}

/** The control-plane address rule (§1.6). */
function control(env: EnvReader, base: string): ControlAddress {
  const text = env.required(`${base}_ADDR`, 'give IP:port or name:port');
  const address = parseHostPort(text);
  if (address === undefined) throw new ConfigError(`LINKERD2_PROXY_${base}_ADDR`, 'is not IP:port or name:port');
  if (isLoopbackHost(address.host)) return { ...address, identity: undefined };
  return {
    ...address,
    identity: env.required(`${base}_NAME`, 'give the identity of that service; only loopback addresses go without').toLowerCase(),
  };
}

export function isLoopbackHost(host: string): boolean {
  return host.startsWith('127.') || host === '::1' || host === 'localhost.' || host === 'localhost';
}

function streamLimits(env: EnvReader): ControlStreamLimits {
  const limits = {
    initialTimeoutMs: env.durationMs('CONTROL_STREAM_INITIAL_TIMEOUT', undefined),
    idleTimeoutMs: env.durationMs('CONTROL_STREAM_IDLE_TIMEOUT', undefined),
    lifetimeMs: env.durationMs('CONTROL_STREAM_LIFETIME', undefined),
  };
  const ordered = [limits.initialTimeoutMs, limits.idleTimeoutMs, limits.lifetimeMs].filter((value) => value !== undefined);
  if (ordered.some((value, index) => index > 0 && value < (ordered[index - 1] as number))) {
    throw new ConfigError('LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT', 'initial, idle and lifetime must not decrease in that order');
  }
  return limits;
}

function isIdentityName(name: string): boolean {
  return name.length <= 253 && name.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
}
