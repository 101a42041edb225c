// SPDX-License-Identifier: Apache-2.0
/*
 * The whole proxy, composed: configuration ─► telemetry ─► admin ─► identity ─► (certificate) ─► discovery ─► listeners (proxy-contract §9,
 * start order), and the way back: drain, bounded by the grace period. No process-wide state is touched here: main.ts does that.
 */
import { performance } from 'node:perf_hooks';
import {
  type ByteStream,
  type Listener,
  type NetError,
  type SocketAddress,
  bufferPool,
  configureNet,
  deadlines,
  listen,
  netCounters,
  poolStats,
} from '@weft/net';
import { DEFAULT_H2_LIMITS, type H2Options } from '@weft/http2';
import { type Logger, MetricRegistry, processMetrics } from '@weft/telemetry';
import { AdminServer } from './admin/admin-server.ts';
import { Profiler } from './admin/profiler.ts';
import { GrpcDiscovery } from './discovery/grpc-discovery.ts';
import type { ControlAddress, DirectionConfig, ProxyConfig, ServerHttp2Config } from './config/types.ts';
import { CONNECT_WAIT_MS, GrpcChannel } from './control/grpc-client.ts';
import { resolveControlAddress } from './control/resolve.ts';
import { Admission } from './admission.ts';
import { DrainSet } from './drain.ts';
import { configureHttp } from './http/limits.ts';
import type { H2ServerOptions } from './http/h2-server.ts';
import { CgroupMemory, readPrivateBytes } from './cgroup-memory.ts';
import { MemoryBudget } from './memory-budget.ts';
import { HeldConnections } from './held-connections.ts';
import { IdentityManager } from './identity/identity-manager.ts';
import { Gateway } from './inbound/gateway.ts';
import { InboundServer } from './inbound/inbound-server.ts';
import { PolicyLog } from './inbound/policy-log.ts';
import { createAccessLog } from './metrics/access-log.ts';
import { ControlFamilies } from './metrics/control-metrics.ts';
import { EndpointMetrics } from './metrics/endpoint-metrics.ts';
import { InboundMetrics } from './metrics/inbound-metrics.ts';
import { OutboundMetrics } from './metrics/outbound-metrics.ts';
import { StackMetrics } from './metrics/stack-metrics.ts';
import { tlsInfo } from './metrics/tls-info.ts';
import { TransportMetrics } from './metrics/transport-metrics.ts';
import { type RunningObservation, startObservation } from './observe/start-observation.ts';
import { EndpointTransport } from './outbound/endpoint-transport.ts';
import { OutboundServer, addressText } from './outbound/outbound-server.ts';
import type { OutboundStackDeps } from './outbound/outbound-stack.ts';
import { type Clock, dateSource } from './runtime.ts';
import { TlsLog } from './tcp/tls-log.ts';

/** Internal errors within a minute after which the process drains and ends (design §3). */
const MAX_INTERNAL_ERRORS = 10;
const INTERNAL_ERROR_WINDOW_MS = 60_000;

/** Stands for the workload API, which is on a Unix socket, in addresses and metrics. */
const WORKLOAD_API: ControlAddress = { host: '127.0.0.1', port: 0, identity: undefined };

/** Wait for the answer to a PING where only the interval is configured (the reference's library default). */
const DEFAULT_KEEP_ALIVE_TIMEOUT_MS = 20_000;
/** Windows of HTTP/2 connections accepted while memory is short. */
const TIGHT_STREAM_WINDOW_BYTES = 16_384;
const TIGHT_CONNECTION_WINDOW_BYTES = 65_535;

export interface ProxyOptions {
  readonly config: ProxyConfig;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly version: string;
  readonly logFilter: { get(): string; set(text: string): string | undefined };
  /** Lines of the access log. */
  readonly accessLogSink: (line: string) => void;
}

