// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MINIMAL_ENVIRONMENT, LOCAL_ID, testConfig } from '../testing/test-config.ts';
import { parseConfig } from './parse-config.ts';
import type { ProxyConfig } from './types.ts';
import { ConfigError } from './values.ts';

/** What the configuration says about one variable set so. */
type Read = (config: ProxyConfig) => unknown;

const DURATION_FAULT = /is not a duration/;
const COUNT_FAULT = /is not a whole number/;

/** Variable, default, value given, what it becomes, values refused. */
const DURATIONS: [string, Read, unknown][] = [
  ['INBOUND_DETECT_TIMEOUT', (c) => c.inbound.detectTimeoutMs, 10_000],
  ['OUTBOUND_DETECT_TIMEOUT', (c) => c.outbound.detectTimeoutMs, 10_000],
  ['INBOUND_CONNECT_TIMEOUT', (c) => c.inbound.connectTimeoutMs, 300],
  ['OUTBOUND_CONNECT_TIMEOUT', (c) => c.outbound.connectTimeoutMs, 1000],
  ['INBOUND_ACCEPT_KEEPALIVE', (c) => c.inbound.acceptKeepAliveMs, undefined],
  ['OUTBOUND_ACCEPT_KEEPALIVE', (c) => c.outbound.acceptKeepAliveMs, undefined],
  ['INBOUND_CONNECT_KEEPALIVE', (c) => c.inbound.connectKeepAliveMs, undefined],
  ['OUTBOUND_CONNECT_KEEPALIVE', (c) => c.outbound.connectKeepAliveMs, undefined],
  ['INBOUND_ACCEPT_USER_TIMEOUT', (c) => c.inbound.acceptUserTimeoutMs, undefined],
  ['OUTBOUND_ACCEPT_USER_TIMEOUT', (c) => c.outbound.acceptUserTimeoutMs, undefined],
  ['INBOUND_CONNECT_USER_TIMEOUT', (c) => c.inbound.connectUserTimeoutMs, undefined],
  ['OUTBOUND_CONNECT_USER_TIMEOUT', (c) => c.outbound.connectUserTimeoutMs, undefined],
  ['INBOUND_HTTP_FAILFAST_TIMEOUT', (c) => c.inbound.httpFailfastTimeoutMs, 1000],
  ['OUTBOUND_HTTP_FAILFAST_TIMEOUT', (c) => c.outbound.httpFailfastTimeoutMs, 3000],
  ['OUTBOUND_TCP_FAILFAST_TIMEOUT', (c) => c.outbound.tcpFailfastTimeoutMs, 3000],
  ['INBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT', (c) => c.inbound.http1PoolIdleTimeoutMs, 3000],
  ['OUTBOUND_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT', (c) => c.outbound.http1PoolIdleTimeoutMs, 3000],
  ['INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL', (c) => c.inbound.serverHttp2.keepAliveIntervalMs, undefined],
  ['INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT', (c) => c.inbound.serverHttp2.keepAliveTimeoutMs, undefined],
  ['OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL', (c) => c.outbound.serverHttp2.keepAliveIntervalMs, undefined],
  ['OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT', (c) => c.outbound.serverHttp2.keepAliveTimeoutMs, undefined],
  ['DESTINATION_PROFILE_INITIAL_TIMEOUT', (c) => c.profileInitialTimeoutMs, 500],
  ['OUTBOUND_DISCOVERY_IDLE_TIMEOUT', (c) => c.outbound.discoveryIdleTimeoutMs, 5000],
  ['INBOUND_DISCOVERY_IDLE_TIMEOUT', (c) => c.inbound.discoveryIdleTimeoutMs, 90_000],
  ['CONTROL_STREAM_INITIAL_TIMEOUT', (c) => c.controlStreamLimits.initialTimeoutMs, undefined],
  ['CONTROL_STREAM_IDLE_TIMEOUT', (c) => c.controlStreamLimits.idleTimeoutMs, undefined],
  ['CONTROL_STREAM_LIFETIME', (c) => c.controlStreamLimits.lifetimeMs, undefined],
  ['IDENTITY_MIN_REFRESH', (c) => c.identityMinRefreshMs, 10_000],
  ['IDENTITY_MAX_REFRESH', (c) => c.identityMaxRefreshMs, 86_400_000],
  ['METRICS_RETAIN_IDLE', (c) => c.metricsRetainIdleMs, 600_000],
  ['SHUTDOWN_GRACE_PERIOD', (c) => c.shutdownGracePeriodMs, 120_000],
];

