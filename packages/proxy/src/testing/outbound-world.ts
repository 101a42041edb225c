// SPDX-License-Identifier: Apache-2.0
/* The outbound half on memory streams: the application at one end, endpoints at the other, discovery and time in the test's hands. */
import { type H2Options } from '@weft/http2';
import type { SocketAddress } from '@weft/net';
import { MetricRegistry } from '@weft/telemetry';
import { Admission } from '../admission.ts';
import type { Environment } from '../config/values.ts';
import { DrainSet } from '../drain.ts';
import { MemoryBudget } from '../memory-budget.ts';
import { EndpointMetrics } from '../metrics/endpoint-metrics.ts';
import { OutboundMetrics } from '../metrics/outbound-metrics.ts';
import { TransportMetrics } from '../metrics/transport-metrics.ts';
import { OutboundServer, addressText } from '../outbound/outbound-server.ts';
import { FakeDiscovery } from './fake-discovery.ts';
import { type Accepted, FakeNetwork } from './fake-transport.ts';
import { H2Peer, type H2PeerStream } from './h2-peer.ts';
import { type MemoryStream, type MemoryStreamOptions, createStreamPair } from './memory-stream.ts';
import { RawPeer } from './raw-peer.ts';
import { testConfig } from './test-config.ts';
import { TestLoop } from './test-loop.ts';

export const ORIG_DST: SocketAddress = { ip: '10.96.0.1', port: 80 };

export interface OutboundWorldOptions {
  readonly environment?: Environment;
  readonly maxInFlight?: number;
  /** Of connections to endpoints. */
  readonly clientH2?: Partial<H2Options>;
  /** Of the application's connections. */
  readonly stream?: MemoryStreamOptions;
  readonly privateBytes?: () => number;
  readonly emitDetails?: boolean;
}

export class OutboundWorld {
  readonly loop: TestLoop = new TestLoop();
  readonly discovery: FakeDiscovery = new FakeDiscovery();
  readonly network: FakeNetwork = new FakeNetwork(this.loop);
  readonly registry: MetricRegistry = new MetricRegistry({ now: () => this.loop.nowMs });
  readonly drain: DrainSet = new DrainSet();
  readonly server: OutboundServer;
  readonly admission: Admission;
  /** HTTP/2 endpoints by connection, HTTP/1 ones likewise: made as connections come in, by their session. */
  readonly h2: H2Peer[] = [];
  readonly h1: RawPeer[] = [];
  /** Answers each request of an HTTP/2 endpoint. */
  onRequest: ((stream: H2PeerStream, peer: H2Peer, accepted: Accepted) => void) | undefined = undefined;
  /** SETTINGS of HTTP/2 endpoints. */
  endpointH2: Partial<H2Options> = {};
  private readonly options: OutboundWorldOptions;
  private nextPort = 40_000;

  constructor(options: OutboundWorldOptions = {}) {
    this.options = options;
    const config = testConfig(options.environment);
    const { clock } = this.loop;
    const { discovery, registry } = this;
    const transport = new TransportMetrics(registry);
    const metrics = new OutboundMetrics(registry, transport, new EndpointMetrics(registry));
    const budget = new MemoryBudget({
      limitBytes: options.privateBytes === undefined ? Number.POSITIVE_INFINITY : 1000,
      now: clock.now,
      readPrivateBytes: options.privateBytes ?? (() => 0),
    });
    this.admission = new Admission(options.maxInFlight ?? config.outbound.maxInFlight, budget);
    this.network.onAccept = (accepted) => this.accepted(accepted);
    this.server = new OutboundServer({
      config,
      discovery,
      clock,
      drain: this.drain,
      metrics,
      serverH2: () => ({ codec: {}, keepAlive: undefined }),
      stackDeps: (origDst) => ({
        clock,
        router: {
          clock,
          metrics: metrics.routes,
          admission: this.admission,
          backend: {
            discovery,
            config: config.outbound,
            clock,
            h2: options.clientH2 ?? {},
            createTransport: (address) => this.network.transport(address),
            balancerSeries: (backend) =>
              metrics.httpBalancer({ kind: 'default', name: 'parent' }, backend, config.outbound.httpFailfastTimeoutMs),
          },
          exchange: {
            clock,
            emitDetails: options.emitDetails ?? true,
            logical: addressText(origDst),
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
          createTransport: (address) => this.network.transport(address),
        },
        countTcpError: (label) => metrics.tcpError(origDst, label),
        countRoute: (event, found, route, error, sni) => metrics.tcpRoute(event, found.origDst, found.policy.meta, route, error, sni),
      }),
    });
  }

  /** The application connects; its end comes back. */
  dial(origDst: SocketAddress = ORIG_DST): MemoryStream {
    const [app, ours] = createStreamPair(this.loop, this.options.stream, { ip: '10.1.0.1', port: this.nextPort++ }, origDst);
    this.server.accept(ours, origDst);
    return app;
  }

  /** An application that speaks bytes. */
  raw(origDst?: SocketAddress): RawPeer {
    return new RawPeer(this.dial(origDst));
  }

  /** An application that speaks HTTP/2. */
  http2(origDst?: SocketAddress): H2Peer {
    const peer = new H2Peer(this.dial(origDst), 'client', this.loop.clock.now);
    this.loop.run();
    return peer;
  }

  /** One HTTP/1 request on a connection of its own; the answer so far is the peer's text. */
  get(path = '/', fields = ''): RawPeer {
    const peer = this.raw();
    peer.send(`GET ${path} HTTP/1.1\r\nhost: svc.test\r\n${fields}\r\n`);
    this.loop.run();
    return peer;
  }

  metric(...parts: string[]): number {
    let total = 0;
    for (const line of this.registry.render().split('\n')) {
      if (!line.startsWith('#') && parts.every((part) => line.includes(part))) total += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return total;
  }

  private accepted(accepted: Accepted): void {
    if (accepted.session === 'http2') {
      const peer = new H2Peer(accepted.stream, 'server', this.loop.clock.now, this.endpointH2);
      peer.onStream = (stream) => this.onRequest?.(stream, peer, accepted);
      this.h2.push(peer);
    } else {
      this.h1.push(new RawPeer(accepted.stream));
    }
  }
}