export class Proxy {
  readonly registry: MetricRegistry;
  private readonly options: ProxyOptions;
  private readonly clock: Clock;
  private readonly identity: IdentityManager;
  private readonly drainSet = new DrainSet();
  private readonly listeners: Listener[] = [];
  private readonly channels: GrpcChannel[] = [];
  private readonly budget: MemoryBudget;
  private readonly inboundAdmission: Admission;
  private readonly outboundAdmission: Admission;
  private readonly transportMetrics: TransportMetrics;
  private readonly controlFamilies: ControlFamilies;
  private readonly stackMetrics: StackMetrics;
  private discovery: GrpcDiscovery | undefined = undefined;
  private observing: RunningObservation | undefined = undefined;
  private admin: AdminServer | undefined = undefined;
  private adminListener: Listener | undefined = undefined;
  private isStarted = false;
  private isStopping = false;
  private onStopped: (() => void) | undefined = undefined;
  private internalErrors: number[] = [];
  private readonly held = new HeldConnections();
  private netGauges: { series: { value: number }; read: () => number }[] | undefined = undefined;
  private dnsCounter: ReturnType<MetricRegistry['counter']> | undefined = undefined;
  /** Settled address of each listener, for callers that let the kernel choose ports. */
  readonly addresses: { inbound?: SocketAddress; outbound: SocketAddress[]; admin?: SocketAddress; control?: SocketAddress } = {
    outbound: [],
  };

  constructor(options: ProxyOptions) {
    this.options = options;
    const { config, log } = options;
    this.clock = {
      now: () => performance.now(),
      date: dateSource(Date.now),
      random: Math.random,
      after: (ms, callback) => {
        const handle = deadlines.schedule(ms, callback);
        return () => handle.cancel();
      },
    };
    this.budget = createBudget(this.clock);
    this.inboundAdmission = new Admission(config.inbound.maxInFlight, this.budget);
    this.outboundAdmission = new Admission(config.outbound.maxInFlight, this.budget);
    this.registry = new MetricRegistry({ retainIdleMs: config.metricsRetainIdleMs });
    this.transportMetrics = new TransportMetrics(this.registry);
    this.controlFamilies = new ControlFamilies(this.registry);
    this.stackMetrics = new StackMetrics(this.registry);
    processMetrics(this.registry);
    this.registry
      .gauge('proxy_build_info', 'Proxy build info')
      .get({ date: '', git_sha: '', profile: 'release', vendor: 'weft', version: options.version }).value = 1;
    tlsInfo(this.registry);
    const internal = this.registry.counter('weft_internal_errors_total', 'Errors of the proxy itself, by place');
    configureHttp({ http1HeadTimeoutMs: config.http1HeadTimeoutMs });
    configureNet({
      onInternalError: (where, error) => {
        internal.get({ where }).value += 1;
        log.error('internal error', { where, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
        this.countInternalError();
      },
    });
    this.identity = new IdentityManager({ config, clock: this.clock, wallClock: Date.now, registry: this.registry, log });
  }

  /** Starts everything. Resolves once the admin port is bound; traffic is served after the first certificate. */
  async start(): Promise<void> {
    const { config, log } = this.options;
    await this.identity.bootstrap();
    const destination = this.channel(config.destination, 'destination');
    const policy = sameAddress(config.destination, config.policy) ? destination : this.channel(config.policy, 'policy');
    const discovery = new GrpcDiscovery({ config, destination, policy, clock: this.clock, log });
    this.discovery = discovery;

    const endpointMetrics = new EndpointMetrics(this.registry);
    const inboundMetrics = new InboundMetrics(this.registry, this.transportMetrics, endpointMetrics, config.inboundAuthorityLabels);
    const outboundMetrics = new OutboundMetrics(this.registry, this.transportMetrics, endpointMetrics, config.outboundHostnameLabels);

    this.observing = await startObservation({
      config,
      identity: this.identity,
      clock: this.clock,
      wallClock: Date.now,
      metrics: this.registry,
      version: this.options.version,
      channel: (address, name) => this.channel(address, name),
      log,
    });
    const outbound = this.createOutbound(discovery, outboundMetrics);
    const inbound = this.createInbound(discovery, outbound, inboundMetrics);

    await this.bindAll(inbound, outbound, inboundMetrics, discovery);
    this.startIdentity();
    this.identity.whenReady(() => {
      discovery.start();
      this.isStarted = true;
      this.held.release();
      log.info('serving', { inbound: addressText(this.addresses.inbound ?? config.inboundListen), id: this.identity.name });
    });
  }

  private startIdentity(): void {
    const { identityService, spire } = this.options.config;
    const channel = spire === undefined ? undefined : this.channel(WORKLOAD_API, 'identity', spire.socketPath);
    if (channel !== undefined) this.identity.startSpire(channel);
    else if (identityService !== undefined) this.identity.start(this.channel(identityService, 'identity'));
  }

  /** Whether the proxy serves traffic. Never reverts (§2.6). */
  get isReady(): boolean {
    return this.isStarted;
  }

  /** Drains and stops; resolves when done or when the grace period is over. */
  async stop(): Promise<void> {
    if (this.isStopping) return;
    this.isStopping = true;
    const { config, log } = this.options;
    log.info('shutting down', { connections: this.drainSet.size });
    for (const listener of this.listeners) listener.close();
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(config.shutdownGracePeriodMs, () => {
        log.warn('grace period is over; closing what is left', { connections: this.drainSet.size });
        resolve();
      });
      this.drainSet.begin(() => {
        cancel();
        resolve();
      });
    });
    await this.observing?.close();
    this.onStopped?.();
    this.identity.close();
    this.discovery?.close();
    for (const channel of this.channels) channel.close();
    this.admin?.close();
    this.adminListener?.close();
  }