const COUNTS: [string, Read, unknown][] = [
  ['INBOUND_TCP_LISTEN_BACKLOG', (c) => c.inbound.listenBacklog, undefined],
  ['OUTBOUND_TCP_LISTEN_BACKLOG', (c) => c.outbound.listenBacklog, undefined],
  ['INBOUND_HTTP_QUEUE_CAPACITY', (c) => c.inbound.httpQueueCapacity, 10_000],
  ['OUTBOUND_HTTP_QUEUE_CAPACITY', (c) => c.outbound.httpQueueCapacity, 10_000],
  ['OUTBOUND_TCP_QUEUE_CAPACITY', (c) => c.outbound.tcpQueueCapacity, 10_000],
  ['INBOUND_MAX_IN_FLIGHT', (c) => c.inbound.maxInFlight, 100_000],
  ['OUTBOUND_MAX_IN_FLIGHT', (c) => c.outbound.maxInFlight, 100_000],
  ['MAX_IDLE_CONNS_PER_ENDPOINT', (c) => c.inbound.maxIdleConnectionsPerEndpoint, 10_000],
  ['OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT', (c) => c.outbound.maxIdleConnectionsPerEndpoint, 10_000],
  ['HTTP2_INITIAL_STREAM_WINDOW_SIZE', (c) => c.http2ClientStreamWindowBytes, 65_535],
  ['HTTP2_INITIAL_CONNECTION_WINDOW_SIZE', (c) => c.http2ClientConnectionWindowBytes, 1_048_576],
  ['INBOUND_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE', (c) => c.inbound.serverHttp2.initialStreamWindowBytes, undefined],
  ['OUTBOUND_SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE', (c) => c.outbound.serverHttp2.initialConnectionWindowBytes, undefined],
  ['INBOUND_SERVER_HTTP2_MAX_CONCURRENT_STREAMS', (c) => c.inbound.serverHttp2.maxConcurrentStreams, undefined],
  ['INBOUND_SERVER_HTTP2_MAX_FRAME_SIZE', (c) => c.inbound.serverHttp2.maxFrameBytes, undefined],
  ['INBOUND_SERVER_HTTP2_MAX_HEADER_LIST_SIZE', (c) => c.inbound.serverHttp2.maxHeaderListBytes, undefined],
  ['INBOUND_SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS', (c) => c.inbound.serverHttp2.maxPendingAcceptResetStreams, undefined],
  ['CORES', (c) => c.coresWanted, 1],
  ['CORES_MIN', (c) => c.coresWanted, 1],
];

const FLAGS: [string, Read, boolean][] = [
  ['INGRESS_MODE', (c) => c.isIngressMode, false],
  ['OUTBOUND_DISABLE_INFORMATIONAL_HEADERS', (c) => !c.emitOutboundHeaders, false],
  ['OUTBOUND_METRICS_HOSTNAME_LABELS', (c) => c.outboundHostnameLabels, false],
  ['SHUTDOWN_ENDPOINT_ENABLED', (c) => c.isShutdownEndpointEnabled, false],
];

