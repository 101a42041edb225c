// SPDX-License-Identifier: Apache-2.0
/*
 * A backend of an HTTP route: a balancer over discovered endpoints, or one endpoint that the control plane named. Requests that
 * find no ready endpoint wait in a bounded queue; when nothing has become ready for the fail-fast timeout the queue is failed and
 * new requests are refused at once until something is (proxy-contract §6.1, corrections.md).
 *
 *   open ──nothing ready, something waits──► stalling ──fail-fast timeout──► shut ──an endpoint is ready──► open
 */
import { P2cBalancer, PeakEwma } from '@weft/balance';
import type { H2Options } from '@weft/http2';
import type { Backend, EndpointAddress } from '@weft/routing';
import type { DirectionConfig } from '../config/types.ts';
import type { Discovery, EndpointResolution, EndpointUpdate } from '../discovery/types.ts';
import type { KeepAliveOptions } from '../http/keep-alive.ts';
import type { BalancerSeries } from '../metrics/balancer-metrics.ts';
import type { BackendStacks, StackSeries } from '../metrics/stack-metrics.ts';
import type { Clock } from '../runtime.ts';
import type { Transport } from './endpoint-transport.ts';
import { type Dispatchable, HttpEndpoint, type HttpEndpointOwner } from './http-endpoint.ts';

/** Endpoints are looked through for ones to wake at most so often. */
const WAKE_EVERY_MS = 250;
/** Load estimate of a forwarded endpoint, which nothing compares with. */
const FORWARD_RTT_MS = 30;
const FORWARD_DECAY_MS = 10_000;

export interface HttpBackendDeps {
  readonly discovery: Discovery;
  readonly config: DirectionConfig;
  readonly clock: Clock;
  readonly h2: Partial<H2Options>;
  /** `authority` = the backend's logical name, where it has one. */
  createTransport(address: EndpointAddress, authority: string | undefined): Transport;
  balancerSeries(backend: Backend): BalancerSeries | undefined;
  readonly stacks?: BackendStacks | undefined;
}

/** A request that waits for an endpoint. */
interface Queued {
  readonly exchange: Dispatchable;
  readonly sinceMs: number;
}

export class HttpBackend implements HttpEndpointOwner {
  readonly backend: Backend;
  private readonly isH2: boolean;
  private readonly deps: HttpBackendDeps;
  private readonly clock: Clock;
  private readonly endpoints = new Map<string, HttpEndpoint>();
  private readonly balancer: P2cBalancer<HttpEndpoint>;
  private readonly resolution: EndpointResolution | undefined;
  private readonly series: BalancerSeries | undefined;
  private readonly stack: StackSeries | undefined;
  private queue: Queued[] = [];
  /** Removed by the update in progress. */
  private readonly leaving: HttpEndpoint[] = [];
  private isShut = false;
  private wokenMs = Number.NEGATIVE_INFINITY;
  private isClosed = false;
  private cancelFailfast: (() => void) | undefined = undefined;
  private readonly rttMs: number;
  private readonly decayMs: number;

  /** `isH2` = requests of this backend are native HTTP/2. */
  constructor(backend: Backend, isH2: boolean, deps: HttpBackendDeps) {
    this.backend = backend;
    this.isH2 = isH2;
    this.deps = deps;
    this.clock = deps.clock;
    this.balancer = new P2cBalancer<HttpEndpoint>(deps.clock.random);
    const { target } = backend;
    this.rttMs = target.kind === 'balance' ? target.defaultRttMs : FORWARD_RTT_MS;
    this.decayMs = target.kind === 'balance' ? target.decayMs : FORWARD_DECAY_MS;
    this.series = target.kind === 'balance' ? deps.balancerSeries(backend) : undefined;
    this.stack = deps.stacks?.layer(target.kind === 'balance' ? 'balance' : 'forward');
    if (this.stack !== undefined) this.stack.created.value += 1;
    this.resolution = target.kind === 'balance' ? deps.discovery.resolve(target.path, (update) => this.update(update)) : undefined;
    if (target.kind === 'forward') this.update({ isReset: true, add: [target.endpoint], remove: [] });
  }