  /** Called when the proxy stops by itself (`/shutdown`, too many internal errors). */
  whenStopped(callback: () => void): void {
    this.onStopped = callback;
  }

  private channel(address: ControlAddress, name: string, unixPath?: string): GrpcChannel {
    const { config, log } = this.options;
    // Inside the own pod the app-side settings of the inbound direction apply (§5.1).
    const direction: DirectionConfig = address.identity === undefined ? config.inbound : config.outbound;
    const resolutions = (this.dnsCounter ??= this.registry.counter('control_dns_resolutions_total', 'Counts DNS resolutions'));
    for (const record_type of ['A/AAAA', 'SRV']) {
      for (const result of ['ok', 'not_found']) resolutions.get({ client: name, record_type, result });
    }
    const channel = new GrpcChannel({
      address,
      unixPath,
      identity: this.identity,
      clock: this.clock,
      backoff: direction.connectBackoff,
      connectTimeoutMs: direction.connectTimeoutMs,
      keepAliveMs: direction.connectKeepAliveMs,
      userTimeoutMs: direction.connectUserTimeoutMs,
      metrics: this.controlFamilies.channel(address, name, CONNECT_WAIT_MS),
      resolve: (onResolved, onError) =>
        resolveControlAddress(
          address,
          (recordType, result) => {
            resolutions.get({ client: name, record_type: recordType, result }).value += 1;
          },
          onResolved,
          onError,
        ),
      log,
    });
    this.channels.push(channel);
    return channel;
  }

  private clientH2(): Partial<H2Options> {
    const { config } = this.options;
    return {
      initialStreamWindowBytes: config.http2ClientStreamWindowBytes,
      initialConnectionWindowBytes: config.http2ClientConnectionWindowBytes,
    };
  }