/** Variable, value, what it becomes. */
const ACCEPTED: [string, string, Read, unknown][] = [
  ['OUTBOUND_LISTEN_ADDR', '127.0.0.1:5140', (c) => c.outboundListen, [{ ip: '127.0.0.1', port: 5140 }]],
  [
    'OUTBOUND_LISTEN_ADDRS',
    '127.0.0.1:4140,[::1]:4140',
    (c) => c.outboundListen,
    [
      { ip: '127.0.0.1', port: 4140 },
      { ip: '::1', port: 4140 },
    ],
  ],
  ['INBOUND_LISTEN_ADDR', '[::]:4143', (c) => c.inboundListen, { ip: '::', port: 4143 }],
  ['ADMIN_LISTEN_ADDR', '0.0.0.0:4191', (c) => c.adminListen, { ip: '0.0.0.0', port: 4191 }],
  ['CONTROL_LISTEN_ADDR', '0.0.0.0:4190', (c) => c.controlListen, { ip: '0.0.0.0', port: 4190 }],
  ['INBOUND_IPS', '10.1.2.3, fd00::1,', (c) => [...c.inboundIps], ['10.1.2.3', 'fd00::1']],
  ['INBOUND_PORTS', '80, 8080-8082,,', (c) => c.inboundPorts, [80, 8080, 8081, 8082]],
  ['INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION', '25,3306', (c) => [...c.inboundOpaquePorts], [25, 3306]],
  ['DESTINATION_PROFILE_SUFFIXES', 'svc.Example.org., .', (c) => c.profileSuffixes, ['svc.example.org.', '.']],
  ['DESTINATION_PROFILE_NETWORKS', '10.0.0.0/8,fd00::/8,1.2.3.4', (c) => c.profileNetworks, ['10.0.0.0/8', 'fd00::/8', '1.2.3.4']],
  ['INBOUND_GATEWAY_SUFFIXES', 'svc.cluster.local.', (c) => c.gatewaySuffixes, ['svc.cluster.local.']],
  ['INBOUND_DEFAULT_POLICY', 'deny', (c) => c.inboundDefaultPolicy, 'deny'],
  ['POLICY_WORKLOAD', '{"ns":"a"}\n', (c) => c.policyWorkload, '{"ns":"a"}\n'],
  ['DESTINATION_CONTEXT', 'opaque\n', (c) => c.destinationContext, 'opaque\n'],
  ['IDENTITY_LOCAL_NAME', LOCAL_ID.toUpperCase(), (c) => [c.identityName, c.serverName], [LOCAL_ID, LOCAL_ID]],
  ['TAP_SVC_NAME', 'tap.id', (c) => c.tapServiceName, 'tap.id'],
  ['TAP_SVC_NAME', '', (c) => c.tapServiceName, undefined],
  ['INBOUND_METRICS_AUTHORITY_LABELS', 'unsafe', (c) => c.inboundAuthorityLabels, true],
  ['INBOUND_METRICS_AUTHORITY_LABELS', 'yes', (c) => c.inboundAuthorityLabels, false],
  ['LOG', 'off', (c) => c.log, 'off'],
  ['LOG_FORMAT', 'JSON', (c) => c.logFormat, 'json'],
  ['LOG_FORMAT', 'whatever', (c) => c.logFormat, 'plain'],
  ['ACCESS_LOG', 'apache', (c) => c.accessLog, 'apache'],
  ['ACCESS_LOG', 'json', (c) => c.accessLog, 'json'],
  ['ACCESS_LOG', '', (c) => c.accessLog, undefined],
  ['CONTROL_STREAM_LIFETIME', '', (c) => c.controlStreamLimits.lifetimeMs, undefined],
  ['HTTP2_INITIAL_CONNECTION_WINDOW_SIZE', '1', (c) => c.http2ClientConnectionWindowBytes, 65_535],
  ['OUTBOUND_SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE', '1', (c) => c.outbound.serverHttp2.initialConnectionWindowBytes, 65_535],
];