  /** Whether a request would be taken on now, for availability-aware distributions. */
  get isAvailable(): boolean {
    return this.backend.target.kind !== 'none' && !this.isShut;
  }

  /** Sends the request to an endpoint, now or when one is ready; answers for it otherwise. */
  dispatch(exchange: Dispatchable): void {
    if (this.backend.target.kind === 'none') {
      exchange.rescue({ kind: 'no-dispatcher', message: 'has no dispatcher' });
      return;
    }
    const endpoint = this.balancer.pick(this.clock.now()) ?? this.lastResort();
    if (endpoint !== undefined) {
      this.series?.passed();
      if (this.stack !== undefined) this.stack.ready.value += 1;
      endpoint.dispatch(exchange);
      return;
    }
    this.wake();
    if (this.isClosed || this.isShut || this.queue.length >= this.deps.config.httpQueueCapacity) {
      exchange.rescue({ kind: 'load-shed', message: exchange.describe('service unavailable', undefined) });
      return;
    }
    this.queue.push({ exchange, sinceMs: this.clock.now() });
    this.series?.queued(this.queue.length);
    if (this.stack !== undefined) this.stack.waiting.value += 1;
    this.armFailfast();
  }

  /** Nobody is ready: endpoints that rest between two tries try now and then all the same, as long as there are requests. */
  private wake(): void {
    const nowMs = this.clock.now();
    if (nowMs - this.wokenMs < WAKE_EVERY_MS) return;
    this.wokenMs = nowMs;
    for (const endpoint of this.endpoints.values()) endpoint.wake();
  }

  /** Whether a request would find an endpoint at once; after a failed connect it is worth trying another one only then. */
  get hasReady(): boolean {
    return this.balancer.readyCount() > 0;
  }

  /** Whether a request that `endpoint` could not serve would find another one at once. */
  hasOther(endpoint: HttpEndpoint): boolean {
    return this.balancer.readyCount() > (endpoint.isReady ? 1 : 0);
  }

  onReadiness(_endpoint: HttpEndpoint): void {
    if (this.balancer.readyCount() > 0) this.open();
    this.updateSeries();
  }

  close(): void {
    this.isClosed = true;
    this.resolution?.close();
    this.cancelFailfast?.();
    this.cancelFailfast = undefined;
    if (this.stack !== undefined) this.stack.dropped.value += 1;
    for (const endpoint of this.endpoints.values()) endpoint.close('backend');
    this.countEndpoints('dropped', this.endpoints.size);
    this.endpoints.clear();
    this.series?.close();
    for (const { exchange } of this.queue.splice(0)) exchange.rescue({ kind: 'load-shed', message: 'service unavailable' });
  }

  private update(update: EndpointUpdate): void {
    this.series?.updated(update);
    if (update.isReset) {
      const kept = new Set(update.add.map(key));
      for (const [name, endpoint] of this.endpoints) if (!kept.has(name)) this.remove(name, endpoint);
    }
    for (const address of update.add) this.add(address);
    for (const gone of update.remove) {
      const name = key(gone);
      const endpoint = this.endpoints.get(name);
      if (endpoint !== undefined) this.remove(name, endpoint);
    }
    // Closed when the whole update is in force: the requests that wait there go to endpoints that stay.
    for (const endpoint of this.leaving.splice(0)) endpoint.close('removed');
    if (this.balancer.readyCount() > 0) this.open();
    this.updateSeries();
  }

