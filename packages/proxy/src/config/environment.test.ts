// SPDX-License-Identifier: Apache-2.0
/* Every variable of proxy-contract §1: what it is without being set, what a good value makes of it, and how the process ends on a bad one. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LOCAL_ID, MINIMAL_ENVIRONMENT } from '../testing/test-config.ts';
import { type ParsedConfig, configure } from './parse-config.ts';
import type { ProxyConfig } from './types.ts';

type Read = (config: ProxyConfig) => unknown;
type Changes = Record<string, string | undefined>;

interface Variable {
  /** Without the prefix, or in full where `isWhole`. */
  readonly name: string;
  readonly read: Read;
  /** What `read` gives while the variable is unset; REQUIRED where that ends the process. */
  readonly fallback: unknown;
  readonly reason?: string;
  /** Value and what it becomes. */
  readonly good: readonly (readonly [string, unknown])[];
  /** Value and what the one line says after the variable's name. */
  readonly bad: readonly (readonly [string, string])[];
  readonly isWhole?: boolean;
  /** Set besides, for this variable to mean anything. */
  readonly context?: Changes;
  /** Set besides when the default is looked at. */
  readonly without?: Changes;
  /** Variable that the line names, where it is another one. */
  readonly blamed?: string;
}

const REQUIRED = Symbol('required');
const CORES = 8;

const DURATION = 'is not a duration; write a whole number with a unit: 500ms, 10s, 5m, 1h, 1d';
const FLAG = 'is neither true nor false';
const SOCKET = 'is not IP:port (IPv6 in brackets)';
const PORTS = 'has an item that is no port or range; write a list like 25,3306,8000-8010';
const NETWORKS = 'has an item that is no network; write a list like 10.0.0.0/8,fd00::/8';
const SUFFIXES = 'has an item that is no DNS suffix';
const PAIR = 'the minimum and the maximum must be set together';
const NAME = 'is not a DNS name without trailing dot';
const count = (max = 0xffff_ffff): string => `is not a whole number from 0 to ${max}`;
const WINDOW = 0x7fff_ffff;