/** Variable, value, what the message says beside the variable. */
const REFUSED: [string, string | undefined, RegExp][] = [
  ['OUTBOUND_LISTEN_ADDRS', '127.0.0.1:1,[::1]:2,[::1]:3', /more than two/],
  ['OUTBOUND_LISTEN_ADDR', 'localhost:4140', /IP:port/],
  ['INBOUND_LISTEN_ADDR', '0.0.0.0', /IP:port/],
  ['INBOUND_LISTEN_ADDR', '0.0.0.0:65536', /IP:port/],
  ['INBOUND_LISTEN_ADDR', '::1:80', /IP:port/],
  ['INBOUND_LISTEN_ADDR', '0.0.0.0:1,0.0.0.0:2', /exactly one/],
  ['ADMIN_LISTEN_ADDR', 'x', /IP:port/],
  ['INBOUND_IPS', '10.0.0.0/8', /no IP address/],
  ['INBOUND_PORTS', '80,x', /no port or range/],
  ['INBOUND_PORTS', '9-8', /no port or range/],
  ['INBOUND_PORTS', '65536', /no port or range/],
  ['DESTINATION_PROFILE_NETWORKS', '10.0.0.0/33', /no network/],
  ['POLICY_CLUSTER_NETWORKS', 'ten', /no network/],
  ['DESTINATION_PROFILE_SUFFIXES', 'a b', /no DNS suffix/],
  ['INBOUND_DEFAULT_POLICY', 'allow', /use one of deny/],
  ['INBOUND_CONNECT_EXP_BACKOFF_MIN', '1s', /must be set together/],
  ['INBOUND_CONNECT_EXP_BACKOFF_MAX', '1s', /must be set together/],
  ['OUTBOUND_CONNECT_EXP_BACKOFF_JITTER', '0.5', /must be set together/],
  ['INBOUND_SERVER_HTTP2_MAX_FRAME_SIZE', '16383', /at least 16384/],
  ['INBOUND_SERVER_HTTP2_MAX_FRAME_SIZE', '16777216', COUNT_FAULT],
  ['IDENTITY_DISABLED', '1', /identity is mandatory/],
  ['IDENTITY_SPIRE_SOCKET', 'unix:/x', /not supported yet/],
  ['IDENTITY_SPIRE_WORKLOAD_API_ADDRESS', 'unix:/x', /not supported yet/],
  ['IDENTITY_LOCAL_NAME', 'a..b', /DNS name/],
  ['IDENTITY_LOCAL_NAME', 'a.b.', /DNS name/],
  ['IDENTITY_LOCAL_NAME', 'spiffe://td/x', /DNS name/],
  ['DESTINATION_SVC_ADDR', 'no-port', /IP:port or name:port/],
  ['DESTINATION_SVC_ADDR', 'a:0', /IP:port or name:port/],
  ['DESTINATION_SVC_ADDR', undefined, /give IP:port/],
  ['POLICY_SVC_ADDR', undefined, /give IP:port/],
  ['IDENTITY_SVC_ADDR', undefined, /give IP:port/],
  ['POLICY_WORKLOAD', undefined, /give the workload/],
  ['POLICY_WORKLOAD', '', /give the workload/],
  ['IDENTITY_TRUST_ANCHORS', undefined, /PEM/],
  ['IDENTITY_TRUST_ANCHORS', '', /PEM/],
  ['IDENTITY_DIR', undefined, /directory/],
  ['IDENTITY_TOKEN_FILE', undefined, /token/],
  ['IDENTITY_LOCAL_NAME', undefined, /IDENTITY_LOCAL_NAME/],
];