  private add(address: EndpointAddress): void {
    const name = key(address);
    const existing = this.endpoints.get(name);
    if (existing !== undefined) {
      if (sameEndpoint(existing.transport.address, address)) return;
      this.remove(name, existing);
    }
    const { config, clock } = this.deps;
    const transport = this.deps.createTransport(address, this.backend.target.kind === 'balance' ? this.backend.target.path : undefined);
    const mode = this.isH2 || (address.protocolHint === 'h2' && !transport.isLocal) ? 'h2' : 'h1';
    const endpoint = new HttpEndpoint(transport, mode, this, {
      backoff: config.connectBackoff,
      poolIdleTimeoutMs: config.http1PoolIdleTimeoutMs,
      maxIdleConnections: config.maxIdleConnectionsPerEndpoint,
      h2: { codec: this.deps.h2, keepAlive: keepAliveOf(address) },
      queueCapacity: config.httpQueueCapacity,
      clock,
      ewma: new PeakEwma(this.rttMs, this.decayMs, clock.now()),
    });
    this.endpoints.set(name, endpoint);
    this.countEndpoints('created', 1);
    this.balancer.add(endpoint);
    endpoint.start();
  }

  private remove(name: string, endpoint: HttpEndpoint): void {
    this.endpoints.delete(name);
    this.countEndpoints('dropped', 1);
    this.balancer.remove(endpoint);
    this.leaving.push(endpoint);
  }

  /**
   * Where no endpoint is ready: one that is dialled for each request anyway. Its failure is told at once, as the reference does (a refused
   * connect is a 502, not a wait for fail-fast), and a peer that has come back is found by the first request.
   */
  private lastResort(): HttpEndpoint | undefined {
    let chosen: HttpEndpoint | undefined;
    let seen = 0;
    for (const endpoint of this.endpoints.values()) {
      if (endpoint.mode !== 'h1') continue;
      seen += 1;
      if (this.clock.random() * seen < 1) chosen = endpoint;
    }
    return chosen;
  }

  private armFailfast(): void {
    if (this.cancelFailfast !== undefined) return;
    this.cancelFailfast = this.clock.after(this.deps.config.httpFailfastTimeoutMs, () => {
      this.cancelFailfast = undefined;
      if (this.balancer.readyCount() > 0) return;
      this.isShut = true;
      this.series?.gate(true);
      for (const { exchange } of this.takeQueue()) {
        if (!exchange.isDone) exchange.rescue({ kind: 'failfast', message: exchange.describe('service in fail-fast', this.backend) });
      }
    });
  }

  private open(): void {
    this.cancelFailfast?.();
    this.cancelFailfast = undefined;
    if (this.isShut) {
      this.isShut = false;
      this.series?.gate(false);
    }
    if (this.queue.length === 0) return;
    for (const { exchange, sinceMs } of this.takeQueue()) {
      if (exchange.isDone) continue;
      const endpoint = this.balancer.pick(this.clock.now());
      if (endpoint === undefined) {
        this.dispatch(exchange);
        continue;
      }
      const waitedMs = this.clock.now() - sinceMs;
      this.series?.waited(waitedMs);
      if (this.stack !== undefined) this.stack.waitedMs.value += Math.round(waitedMs);
      endpoint.dispatch(exchange);
    }
  }

  private takeQueue(): Queued[] {
    const waiting = this.queue;
    this.queue = [];
    this.series?.queued(0);
    return waiting;
  }

  private countEndpoints(what: 'created' | 'dropped', count: number): void {
    const endpoint = this.deps.stacks?.endpoint;
    if (endpoint !== undefined) endpoint[what].value += count;
  }

  private updateSeries(): void {
    if (this.series === undefined) return;
    const ready = this.balancer.readyCount();
    this.series.endpoints(ready, this.endpoints.size - ready);
  }
}

function keepAliveOf({ http2 }: EndpointAddress): KeepAliveOptions | undefined {
  const { keepAliveIntervalMs, keepAliveTimeoutMs, keepAliveWhileIdle } = http2;
  if (keepAliveIntervalMs === undefined || keepAliveTimeoutMs === undefined) return undefined;
  return { intervalMs: keepAliveIntervalMs, timeoutMs: keepAliveTimeoutMs, isWhileIdle: keepAliveWhileIdle };
}

function key(address: { readonly ip: string; readonly port: number }): string {
  return `${address.ip}|${address.port}`;
}

/** Whether nothing that a connection or a metric depends on has changed. */
export function sameEndpoint(a: EndpointAddress, b: EndpointAddress): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