  /** Settings of connections accepted from now on; close to the memory limit their windows are the smallest that RFC 9113 allows to announce at once. */
  private serverOptions(config: ServerHttp2Config): () => H2ServerOptions {
    const maxOpenHeadBytes = Math.min(DEFAULT_H2_LIMITS.maxOpenHeadBytes, this.budget.limitBytes * OPEN_HEAD_RATIO);
    const codec: Partial<H2Options> = {
      limits: { maxOpenHeadBytes },
      ...(config.initialStreamWindowBytes === undefined ? {} : { initialStreamWindowBytes: config.initialStreamWindowBytes }),
      ...(config.initialConnectionWindowBytes === undefined ? {} : { initialConnectionWindowBytes: config.initialConnectionWindowBytes }),
      ...(config.maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams: config.maxConcurrentStreams }),
      ...(config.maxFrameBytes === undefined ? {} : { maxFrameBytes: config.maxFrameBytes }),
      ...(config.maxHeaderListBytes === undefined ? {} : { maxHeaderListBytes: config.maxHeaderListBytes }),
    };
    const { keepAliveIntervalMs, keepAliveTimeoutMs } = config;
    // Servers ping idle connections too: a client that has gone is found before its next request is due.
    const keepAlive =
      keepAliveIntervalMs === undefined
        ? undefined
        : { intervalMs: keepAliveIntervalMs, timeoutMs: keepAliveTimeoutMs ?? DEFAULT_KEEP_ALIVE_TIMEOUT_MS, isWhileIdle: true };
    const roomy: H2ServerOptions = { codec, keepAlive };
    const tight: H2ServerOptions = {
      codec: { ...codec, initialStreamWindowBytes: TIGHT_STREAM_WINDOW_BYTES, initialConnectionWindowBytes: TIGHT_CONNECTION_WINDOW_BYTES },
      keepAlive,
    };
    return () => (this.budget.isTight() ? tight : roomy);
  }

  private createInbound(discovery: GrpcDiscovery, outbound: OutboundServer, metrics: InboundMetrics): InboundServer {
    const { config, log, accessLogSink } = this.options;
    return new InboundServer({
      config,
      discovery,
      identity: this.identity,
      clock: this.clock,
      metrics,
      log,
      gateway: new Gateway({
        suffixes: config.gatewaySuffixes,
        identity: this.identity.name,
        acquire: (name, port) => outbound.acquireNamed(name, port, 'gateway'),
      }),
      portStack: {
        clock: this.clock,
        drain: this.drainSet,
        metrics,
        createTransport: (address) =>
          new EndpointTransport(address, {
            identity: this.identity,
            config: config.inbound,
            inboundIps: config.inboundIps,
            metrics: this.transportMetrics,
            direction: 'inbound',
          }),
        admission: this.inboundAdmission,
        backend: { discovery, config: config.inbound, clock: this.clock, h2: this.clientH2(), stacks: this.stackMetrics.inbound() },
        serverH2: this.serverOptions(config.inbound.serverHttp2),
        accessLog: config.accessLog === undefined ? undefined : createAccessLog(config.accessLog, accessLogSink, Date.now),
        idleTimeoutMs: config.inbound.discoveryIdleTimeoutMs,
        policyLog: new PolicyLog(log, this.clock.now),
        observe: this.observing?.observation,
        log,
      },
    });
  }

  private createOutbound(discovery: GrpcDiscovery, metrics: OutboundMetrics): OutboundServer {
    const { config } = this.options;
    const { clock } = this;
    const tlsLog = new TlsLog(this.options.log, clock.now);
    const createTransport: OutboundStackDeps['tcp']['createTransport'] = (address, authority) =>
      new EndpointTransport(address, {
        identity: this.identity,
        config: config.outbound,
        inboundIps: config.inboundIps,
        metrics: this.transportMetrics,
        direction: 'outbound',
        tlsLog,
        authority,
      });
    return new OutboundServer({
      config,
      log: this.options.log,
      discovery,
      clock,
      drain: this.drainSet,
      metrics,
      serverH2: this.serverOptions(config.outbound.serverHttp2),
      stackDeps: (origDst, target) => {
        const parent = () => target.current?.policy.meta ?? { kind: 'default' as const, name: '' };
        return {
          clock,
          router: {
            clock,
            metrics: metrics.routes,
            admission: this.outboundAdmission,
            backend: {
              discovery,
              config: config.outbound,
              clock,
              h2: this.clientH2(),
              createTransport,
              stacks: this.stackMetrics.outbound('http'),
              balancerSeries: (backend) => metrics.httpBalancer(parent(), backend, config.outbound.httpFailfastTimeoutMs),
            },
            exchange: {
              clock,
              emitDetails: config.emitOutboundHeaders,
              logical: addressText(origDst),
              observe: this.observing?.observation,
              endpointSeries: (endpoint) => metrics.endpointSeries(endpoint),
              countError: (error) => metrics.httpError(error),
            },
          },
          tcp: {
            discovery,
            clock,
            backoff: config.outbound.connectBackoff,
            queueCapacity: config.outbound.tcpQueueCapacity,
            failfastTimeoutMs: config.outbound.tcpFailfastTimeoutMs,
            stacks: () => this.stackMetrics.outbound(target.current?.policy.protocol === 'tls' ? 'tls' : 'opaq'),
            balancerSeries: (backend) =>
              metrics.tcpBalancer(parent(), backend, target.current?.policy.protocol === 'tls', config.outbound.tcpFailfastTimeoutMs),
            createTransport,
          },
          countTcpError: (label) => metrics.tcpError(origDst, label),
          countRoute: (event, found, route, error, sni) => metrics.tcpRoute(event, found.origDst, found.policy.meta, route, error, sni),
        };
      },
    });
  }

  private async bindAll(
    inbound: InboundServer,
    outbound: OutboundServer,
    metrics: InboundMetrics,
    discovery: GrpcDiscovery,
  ): Promise<void> {
    const { config, log } = this.options;
    const onError = (where: string) => (error: NetError) => log.warn('accept failed', { where, error: error.message });
    const traffic = async (
      address: SocketAddress,
      direction: DirectionConfig,
      where: string,
      accept: (stream: ByteStream, origDst: SocketAddress) => void,
    ): Promise<SocketAddress> => {
      const listener = await listen({
        host: address.ip,
        port: address.port,
        originalDestination: true,
        ...(direction.listenBacklog === undefined ? {} : { backlog: direction.listenBacklog }),
        ...(direction.acceptKeepAliveMs === undefined ? {} : { keepAliveMs: direction.acceptKeepAliveMs }),
        ...(direction.acceptUserTimeoutMs === undefined ? {} : { userTimeoutMs: direction.acceptUserTimeoutMs }),
        onConnection: (stream, origDst) => {
          if (this.budget.isExhausted()) {
            this.budget.shedConnections += 1;
            stream.destroy({ reset: true });
            return;
          }
          // Bound early, served only with a certificate (§2.1): until then a connection waits in its own buffers.
          if (this.identity.tls !== undefined) accept(stream, origDst as SocketAddress);
          else this.held.hold(stream, () => accept(stream, origDst as SocketAddress));
        },
        onError: onError(where),
      });
      this.listeners.push(listener);
      return listener.address;
    };
    this.addresses.inbound = await traffic(config.inboundListen, config.inbound, 'inbound', (stream, origDst) =>
      inbound.accept(stream, origDst),
    );
    for (const address of config.outboundListen) {
      this.addresses.outbound.push(
        await traffic(address, config.outbound, 'outbound', (stream, origDst) => outbound.accept(stream, origDst)),
      );
    }
    const admin = new AdminServer({
      config,
      identity: this.identity,
      discovery,
      clock: this.clock,
      metrics,
      environment: this.options.environment,
      isReady: () => this.isReady,
      renderMetrics: () => this.renderMetrics(),
      logFilter: this.options.logFilter,
      shutdown: () => void this.stop(),
      profiler: config.isProfilingEnabled ? new Profiler() : undefined,
    });
    this.admin = admin;
    this.adminListener = await listen({
      host: config.adminListen.ip,
      port: config.adminListen.port,
      originalDestination: false,
      ...(config.inbound.acceptKeepAliveMs === undefined ? {} : { keepAliveMs: config.inbound.acceptKeepAliveMs }),
      ...(config.inbound.acceptUserTimeoutMs === undefined ? {} : { userTimeoutMs: config.inbound.acceptUserTimeoutMs }),
      onConnection: (stream) => admin.accept(stream),
      onError: onError('admin'),
    });
    this.addresses.admin = this.adminListener.address;
    const acceptTap = this.observing?.acceptTap;
    if (acceptTap === undefined) return;
    const control = await listen({
      host: config.controlListen.ip,
      port: config.controlListen.port,
      originalDestination: false,
      onConnection: acceptTap,
      onError: onError('control'),
    });
    this.listeners.push(control);
    this.addresses.control = control.address;
  }

  private renderMetrics(): string {
    this.transportMetrics.collect();
    this.collectNet();
    return this.registry.render();
  }

  private collectNet(): void {
    this.netGauges ??= [...NET_GAUGES, ...this.loadGauges()].map(([name, help, read]) => ({
      series: this.registry.gauge(name, help).get(),
      read,
    }));
    for (const { series, read } of this.netGauges) series.value = read();
    const shed = this.registry.counter('weft_memory_shed_total', 'Refused because memory was short, by kind');
    shed.get({ kind: 'request' }).value = this.budget.shedRequests;
    shed.get({ kind: 'connection' }).value = this.budget.shedConnections;
  }

  private loadGauges(): typeof NET_GAUGES {
    const { budget, inboundAdmission, outboundAdmission } = this;
    return [
      ['weft_memory_private_bytes', 'Private memory when it was last looked at; 0 without a limit', () => budget.privateBytes],
      ['weft_memory_limit_bytes', 'Memory limit; 0 = none', () => (budget.limitBytes === Number.POSITIVE_INFINITY ? 0 : budget.limitBytes)],
      ['weft_inbound_requests_in_flight', 'Inbound requests without a response yet', () => inboundAdmission.inFlight],
      ['weft_outbound_requests_in_flight', 'Outbound requests without a response yet', () => outboundAdmission.inFlight],
    ];
  }

  private countInternalError(): void {
    const nowMs = this.clock.now();
    this.internalErrors = this.internalErrors.filter((at) => nowMs - at < INTERNAL_ERROR_WINDOW_MS);
    this.internalErrors.push(nowMs);
    if (this.internalErrors.length <= MAX_INTERNAL_ERRORS || this.isStopping) return;
    this.options.log.error('too many internal errors: draining', { count: this.internalErrors.length });
    void this.stop();
  }
}

