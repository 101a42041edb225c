// SPDX-License-Identifier: Apache-2.0
/*
 * Two proxies in one process on loopback sockets with real mTLS: the outbound half of a client's and the inbound half of a server's, put
 * together as proxy.ts does, but with discovery in the test's hands. Only the redirect is missing: a test says itself which destination a
 * connection had.
 */
import { createTestMesh } from '@weft/pki/testing';
import {
  type ByteStream,
  type Listener,
  type SocketAddress,
  createTlsClientContext,
  createTlsServerContext,
  deadlines,
  listen,
} from '@weft/net';
import { MetricRegistry } from '@weft/telemetry';
import { Admission } from '../admission.ts';
import { DrainSet } from '../drain.ts';
import type { H2ServerOptions } from '../http/h2-server.ts';
import type { LocalIdentity } from '../identity/types.ts';
import { PolicyLog } from '../inbound/policy-log.ts';
import { Gateway } from '../inbound/gateway.ts';
import { InboundServer } from '../inbound/inbound-server.ts';
import { MemoryBudget } from '../memory-budget.ts';
import { EndpointMetrics } from '../metrics/endpoint-metrics.ts';
import { InboundMetrics } from '../metrics/inbound-metrics.ts';
import { OutboundMetrics } from '../metrics/outbound-metrics.ts';
import { TransportMetrics } from '../metrics/transport-metrics.ts';
import type { Observation } from '../observe/observation.ts';
import { EndpointTransport, TRANSPORT_ALPN } from '../outbound/endpoint-transport.ts';
import { OutboundServer, addressText } from '../outbound/outbound-server.ts';
import { type Clock, dateSource } from '../runtime.ts';
import type { AccessLog } from '../metrics/access-log.ts';
import { FakeDiscovery } from './fake-discovery.ts';
import { testConfig } from './test-config.ts';

export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  date: dateSource(Date.now),
  random: Math.random,
  after: (ms, callback) => {
    const handle = deadlines.schedule(ms, callback);
    return () => handle.cancel();
  },
};

const H2: () => H2ServerOptions = () => ({ codec: {}, keepAlive: undefined });

const mesh = createTestMesh();
export const CLIENT_ID: string = mesh.identityOf('client', 'shop');
export const SERVER_ID: string = mesh.identityOf('server', 'shop');

/** The identity of a workload of the test mesh. */
export function identityFor(name: string): LocalIdentity {
  const leaf = mesh.leafFor(name);
  const base = { key: leaf.privateKey, certChainPem: leaf.chainPem, trustAnchorsPem: [...mesh.trustAnchorsPem] };
  return {
    name,
    serverName: name,
    tls: {
      server: createTlsServerContext(base),
      directServer: createTlsServerContext({ ...base, alpn: [TRANSPORT_ALPN] }),
      client: createTlsClientContext(base),
    },
  };
}

export interface MeshPairOptions {
  readonly maxInFlight?: number;
  readonly accessLog?: AccessLog;
  /** What looks at the requests of each proxy. */
  readonly observe?: { readonly inbound?: Observation; readonly outbound?: Observation };
  /** Of the inbound proxy's configuration. */
  readonly environment?: Record<string, string>;
}

export class MeshPair {
  readonly registry: MetricRegistry = new MetricRegistry();
  readonly discovery: FakeDiscovery = new FakeDiscovery();
  readonly drain: DrainSet = new DrainSet();
  readonly logs: string[] = [];
  readonly inbound: InboundServer;
  readonly outbound: OutboundServer;
  /** Where redirected inbound connections pretend to have gone. */
  inboundDst: SocketAddress;
  outboundDst: SocketAddress = { ip: '10.96.0.1', port: 80 };
  private readonly listeners: Listener[];