/** Throws what the configuration refuses. */
function refusal(changes: Record<string, string | undefined>): ConfigError | undefined {
  try {
    testConfig(changes);
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

describe('the configuration', () => {
  describe.each(DURATIONS)('of the duration %s', (name, read, fallback) => {
    it('has its default and takes every unit', () => {
      expect(read(testConfig())).toBe(fallback);
      for (const [text, ms] of [
        ['250ms', 250],
        [' 7s ', 7000],
        ['2m', 120_000],
        ['1h', 3_600_000],
        ['365d', 31_536_000_000],
        ['0', 0],
        ['0s', 0],
      ] as const) {
        expect(read(testConfig({ [name]: text }))).toBe(ms);
      }
    });

    it('refuses anything else, with the remedy', () => {
      for (const text of ['10', 's', '1.5s', '-1s', '10 s', '10S', '1s 2s', 'ten']) {
        const error = refusal({ [name]: text });
        expect(error?.variable).toBe(`LINKERD2_PROXY_${name}`);
        expect(error?.message).toMatch(DURATION_FAULT);
        expect(error?.message).toContain(`LINKERD2_PROXY_${name}: `);
      }
    });
  });

  it.each(COUNTS)('takes a number for %s', (name, read, fallback) => {
    expect(read(testConfig())).toBe(fallback);
    expect(read(testConfig({ [name]: '70000' }))).toBe(70_000);
    for (const text of ['-1', '1.5', 'x', '0x10', '99999999999']) {
      expect(refusal({ [name]: text })?.message).toMatch(COUNT_FAULT);
    }
  });

  it.each(FLAGS)('takes true and false for %s', (name, read, fallback) => {
    expect(read(testConfig())).toBe(fallback);
    expect(read(testConfig({ [name]: 'true' }))).toBe(true);
    expect(read(testConfig({ [name]: 'false' }))).toBe(false);
    for (const text of ['1', 'True', 'yes', '']) expect(refusal({ [name]: text })?.message).toMatch(/neither true nor false/);
  });

  it.each(ACCEPTED)('reads %s of %j', (name, text, read, expected) => {
    expect(read(testConfig({ [name]: text }))).toEqual(expected);
  });

  it.each(REFUSED)('refuses %s of %j', (name, text, message) => {
    const error = refusal({ [name]: text });
    expect(error?.message).toMatch(message);
    expect(error?.message).toContain('LINKERD2_PROXY_');
  });

  it('has the other defaults of the reference', () => {
    expect(testConfig()).toMatchObject({
      outboundListen: [{ ip: '127.0.0.1', port: 4140 }],
      inboundListen: { ip: '0.0.0.0', port: 4143 },
      controlListen: { ip: '0.0.0.0', port: 4190 },
      adminListen: { ip: '127.0.0.1', port: 4191 },
      inbound: { connectBackoff: { minMs: 100, maxMs: 10_000, jitterRatio: 0.1 } },
      outbound: { connectBackoff: { minMs: 100, maxMs: 60_000, jitterRatio: 0.1 } },
      inboundDefaultPolicy: 'all-unauthenticated',
      profileSuffixes: ['svc.cluster.local.'],
      profileNetworks: [],
      gatewaySuffixes: [],
      log: 'warn,linkerd=info,hickory=error',
      logFormat: 'plain',
      accessLog: undefined,
      tapServiceName: undefined,
    });
  });

  it('takes OUTBOUND_LISTEN_ADDRS before OUTBOUND_LISTEN_ADDR', () => {
    expect(testConfig({ OUTBOUND_LISTEN_ADDR: '127.0.0.1:1', OUTBOUND_LISTEN_ADDRS: '127.0.0.1:2' }).outboundListen).toEqual([
      { ip: '127.0.0.1', port: 2 },
    ]);
  });

  it('reads back-offs, jitter being 0 unless given', () => {
    const backoff = { INBOUND_CONNECT_EXP_BACKOFF_MIN: '1s', INBOUND_CONNECT_EXP_BACKOFF_MAX: '5s' };
    expect(testConfig(backoff).inbound.connectBackoff).toEqual({ minMs: 1000, maxMs: 5000, jitterRatio: 0 });
    expect(testConfig({ ...backoff, INBOUND_CONNECT_EXP_BACKOFF_JITTER: '0.25' }).inbound.connectBackoff.jitterRatio).toBe(0.25);
    expect(refusal({ ...backoff, INBOUND_CONNECT_EXP_BACKOFF_JITTER: 'x' })?.message).toMatch(/not a number/);
    expect(refusal({ ...backoff, INBOUND_CONNECT_EXP_BACKOFF_MAX: '10ms' })?.message).toMatch(/not above the maximum/);
    expect(refusal({ ...backoff, INBOUND_CONNECT_EXP_BACKOFF_MIN: '0' })?.message).toMatch(/above 0/);
  });

  describe('of the control plane', () => {
    it('wants an identity unless the address is loopback', () => {
      for (const [address, host] of [
        ['127.0.0.1:1', '127.0.0.1'],
        ['localhost.:1', 'localhost.'],
        ['[::1]:1', '::1'],
      ] as const) {
        expect(testConfig({ DESTINATION_SVC_ADDR: address, DESTINATION_SVC_NAME: 'ignored.id' }).destination).toEqual({
          host,
          port: 1,
          identity: undefined,
        });
      }
      expect(testConfig({ DESTINATION_SVC_ADDR: 'dst.linkerd.svc.:8086', DESTINATION_SVC_NAME: 'Dst.Id' }).destination).toEqual({
        host: 'dst.linkerd.svc.',
        port: 8086,
        identity: 'dst.id',
      });
      for (const name of ['DESTINATION_SVC', 'POLICY_SVC', 'IDENTITY_SVC']) {
        expect(refusal({ [`${name}_ADDR`]: '10.0.0.1:8086' })?.variable).toBe(`LINKERD2_PROXY_${name}_NAME`);
      }
    });

    it('wants its stream limits in order', () => {
      expect(
        testConfig({ CONTROL_STREAM_INITIAL_TIMEOUT: '3s', CONTROL_STREAM_IDLE_TIMEOUT: '5m', CONTROL_STREAM_LIFETIME: '1h' })
          .controlStreamLimits,
      ).toEqual({
        initialTimeoutMs: 3000,
        idleTimeoutMs: 300_000,
        lifetimeMs: 3_600_000,
      });
      expect(refusal({ CONTROL_STREAM_INITIAL_TIMEOUT: '3s', CONTROL_STREAM_LIFETIME: '1s' })?.message).toMatch(/must not decrease/);
    });
  });

  it('wants cluster networks for the policies that speak of them', () => {
    for (const policy of ['cluster-authenticated', 'cluster-unauthenticated', 'audit']) {
      expect(refusal({ INBOUND_DEFAULT_POLICY: policy })?.variable).toBe('LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS');
      expect(testConfig({ INBOUND_DEFAULT_POLICY: policy, POLICY_CLUSTER_NETWORKS: '10.0.0.0/8' }).inboundDefaultPolicy).toBe(policy);
    }
  });

  it('takes server id and name instead of the local name, where they agree', () => {
    const other = { IDENTITY_LOCAL_NAME: undefined, IDENTITY_SERVER_ID: 'A.b', IDENTITY_SERVER_NAME: 'a.b' };
    expect(testConfig(other).identityName).toBe('a.b');
    expect(refusal({ ...other, IDENTITY_SERVER_NAME: 'c.d' })?.message).toMatch(/must equal/);
    expect(refusal({ ...other, IDENTITY_SERVER_NAME: undefined })?.variable).toBe('LINKERD2_PROXY_IDENTITY_SERVER_NAME');
  });

  it('hides informational headers in ingress mode unless told otherwise', () => {
    expect(testConfig({ INGRESS_MODE: 'true' }).emitOutboundHeaders).toBe(false);
    expect(testConfig({ INGRESS_MODE: 'true', OUTBOUND_DISABLE_INFORMATIONAL_HEADERS: 'false' }).emitOutboundHeaders).toBe(true);
  });

  it('warns of what it does not do', () => {
    const warn = (changes: Record<string, string>): string =>
      parseConfig({
        ...MINIMAL_ENVIRONMENT,
        ...Object.fromEntries(Object.entries(changes).map(([name, value]) => [`LINKERD2_PROXY_${name}`, value])),
      }).warnings.join('\n');
    expect(warn({})).toBe('LINKERD2_PROXY_INBOUND_DEFAULT_POLICY is not set; using all-unauthenticated');
    expect(warn({ INGRESS_MODE: 'true' })).toContain('ingress mode is not built yet');
    expect(warn({ INBOUND_GATEWAY_SUFFIXES: 'svc.cluster.local.' })).toContain('gateway is not built yet');
    expect(warn({ TAP_SVC_NAME: 'tap' })).toContain('tap is not built yet');
    expect(warn({ TRACE_COLLECTOR_SVC_ADDR: 'a:1' })).toContain('traces is not built yet');
    expect(warn({ CORES: '4' })).toContain('this version uses one');
    expect(warn({ ACCESS_LOG: 'xml' })).toContain('neither apache nor json');
    expect(warn({ INBOUND_PORTS_REQUIRE_TLS: '80' })).toContain('not read by proxies');
  });
});