const NET_GAUGES: readonly (readonly [string, string, () => number])[] = [
  ['weft_net_handshakes_in_flight', 'TLS handshakes in progress', () => netCounters.handshakesInFlight],
  ['weft_net_handshakes_queued', 'TLS handshakes waiting for their turn', () => netCounters.handshakesQueued],
  ['weft_net_open_streams', 'Open connections of any kind', () => netCounters.openStreams],
  ['weft_net_pool_retained_bytes', 'Free pooled buffers', () => poolStats().retainedBytes],
  ['weft_net_pool_borrowed_bytes', 'Pooled buffers in use', () => poolStats().borrowedBytes],
];

/** Of the memory limit: socket output that may wait in all connections together, and while memory is short. */
const WRITE_BUDGET_RATIO = 0.2;
const TIGHT_WRITE_BUDGET_RATIO = 0.02;
/** Of the memory limit: request heads that the streams of one HTTP/2 connection may hold. */
const OPEN_HEAD_RATIO = 1 / 64;
/** Below this limit one read takes less at a time: hundreds of connections that each overrun their share by one read would fill it. */
const SMALL_LIMIT_BYTES = 160 * 1024 * 1024;
const SMALL_READ_BYTES = 16 * 1024;

function createBudget(clock: Clock): MemoryBudget {
  const cgroup = CgroupMemory.find();
  const collectGarbage = globalThis.gc;
  const limitBytes = cgroup?.limitBytes ?? Number.POSITIVE_INFINITY;
  configureNet({
    writeBudgetBytes: limitBytes * WRITE_BUDGET_RATIO,
    ...(limitBytes < SMALL_LIMIT_BYTES ? { readBufferBytes: SMALL_READ_BYTES } : {}),
  });
  return new MemoryBudget({
    limitBytes,
    now: clock.now,
    after: clock.after,
    // The kernel's count has more in it, and other processes where the limit is of several.
    readPrivateBytes: () => Math.max(readPrivateBytes(), cgroup?.usedBytes() ?? 0),
    onTight: (isTight) => configureNet({ writeBudgetBytes: limitBytes * (isTight ? TIGHT_WRITE_BUDGET_RATIO : WRITE_BUDGET_RATIO) }),
    collect: () => {
      // What is free in the pool becomes garbage at the second sweep.
      bufferPool.sweep();
      bufferPool.sweep();
      collectGarbage?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
    },
  });
}

function sameAddress(a: ControlAddress, b: ControlAddress): boolean {
  return a.host === b.host && a.port === b.port && a.identity === b.identity;
}