  private constructor(options: MeshPairOptions, listeners: Listener[], inboundPort: number) {
    this.listeners = listeners;
    this.inboundDst = { ip: '127.0.0.1', port: inboundPort };
    const config = testConfig({ INBOUND_LISTEN_ADDR: `127.0.0.1:${inboundPort}`, ...options.environment });
    const clock = REAL_CLOCK;
    const { discovery, registry, drain } = this;
    const transport = new TransportMetrics(registry);
    const endpoints = new EndpointMetrics(registry);
    const inboundMetrics = new InboundMetrics(registry, transport, endpoints, false);
    const outboundMetrics = new OutboundMetrics(registry, transport, endpoints);
    const budget = new MemoryBudget({ limitBytes: Number.POSITIVE_INFINITY, now: clock.now, readPrivateBytes: () => 0 });
    const maxInFlight = options.maxInFlight ?? 100_000;
    const note = (message: string): void => void this.logs.push(message);
    const log = { debug: () => {}, info: note, warn: note };
    const serverIdentity = identityFor(SERVER_ID);
    const clientIdentity = identityFor(CLIENT_ID);
    this.inbound = new InboundServer({
      config,
      discovery,
      identity: serverIdentity,
      clock,
      metrics: inboundMetrics,
      log,
      gateway: new Gateway({
        suffixes: config.gatewaySuffixes,
        identity: SERVER_ID,
        acquire: (name, port) => this.outbound.acquireNamed(name, port, 'gateway'),
      }),
      portStack: {
        clock,
        drain,
        metrics: inboundMetrics,
        createTransport: (address) =>
          new EndpointTransport(address, {
            identity: serverIdentity,
            config: config.inbound,
            inboundIps: config.inboundIps,
            metrics: transport,
            direction: 'inbound',
          }),
        backend: { discovery, config: config.inbound, clock, h2: {} },
        serverH2: H2,
        admission: new Admission(maxInFlight, budget),
        accessLog: options.accessLog,
        idleTimeoutMs: config.inbound.discoveryIdleTimeoutMs,
        policyLog: new PolicyLog(log, clock.now),
        observe: options.observe?.inbound,
        log,
      },
    });
    const createTransport = (
      address: ConstructorParameters<typeof EndpointTransport>[0],
      authority: string | undefined,
    ): EndpointTransport =>
      new EndpointTransport(address, {
        identity: clientIdentity,
        config: config.outbound,
        inboundIps: new Set(),
        metrics: transport,
        direction: 'outbound',
        authority,
      });
    this.outbound = new OutboundServer({
      config,
      discovery,
      clock,
      drain,
      metrics: outboundMetrics,
      serverH2: H2,
      stackDeps: (origDst) => ({
        clock,
        router: {
          clock,
          metrics: outboundMetrics.routes,
          admission: new Admission(maxInFlight, budget),
          backend: { discovery, config: config.outbound, clock, h2: {}, createTransport, balancerSeries: () => undefined },
          exchange: {
            clock,
            emitDetails: true,
            logical: addressText(origDst),
            observe: options.observe?.outbound,
            endpointSeries: (endpoint) => outboundMetrics.endpointSeries(endpoint),
            countError: (error) => outboundMetrics.httpError(error),
          },
        },
        tcp: {
          discovery,
          clock,
          backoff: config.outbound.connectBackoff,
          queueCapacity: config.outbound.tcpQueueCapacity,
          failfastTimeoutMs: config.outbound.tcpFailfastTimeoutMs,
          createTransport,
        },
        countTcpError: (label) => outboundMetrics.tcpError(origDst, label),
        countRoute: (event, found, route, error, sni) =>
          outboundMetrics.tcpRoute(event, found.origDst, found.policy.meta, route, error, sni),
      }),
    });
  }

  static async open(options: MeshPairOptions = {}): Promise<MeshPair> {
    const listeners: Listener[] = [];
    let pair: MeshPair | undefined;
    const add = async (accept: (stream: ByteStream) => void): Promise<number> => {
      const listener = await listen({ host: '127.0.0.1', port: 0, originalDestination: false, onConnection: accept, onError: () => {} });
      listeners.push(listener);
      return listener.address.port;
    };
    const inboundPort = await add((stream) => pair?.inbound.accept(stream, pair.inboundDst));
    await add((stream) => pair?.outbound.accept(stream, pair.outboundDst));
    pair = new MeshPair(options, listeners, inboundPort);
    return pair;
  }

  get inboundPort(): number {
    return this.listeners[0]?.address.port ?? 0;
  }

  get outboundPort(): number {
    return this.listeners[1]?.address.port ?? 0;
  }

  /** Value of a series, found by parts of its line. */
  metric(...parts: string[]): number {
    let total = 0;
    for (const line of this.registry.render().split('\n')) {
      if (!line.startsWith('#') && parts.every((part) => line.includes(part))) total += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return total;
  }

  close(): void {
    for (const listener of this.listeners) listener.close();
    this.outbound.close();
    this.inbound.close();
  }
}