const duration = (name: string, read: Read, fallback: unknown, isEmptyNone = false): Variable => ({
  name,
  read,
  fallback,
  good: [
    ['250ms', 250],
    [' 7s ', 7000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['365d', 31_536_000_000],
    ['0', 0],
    ...(isEmptyNone ? [['', undefined] as const] : []),
  ],
  bad: ['10', 's', '1.5s', '-1s', '10 s', '10S', '99999999999999999999d', ...(isEmptyNone ? [] : ['', ' '])].map((value) => [
    value,
    DURATION,
  ]),
});

const number = (name: string, read: Read, fallback: unknown, max?: number): Variable => ({
  name,
  read,
  fallback,
  good: [['70000', 70_000]],
  bad: ['-1', '1.5', 'x', '0x10', '', String((max ?? 0xffff_ffff) + 1)].map((value) => [value, count(max)]),
});

const flag = (name: string, read: Read, fallback: unknown): Variable => ({
  name,
  read,
  fallback,
  good: [
    ['true', true],
    ['false', false],
  ],
  bad: ['1', 'True', 'yes', ''].map((value) => [value, FLAG]),
});

/** Any text will do. */
const text = (name: string, read: Read, fallback: unknown, value = 'some text\n'): Variable => ({
  name,
  read,
  fallback,
  good: [[value, value]],
  bad: [],
});

const socket = (name: string, read: Read, fallback: unknown): Variable => ({
  name,
  read,
  fallback,
  good: [
    ['0.0.0.0:4199', { ip: '0.0.0.0', port: 4199 }],
    ['[::]:4199', { ip: '::', port: 4199 }],
  ],
  bad: [
    ['localhost:4199', SOCKET],
    ['0.0.0.0', SOCKET],
    ['0.0.0.0:65536', SOCKET],
    ['::1:80', SOCKET],
    ['', SOCKET],
    ['0.0.0.0:1,0.0.0.0:2', 'takes exactly one address'],
  ],
});

/** The three variables of a back-off. */
function backoff(base: string, read: (config: ProxyConfig) => unknown, fallback: unknown, context: Changes = {}): Variable[] {
  const name = (part: string): string => `${base}_EXP_BACKOFF_${part}`;
  const bounds = { [name('MIN')]: '1s', [name('MAX')]: '5s' };
  return [
    {
      name: name('MIN'),
      read,
      fallback,
      without: context,
      context: { ...context, [name('MAX')]: '5s' },
      good: [['1s', { minMs: 1000, maxMs: 5000, jitterRatio: 0 }]],
      bad: [
        ['6s', 'must be above 0 and not above the maximum'],
        ['0', 'must be above 0 and not above the maximum'],
        ['x', DURATION],
      ],
    },
    {
      name: name('MAX'),
      read,
      fallback,
      without: context,
      context: { ...context, [name('MIN')]: '1s' },
      good: [['5s', { minMs: 1000, maxMs: 5000, jitterRatio: 0 }]],
      bad: [['x', DURATION]],
    },
    {
      name: name('JITTER'),
      read,
      fallback,
      without: context,
      context: { ...context, ...bounds },
      good: [['0.25', { minMs: 1000, maxMs: 5000, jitterRatio: 0.25 }]],
      bad: [
        ['x', 'is not a number from 0 to 100'],
        ['-1', 'is not a number from 0 to 100'],
        ['', 'is not a number from 0 to 100'],
      ],
    },
  ];
}

/** `<BASE>_ADDR` and `<BASE>_NAME`. */
function controlPlane(base: string, read: Read, context: Changes = {}, isOptional = false): Variable[] {
  return [
    {
      name: `${base}_ADDR`,
      read,
      fallback: isOptional ? undefined : REQUIRED,
      reason: 'is not set; give IP:port or name:port',
      context: { ...context, [`${base}_NAME`]: 'Svc.Id' },
      good: [
        ['Some.svc.:8086', { host: 'some.svc.', port: 8086, identity: 'svc.id' }],
        ['10.0.0.1:8086', { host: '10.0.0.1', port: 8086, identity: 'svc.id' }],
        ['127.foo.:8086', { host: '127.foo.', port: 8086, identity: 'svc.id' }],
        ['localhost.:8086', { host: 'localhost.', port: 8086, identity: undefined }],
        ['127.9.9.9:8086', { host: '127.9.9.9', port: 8086, identity: undefined }],
        ['[::1]:8086', { host: '::1', port: 8086, identity: undefined }],
      ],
      bad: [
        ['no-port', 'is not IP:port or name:port'],
        ['a:0', 'is not IP:port or name:port'],
        ['a:65536', 'is not IP:port or name:port'],
        ['', 'is not set; give IP:port or name:port'],
      ],
    },
    {
      name: `${base}_NAME`,
      read,
      fallback: isOptional ? undefined : REQUIRED,
      reason: 'is not set; give the identity of that service; only loopback addresses go without',
      context: { ...context, [`${base}_ADDR`]: 'some.svc.:8086' },
      good: [['Dst.Id', { host: 'some.svc.', port: 8086, identity: 'dst.id' }]],
      bad: [
        ['', 'is not set; give the identity of that service; only loopback addresses go without'],
        ['a b', NAME],
        ['a.', NAME],
      ],
    },
  ];
}

function perDirection(name: 'INBOUND' | 'OUTBOUND'): Variable[] {
  const isInbound = name === 'INBOUND';
  const side = (config: ProxyConfig) => (isInbound ? config.inbound : config.outbound);
  const h2 = (config: ProxyConfig) => side(config).serverHttp2;
  return [
    number(`${name}_TCP_LISTEN_BACKLOG`, (c) => side(c).listenBacklog, undefined),
    duration(`${name}_DETECT_TIMEOUT`, (c) => side(c).detectTimeoutMs, 10_000),
    duration(`${name}_CONNECT_TIMEOUT`, (c) => side(c).connectTimeoutMs, isInbound ? 300 : 1000),
    ...backoff(`${name}_CONNECT`, (c) => side(c).connectBackoff, { minMs: 100, maxMs: isInbound ? 10_000 : 60_000, jitterRatio: 0.1 }),
    duration(`${name}_ACCEPT_KEEPALIVE`, (c) => side(c).acceptKeepAliveMs, undefined),
    duration(`${name}_CONNECT_KEEPALIVE`, (c) => side(c).connectKeepAliveMs, undefined),
    duration(`${name}_ACCEPT_USER_TIMEOUT`, (c) => side(c).acceptUserTimeoutMs, undefined),
    duration(`${name}_CONNECT_USER_TIMEOUT`, (c) => side(c).connectUserTimeoutMs, undefined),
    number(`${name}_HTTP_QUEUE_CAPACITY`, (c) => side(c).httpQueueCapacity, 10_000),
    duration(`${name}_HTTP_FAILFAST_TIMEOUT`, (c) => side(c).httpFailfastTimeoutMs, isInbound ? 1000 : 3000),
    number(`${name}_MAX_IN_FLIGHT`, (c) => side(c).maxInFlight, 100_000),
    number(
      isInbound ? 'MAX_IDLE_CONNS_PER_ENDPOINT' : 'OUTBOUND_MAX_IDLE_CONNS_PER_ENDPOINT',
      (c) => side(c).maxIdleConnectionsPerEndpoint,
      10_000,
    ),
    duration(`${name}_HTTP1_CONNECTION_POOL_IDLE_TIMEOUT`, (c) => side(c).http1PoolIdleTimeoutMs, 3000),
    flag(`${name}_SERVER_HTTP2_ADAPTIVE_FLOW_CONTROL`, (c) => h2(c).isFlowControlAdaptive, undefined),
    number(`${name}_SERVER_HTTP2_INITIAL_STREAM_WINDOW_SIZE`, (c) => h2(c).initialStreamWindowBytes, undefined, WINDOW),
    {
      ...number(`${name}_SERVER_HTTP2_INITIAL_CONNECTION_WINDOW_SIZE`, (c) => h2(c).initialConnectionWindowBytes, undefined, WINDOW),
      // RFC 9113 §6.9.2: a connection begins with 65,535 and cannot announce less.
      good: [
        ['1', 65_535],
        ['70000', 70_000],
      ],
    },
    duration(`${name}_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT`, (c) => h2(c).keepAliveTimeoutMs, undefined),
    duration(`${name}_SERVER_HTTP2_KEEP_ALIVE_INTERVAL`, (c) => h2(c).keepAliveIntervalMs, undefined),
    number(`${name}_SERVER_HTTP2_MAX_CONCURRENT_STREAMS`, (c) => h2(c).maxConcurrentStreams, undefined),
    {
      ...number(`${name}_SERVER_HTTP2_MAX_FRAME_SIZE`, (c) => h2(c).maxFrameBytes, undefined, 0xff_ffff),
      bad: [
        ['16383', 'must be at least 16384 (RFC 9113 §6.5.2)'],
        ['16777216', count(0xff_ffff)],
        ['', count(0xff_ffff)],
      ],
    },
    number(`${name}_SERVER_HTTP2_MAX_HEADER_LIST_SIZE`, (c) => h2(c).maxHeaderListBytes, undefined),
    number(`${name}_SERVER_HTTP2_MAX_PENDING_ACCEPT_RESET_STREAMS`, (c) => h2(c).maxPendingAcceptResetStreams, undefined),
    number(`${name}_SERVER_HTTP2_MAX_SEND_BUF_SIZE`, (c) => h2(c).maxSendBufferBytes, undefined),
    duration(`${name}_DISCOVERY_IDLE_TIMEOUT`, (c) => side(c).discoveryIdleTimeoutMs, isInbound ? 90_000 : 5000),
  ];
}

const SPIFFE = 'spiffe://root.linkerd.cluster.local/shop/server';
const SPIRE: Changes = {
  IDENTITY_LOCAL_NAME: undefined,
  IDENTITY_SERVER_ID: SPIFFE,
  IDENTITY_SERVER_NAME: 'server.shop',
  IDENTITY_SPIRE_WORKLOAD_API_ADDRESS: 'unix:///run/agent.sock',
  IDENTITY_DIR: undefined,
  IDENTITY_TOKEN_FILE: undefined,
  IDENTITY_SVC_ADDR: undefined,
};
const SPIRE_PATH = 'is not an absolute path of a Unix socket, such as unix:///run/spire/agent.sock';
const TRACE_BOTH = 'is not set, but LINKERD2_PROXY_TRACE_COLLECTOR_SVC_NAME is; set both or neither';
const PROFILE_DEFAULT = ['svc.cluster.local.'];
const DEFAULT_POLICY =
  'is no default policy; use one of deny, all-authenticated, all-unauthenticated, cluster-authenticated, cluster-unauthenticated, audit';

const VARIABLES: readonly Variable[] = [
  // §1.2
  {
    name: 'OUTBOUND_LISTEN_ADDRS',
    read: (c) => c.outboundListen,
    fallback: [{ ip: '127.0.0.1', port: 4140 }],
    context: { OUTBOUND_LISTEN_ADDR: undefined },
    good: [
      ['127.0.0.1:1', [{ ip: '127.0.0.1', port: 1 }]],
      [
        '127.0.0.1:1, [::1]:2',
        [
          { ip: '127.0.0.1', port: 1 },
          { ip: '::1', port: 2 },
        ],
      ],
    ],
    bad: [
      ['127.0.0.1:1,[::1]:2,[::1]:3', 'has more than two addresses; give one for IPv4 and one for IPv6'],
      ['127.0.0.1:1,', SOCKET],
      ['', SOCKET],
      ['localhost:1', SOCKET],
    ],
  },
  {
    ...socket('OUTBOUND_LISTEN_ADDR', (c) => c.outboundListen[0], { ip: '127.0.0.1', port: 4140 }),
    bad: [
      ['localhost:4199', SOCKET],
      ['0.0.0.0:1,0.0.0.0:2', 'takes exactly one address'],
    ],
  },
  socket('INBOUND_LISTEN_ADDR', (c) => c.inboundListen, { ip: '0.0.0.0', port: 4143 }),
  socket('CONTROL_LISTEN_ADDR', (c) => c.controlListen, { ip: '0.0.0.0', port: 4190 }),
  socket('ADMIN_LISTEN_ADDR', (c) => c.adminListen, { ip: '127.0.0.1', port: 4191 }),
  {
    name: 'INBOUND_IPS',
    read: (c) => [...c.inboundIps],
    fallback: [],
    good: [
      ['10.1.2.3, fd00::1,', ['10.1.2.3', 'fd00::1']],
      ['', []],
    ],
    bad: [
      ['10.0.0.0/8', 'has an item that is no IP address'],
      ['host', 'has an item that is no IP address'],
    ],
  },
  // §1.3
  ...perDirection('INBOUND'),
  ...perDirection('OUTBOUND'),
  number('OUTBOUND_TCP_QUEUE_CAPACITY', (c) => c.outbound.tcpQueueCapacity, 10_000),
  duration('HTTP1_HEAD_TIMEOUT', (c) => c.http1HeadTimeoutMs, 30_000),
  duration('OUTBOUND_TCP_FAILFAST_TIMEOUT', (c) => c.outbound.tcpFailfastTimeoutMs, 3000),
  number('HTTP2_INITIAL_STREAM_WINDOW_SIZE', (c) => c.http2ClientStreamWindowBytes, 65_535, WINDOW),
  number('HTTP2_INITIAL_CONNECTION_WINDOW_SIZE', (c) => c.http2ClientConnectionWindowBytes, 1_048_576, WINDOW),
  flag('INGRESS_MODE', (c) => c.isIngressMode, false),
  flag('OUTBOUND_DISABLE_INFORMATIONAL_HEADERS', (c) => !c.emitOutboundHeaders, false),
  // §1.4
  ...controlPlane('DESTINATION_SVC', (c) => c.destination),
  ...controlPlane('POLICY_SVC', (c) => c.policy),
  {
    ...text('POLICY_WORKLOAD', (c) => c.policyWorkload, REQUIRED, '{"ns":"a", "pod":"b"}\n'),
    reason: 'is not set; give the workload as JSON: {"ns":"…", "pod":"…"}',
  },
  text('DESTINATION_CONTEXT', (c) => c.destinationContext, '', '{"ns":"a"}\n'),
  {
    name: 'DESTINATION_PROFILE_SUFFIXES',
    read: (c) => c.profileSuffixes,
    fallback: PROFILE_DEFAULT,
    good: [
      ['svc.Example.org., ,.', ['svc.example.org.', '.']],
      ['', []],
    ],
    bad: [
      ['a b', SUFFIXES],
      ['-a', SUFFIXES],
    ],
  },
  {
    name: 'DESTINATION_PROFILE_NETWORKS',
    read: (c) => c.profileNetworks,
    fallback: [],
    good: [['10.0.0.0/8, ,fd00::/8,1.2.3.4', ['10.0.0.0/8', 'fd00::/8', '1.2.3.4']]],
    bad: [
      ['10.0.0.0/33', NETWORKS],
      ['fd00::/129', NETWORKS],
      ['ten', NETWORKS],
    ],
  },
  duration('DESTINATION_PROFILE_INITIAL_TIMEOUT', (c) => c.profileInitialTimeoutMs, 500),
  {
    name: 'INBOUND_GATEWAY_SUFFIXES',
    read: (c) => c.gatewaySuffixes,
    fallback: [],
    good: [['svc.cluster.local.', ['svc.cluster.local.']]],
    bad: [['a b', SUFFIXES]],
  },
  {
    name: 'INBOUND_PORTS',
    read: (c) => c.inboundPorts,
    fallback: [],
    good: [
      ['80, 8080-8082,,', [80, 8080, 8081, 8082]],
      ['', []],
    ],
    bad: [
      ['80,x', PORTS],
      ['9-8', PORTS],
      ['65536', PORTS],
    ],
  },
  {
    name: 'INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION',
    read: (c) => [...c.inboundOpaquePorts],
    fallback: [],
    good: [['25,587,3306', [25, 587, 3306]]],
    bad: [['25;587', PORTS]],
  },
  {
    name: 'INBOUND_DEFAULT_POLICY',
    read: (c) => c.inboundDefaultPolicy,
    fallback: 'all-unauthenticated',
    context: { POLICY_CLUSTER_NETWORKS: '10.0.0.0/8' },
    good: ['deny', 'all-authenticated', 'all-unauthenticated', 'cluster-authenticated', 'cluster-unauthenticated', 'audit'].map((value) => [
      value,
      value,
    ]),
    bad: [
      ['allow', DEFAULT_POLICY],
      ['', DEFAULT_POLICY],
      ['Deny', DEFAULT_POLICY],
    ],
  },
  {
    name: 'POLICY_CLUSTER_NETWORKS',
    read: (c) => c.clusterNetworks,
    fallback: [],
    good: [['10.0.0.0/8', ['10.0.0.0/8']]],
    bad: [['ten', NETWORKS]],
  },
  duration('CONTROL_STREAM_INITIAL_TIMEOUT', (c) => c.controlStreamLimits.initialTimeoutMs, undefined, true),
  duration('CONTROL_STREAM_IDLE_TIMEOUT', (c) => c.controlStreamLimits.idleTimeoutMs, undefined, true),
  duration('CONTROL_STREAM_LIFETIME', (c) => c.controlStreamLimits.lifetimeMs, undefined, true),
  // §1.5
  { ...text('IDENTITY_TRUST_ANCHORS', (c) => c.trustAnchorsPem, REQUIRED), reason: 'is not set; give the trust anchors as PEM text' },
  {
    name: 'IDENTITY_LOCAL_NAME',
    read: (c) => [c.identityName, c.serverName],
    fallback: REQUIRED,
    reason: 'is not set; or set LINKERD2_PROXY_IDENTITY_LOCAL_NAME',
    blamed: 'IDENTITY_SERVER_ID',
    good: [[LOCAL_ID.toUpperCase(), [LOCAL_ID, LOCAL_ID]]],
    bad: [],
  },
  {
    name: 'IDENTITY_LOCAL_NAME',
    read: () => undefined,
    fallback: undefined,
    without: { IDENTITY_SERVER_ID: 'a.b', IDENTITY_SERVER_NAME: 'a.b' },
    good: [],
    bad: ['a..b', 'a.b.', '', 'a b', 'spiffe://td/x', `${'a'.repeat(64)}.b`].map((value) => [value, NAME]),
  },
  {
    name: 'IDENTITY_SERVER_ID',
    read: (c) => c.identityName,
    fallback: REQUIRED,
    reason: 'is not set; or set LINKERD2_PROXY_IDENTITY_LOCAL_NAME',
    context: { IDENTITY_LOCAL_NAME: undefined, IDENTITY_SERVER_NAME: 'a.b' },
    good: [['A.b', 'a.b']],
    bad: [
      ['a b', NAME],
      ['spiffe://td/x', NAME],
    ],
  },
  {
    name: 'IDENTITY_SERVER_NAME',
    read: (c) => c.serverName,
    fallback: REQUIRED,
    reason: 'is not set; or set LINKERD2_PROXY_IDENTITY_LOCAL_NAME',
    context: { IDENTITY_LOCAL_NAME: undefined, IDENTITY_SERVER_ID: 'a.b' },
    good: [['A.b', 'a.b']],
    bad: [
      ['c.d', 'must equal IDENTITY_SERVER_ID'],
      ['a.b.', NAME],
    ],
  },
  {
    ...text('IDENTITY_DIR', (c) => c.identityDir, REQUIRED, '/dir'),
    reason: 'is not set; give the directory for the key and the CSR',
    bad: [['', 'is not set; give the directory for the key and the CSR']],
  },
  {
    ...text('IDENTITY_TOKEN_FILE', (c) => c.tokenFile, REQUIRED, '/token'),
    reason: 'is not set; give the path of the projected service account token',
    bad: [['', 'is not set; give the path of the projected service account token']],
  },
  ...controlPlane('IDENTITY_SVC', (c) => c.identityService),
  duration('IDENTITY_MIN_REFRESH', (c) => c.identityMinRefreshMs, 10_000),
  duration('IDENTITY_MAX_REFRESH', (c) => c.identityMaxRefreshMs, 86_400_000),
  {
    name: 'IDENTITY_DISABLED',
    read: () => undefined,
    fallback: undefined,
    good: [['', undefined]],
    bad: [
      ['true', 'is set, but identity is mandatory; unset it'],
      ['false', 'is set, but identity is mandatory; unset it'],
    ],
  },
  {
    name: 'IDENTITY_SPIRE_WORKLOAD_API_ADDRESS',
    read: (c) => [c.spire?.socketPath, c.identityName, c.serverName, c.identityService],
    fallback: [undefined, LOCAL_ID, LOCAL_ID, { host: 'localhost.', port: 8080, identity: undefined }],
    context: SPIRE,
    good: [
      ['unix:///run/agent.sock', ['/run/agent.sock', SPIFFE, 'server.shop', undefined]],
      ['unix:/run/agent.sock', ['/run/agent.sock', SPIFFE, 'server.shop', undefined]],
      ['/run/agent.sock', ['/run/agent.sock', SPIFFE, 'server.shop', undefined]],
    ],
    bad: [
      ['', SPIRE_PATH],
      ['tcp://127.0.0.1:1', SPIRE_PATH],
    ],
  },
  {
    name: 'IDENTITY_SPIRE_SOCKET',
    read: (c) => c.spire?.socketPath,
    fallback: undefined,
    context: { ...SPIRE, IDENTITY_SPIRE_WORKLOAD_API_ADDRESS: undefined },
    good: [['unix:///run/agent.sock', '/run/agent.sock']],
    bad: [['x', SPIRE_PATH]],
  },
  ...backoff('LINKERD2_PROXY_IDENTITY_SPIRE', (c) => c.spire?.backoff, { minMs: 100, maxMs: 1000, jitterRatio: 0.1 }, SPIRE),
  {
    name: 'TAP_SVC_NAME',
    read: (c) => c.tapServiceName,
    fallback: undefined,
    good: [
      ['Tap.id', 'tap.id'],
      ['', undefined],
    ],
    bad: [['a b', 'is neither a DNS name without trailing dot nor a spiffe:// URI']],
  },
  duration('DNS_MIN_TTL', (c) => c.dns.minTtlMs, undefined),
  duration('DNS_MAX_TTL', (c) => c.dns.maxTtlMs, undefined),
  duration('METRICS_RETAIN_IDLE', (c) => c.metricsRetainIdleMs, 600_000),
  flag('OUTBOUND_METRICS_HOSTNAME_LABELS', (c) => c.outboundHostnameLabels, false),
  {
    name: 'INBOUND_METRICS_AUTHORITY_LABELS',
    read: (c) => c.inboundAuthorityLabels,
    fallback: false,
    good: [
      ['unsafe', true],
      ['', false],
      ['yes', false],
    ],
    bad: [],
  },
  flag('SHUTDOWN_ENDPOINT_ENABLED', (c) => c.isShutdownEndpointEnabled, false),
  { ...flag('WEFT_PROFILING', (c) => c.isProfilingEnabled, false), isWhole: true },
  duration('SHUTDOWN_GRACE_PERIOD', (c) => c.shutdownGracePeriodMs, 120_000),
  {
    ...(controlPlane('TRACE_COLLECTOR_SVC', (c) => c.traces.collector, {}, true)[0] as Variable),
    context: { TRACE_COLLECTOR_SVC_NAME: 'Svc.Id' },
    reason: TRACE_BOTH,
    fallback: REQUIRED,
  },
  {
    ...(controlPlane('TRACE_COLLECTOR_SVC', (c) => c.traces.collector, {}, true)[1] as Variable),
    fallback: REQUIRED,
  },
  text('TRACE_SERVICE_NAME', (c) => c.traces.serviceName, 'linkerd-proxy', 'mine'),
  text('TRACE_ATTRIBUTES_PATH', (c) => c.traces.attributesPath, undefined, '/var/run/linkerd/podinfo/labels'),
  {
    name: 'TRACE_EXTRA_ATTRIBUTES',
    read: (c) => [...c.traces.extraAttributes],
    fallback: [],
    good: [
      [
        'a="1"\nb=2=3\n\nnothing\n=x',
        [
          ['a', '1'],
          ['b', '2=3'],
        ],
      ],
    ],
    bad: [],
  },
  {
    name: 'OTEL_RESOURCE_ATTRIBUTES',
    isWhole: true,
    read: (c) => [...c.traces.resourceAttributes],
    fallback: [],
    good: [
      [
        'a=1, b=2',
        [
          ['a', '1'],
          ['b', '2'],
        ],
      ],
    ],
    bad: [],
  },
  { ...text('HOSTNAME', (c) => c.traces.hostName, undefined, 'pod-1'), isWhole: true },
  {
    name: 'LOG',
    read: (c) => c.log,
    fallback: 'warn,linkerd=info,hickory=error',
    good: ['off', 'debug', 'warn,linkerd=info,[{headers}]=off,[{request}]=off', ''].map((value) => [value, value]),
    bad: [['a=b=c', 'invalid filter directive: "a=b=c"; write a list like warn,linkerd=info']],
  },
  {
    name: 'LOG_FORMAT',
    read: (c) => c.logFormat,
    fallback: 'plain',
    good: [
      ['JSON', 'json'],
      ['plain', 'plain'],
      ['whatever', 'plain'],
    ],
    bad: [],
  },
  {
    name: 'ACCESS_LOG',
    read: (c) => c.accessLog,
    fallback: undefined,
    good: [
      ['apache', 'apache'],
      ['json', 'json'],
      ['', undefined],
      ['xml', undefined],
    ],
    bad: [],
  },
  {
    ...number('CORES_MIN', (c) => c.coresWanted, 1),
    good: [
      ['1', 1],
      ['3', 3],
      ['100', CORES],
    ],
  },
  { ...number('CORES', (c) => c.coresWanted, 1), good: [['3', 3]] },
  {
    ...number('CORES_MAX', (c) => c.coresWanted, 1),
    good: [
      ['2', 2],
      ['100', CORES],
    ],
  },
  {
    name: 'CORES_MAX_RATIO',
    read: (c) => c.coresWanted,
    fallback: 1,
    good: [
      ['0.5', CORES / 2],
      ['1.0', CORES],
      ['0.01', 1],
    ],
    bad: ['0', '1.1', '-1', 'x', ''].map((value) => [value, 'is not a number above 0 and up to 1']),
  },
];

/** Constants of the reference that no proxy reads; where they are set, the operator is told who does (§1.4, §1.5). */
const UNREAD: readonly string[] = ['INBOUND_PORTS_REQUIRE_IDENTITY', 'INBOUND_PORTS_REQUIRE_TLS'];

function run(changes: Changes): ReturnType<typeof configure> {
  const environment = { ...MINIMAL_ENVIRONMENT };
  return configure({ ...environment, ...changes }, CORES);
}

function prefixed(changes: Changes): Changes {
  return Object.fromEntries(Object.entries(changes).map(([name, value]) => [`LINKERD2_PROXY_${name}`, value]));
}

describe.each(VARIABLES)('the variable $name', (variable) => {
  const whole = variable.isWhole === true ? variable.name : `LINKERD2_PROXY_${variable.name}`;
  const context = prefixed(variable.context ?? {});
  const readWith = (changes: Changes): unknown => {
    const result = run(changes);
    return 'line' in result ? result.line : variable.read(result.config);
  };

  it('has its default, or ends the process with 64 and what to do', () => {
    const isRequired = variable.fallback === REQUIRED;
    const line = `Invalid configuration: LINKERD2_PROXY_${variable.blamed ?? variable.name}: ${variable.reason}`;
    const unset = prefixed(isRequired ? (variable.context ?? {}) : (variable.without ?? {}));
    expect(readWith({ ...unset, [whole]: undefined })).toEqual(isRequired ? line : variable.fallback);
  });

  it.each(variable.good)('takes %j', (value, expected) => {
    expect(readWith({ ...context, [whole]: value })).toEqual(expected);
  });

  it.each(variable.bad)('ends the process with 64 on %j', (value, reason) => {
    expect(run({ ...context, [whole]: value })).toEqual({ exitCode: 64, line: `Invalid configuration: ${whole}: ${reason}` });
  });
});

describe('variables that hang together', () => {
  it('OUTBOUND_LISTEN_ADDRS wins over OUTBOUND_LISTEN_ADDR', () => {
    const result = run(prefixed({ OUTBOUND_LISTEN_ADDR: '127.0.0.1:1', OUTBOUND_LISTEN_ADDRS: '127.0.0.1:2' })) as ParsedConfig;
    expect(result.config.outboundListen).toEqual([{ ip: '127.0.0.1', port: 2 }]);
  });

  it.each(['cluster-authenticated', 'cluster-unauthenticated', 'audit'])('the default policy %s needs cluster networks', (policy) => {
    expect(run(prefixed({ INBOUND_DEFAULT_POLICY: policy }))).toEqual({
      exitCode: 64,
      line: `Invalid configuration: LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS: must be set for the default policy ${policy}`,
    });
  });

  it('limits of control-plane streams must not decrease', () => {
    const line =
      'Invalid configuration: LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT: initial, idle and lifetime must not decrease in that order';
    for (const [initial, idle, lifetime] of [
      ['2s', '1s', '3s'],
      ['1s', '3s', '2s'],
      ['2s', '', '1s'],
    ]) {
      expect(
        run(
          prefixed({
            CONTROL_STREAM_INITIAL_TIMEOUT: initial,
            CONTROL_STREAM_IDLE_TIMEOUT: idle,
            CONTROL_STREAM_LIFETIME: lifetime,
          }),
        ),
      ).toEqual({ exitCode: 64, line });
    }
  });

  it.each(['MIN', 'MAX', 'JITTER'])('a back-off of %s alone is refused', (part) => {
    expect(run(prefixed({ [`OUTBOUND_CONNECT_EXP_BACKOFF_${part}`]: part === 'JITTER' ? '0.5' : '1s' }))).toEqual({
      exitCode: 64,
      line: `Invalid configuration: LINKERD2_PROXY_OUTBOUND_CONNECT_EXP_BACKOFF_MIN: ${PAIR}`,
    });
  });

  it('a workload API certifies SPIFFE IDs only', () => {
    expect(run(prefixed({ ...SPIRE, IDENTITY_SERVER_ID: 'a.b' }))).toEqual({
      exitCode: 64,
      line: 'Invalid configuration: LINKERD2_PROXY_IDENTITY_SERVER_ID: must be a spiffe:// URI, since a SPIFFE workload API certifies this proxy',
    });
  });

  it('hides details from the application in ingress mode unless told otherwise', () => {
    const emits = (changes: Changes): unknown => (run(prefixed(changes)) as ParsedConfig).config.emitOutboundHeaders;
    expect(emits({ INGRESS_MODE: 'true' })).toBe(false);
    expect(emits({ INGRESS_MODE: 'true', OUTBOUND_DISABLE_INFORMATIONAL_HEADERS: 'false' })).toBe(true);
  });

  it.each(UNREAD)('%s is not read, and said so where it is set', (name) => {
    const result = run(prefixed({ [name]: 'anything' })) as ParsedConfig;
    expect(result.warnings.join('\n')).toContain(`LINKERD2_PROXY_${name} is not read by proxies`);
  });
});

it('says at the start what it does not do', () => {
  const warnings = (changes: Changes): string => (run(prefixed(changes)) as ParsedConfig).warnings.join('\n');
  expect(warnings({})).toBe('LINKERD2_PROXY_INBOUND_DEFAULT_POLICY is not set; using all-unauthenticated');
  expect(warnings({ CORES: '4' })).toContain('4 cores were asked for; this version uses one');
  expect(warnings({ ACCESS_LOG: 'xml' })).toContain('LINKERD2_PROXY_ACCESS_LOG is neither apache nor json');
});

it('the reference page names every variable', () => {
  const page = readFileSync(new URL('../../../../docs/reference/proxy-environment.md', import.meta.url), 'utf8');
  // `{INBOUND,OUTBOUND}_X`, `_NAME` after `_ADDR` and `X_*` stand for more than one name.
  const stem = (name: string): string => name.replace(/^(?:IN|OUT)BOUND_(?:SERVER_HTTP2_)?/, '').replace(/_(?:NAME|EXP_BACKOFF_\w+)$/, '');
  const missing = [...VARIABLES.map(({ name }) => name), ...UNREAD].filter((name) => !page.includes(stem(name)));
  expect(missing).toEqual([]);
});
