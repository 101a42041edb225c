// SPDX-License-Identifier: Apache-2.0
/*
 * A backend of an opaque route: endpoints are dialled per connection, the one with the fewest weighted open connections first
 * (P2C over peak EWMA, proxy-contract §6.1). A connect that fails is tried at another endpoint; with none left, the queue's
 * fail-fast timeout decides.
 */
import { P2cBalancer, PeakEwma } from '@weft/balance';
import type { ByteStream, NetError, PendingConnection } from '@weft/net';
import type { Backend, EndpointAddress } from '@weft/routing';
import type { Backoff } from '../config/types.ts';
import { type BackoffState, createBackoffState } from '../control/backoff.ts';
import type { Discovery, EndpointResolution, EndpointUpdate } from '../discovery/types.ts';
import type { BalancerSeries } from '../metrics/balancer-metrics.ts';
import type { BackendStacks } from '../metrics/stack-metrics.ts';
import type { Clock } from '../runtime.ts';
import type { Transport } from './endpoint-transport.ts';
import { sameEndpoint } from './http-backend.ts';

/** Endpoints dialled for one connection before it fails, and while that has not taken too long. */
const MAX_DIALS = 4;
const MAX_QUICK_DIALS = 16;
const QUICK_MS = 10_000;
const FORWARD_RTT_MS = 30;
const FORWARD_DECAY_MS = 10_000;

export interface TcpBackendDeps {
  readonly discovery: Discovery;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly queueCapacity: number;
  readonly failfastTimeoutMs: number;
  /** `authority` = the backend's logical name, where it has one. */
  createTransport(address: EndpointAddress, authority: string | undefined): Transport;
  balancerSeries?(backend: Backend): BalancerSeries | undefined;
  /** Asked for when a backend is made: a target may change its protocol. */
  stacks?(): BackendStacks;
}

/** One of the two is called. `onClosed` of the lease must be called when the connection is over. */
export interface DialCallbacks {
  onReady(stream: ByteStream, lease: DialLease): void;
  onFail(kind: 'failfast' | 'connect' | 'load-shed' | 'no-dispatcher', message: string): void;
}

export interface DialLease {
  readonly transport: Transport;
  release(): void;
}

class TcpEndpoint {
  readonly transport: Transport;
  readonly load: PeakEwma;
  readonly backoff: BackoffState;
  pending = 0;
  isReady = true;
  isRemoved = false;
  cancelRetry: (() => void) | undefined = undefined;
  /** Connects under way, each for one connection. */
  readonly connects: Map<PendingConnection, Waiting> = new Map<PendingConnection, Waiting>();

  constructor(transport: Transport, load: PeakEwma, backoff: BackoffState) {
    this.transport = transport;
    this.load = load;
    this.backoff = backoff;
  }
}

interface Waiting {
  readonly callbacks: DialCallbacks;
  readonly startedMs: number;
  dials: number;
  isDone: boolean;
  /** The dial under way is the last. */
  isLast: boolean;
}

export class TcpBackend {
  private readonly backend: Backend;
  private readonly deps: TcpBackendDeps;
  private readonly endpoints = new Map<string, TcpEndpoint>();
  private readonly balancer: P2cBalancer<TcpEndpoint>;
  private readonly resolution: EndpointResolution | undefined;
  private readonly series: BalancerSeries | undefined;
  private readonly stacks: BackendStacks | undefined;
  private queue: Waiting[] = [];
  /** Removed by the update in progress. */
  private readonly leaving: TcpEndpoint[] = [];
  private isShut = false;
  private cancelFailfast: (() => void) | undefined = undefined;

  constructor(backend: Backend, deps: TcpBackendDeps) {
    this.backend = backend;
    this.deps = deps;
    this.balancer = new P2cBalancer<TcpEndpoint>(deps.clock.random);
    const { target } = backend;
    this.series = target.kind === 'balance' ? deps.balancerSeries?.(backend) : undefined;
    this.stacks = deps.stacks?.();
    this.count('created');
    this.resolution = target.kind === 'balance' ? deps.discovery.resolve(target.path, (update) => this.update(update)) : undefined;
    if (target.kind === 'forward') this.update({ isReset: true, add: [target.endpoint], remove: [] });
  }

  get isAvailable(): boolean {
    return this.backend.target.kind !== 'none' && !this.isShut;
  }

  /** Connects to an endpoint, now or when one is known. Returns cancel. */
  dial(callbacks: DialCallbacks): () => void {
    const waiting: Waiting = { callbacks, startedMs: this.deps.clock.now(), dials: 0, isDone: false, isLast: false };
    this.place(waiting);
    return () => {
      waiting.isDone = true;
    };
  }

  close(): void {
    this.resolution?.close();
    this.series?.close();
    this.count('dropped');
    this.cancelFailfast?.();
    for (const endpoint of this.endpoints.values()) this.dropEndpoint(endpoint);
    this.endpoints.clear();
    for (const waiting of this.queue.splice(0)) this.fail(waiting, 'load-shed', 'service unavailable');
  }

  private count(what: 'created' | 'dropped' | 'ready' | 'waiting'): void {
    const layer = this.stacks?.layer(this.backend.target.kind === 'balance' ? 'balance' : 'forward');
    if (layer !== undefined) layer[what].value += 1;
  }

  private countEndpoint(what: 'created' | 'dropped'): void {
    const endpoint = this.stacks?.endpoint;
    if (endpoint !== undefined) endpoint[what].value += 1;
  }

  private place(waiting: Waiting): void {
    if (this.backend.target.kind === 'none') {
      this.fail(waiting, 'no-dispatcher', 'has no dispatcher');
      return;
    }
    const endpoint = this.balancer.pick(this.deps.clock.now());
    if (endpoint !== undefined) {
      if (waiting.dials === 0) {
        this.series?.waited(this.deps.clock.now() - waiting.startedMs);
        this.count('ready');
      }
      this.connect(endpoint, waiting);
      return;
    }
    if (this.isShut || this.queue.length >= this.deps.queueCapacity) {
      this.dialLast(waiting, 'load-shed', 'service unavailable');
      return;
    }
    this.queue.push(waiting);
    this.count('waiting');
    this.series?.queued(this.queue.length);
    this.cancelFailfast ??= this.deps.clock.after(this.deps.failfastTimeoutMs, () => {
      this.cancelFailfast = undefined;
      if (this.balancer.readyCount() > 0) return;
      this.isShut = true;
      this.series?.gate(true);
      const waitingNow = this.queue.splice(0);
      this.series?.queued(0);
      for (const other of waitingNow) this.dialLast(other, 'failfast', 'service in fail-fast');
    });
  }

  /**
   * Before a connection fails because every endpoint is in its back-off, one of them is tried: what kept all of them away may be over, and their
   * back-offs may be long.
   */
  private dialLast(waiting: Waiting, kind: 'load-shed' | 'failfast', message: string): void {
    let chosen: TcpEndpoint | undefined;
    let seen = 0;
    for (const endpoint of this.endpoints.values()) {
      seen += 1;
      if (this.deps.clock.random() * seen < 1) chosen = endpoint;
    }
    if (chosen === undefined || waiting.isLast || waiting.isDone) {
      this.fail(waiting, kind, message);
      return;
    }
    waiting.isLast = true;
    this.connect(chosen, waiting);
  }

  private connect(endpoint: TcpEndpoint, waiting: Waiting): void {
    waiting.dials += 1;
    endpoint.pending += 1;
    const startedMs = this.deps.clock.now();
    const connecting = endpoint.transport.connect(undefined, {
      onReady: (stream) => {
        endpoint.connects.delete(connecting);
        endpoint.backoff.reset();
        this.setReady(endpoint, true);
        if (waiting.isDone) {
          endpoint.pending -= 1;
          stream.destroy();
          return;
        }
        waiting.isDone = true;
        let isReleased = false;
        waiting.callbacks.onReady(stream, {
          transport: endpoint.transport,
          release: () => {
            if (isReleased) return;
            isReleased = true;
            endpoint.pending -= 1;
            const now = this.deps.clock.now();
            endpoint.load.observe(now - startedMs, now);
          },
        });
      },
      onError: (error) => {
        endpoint.connects.delete(connecting);
        endpoint.pending -= 1;
        this.connectFailed(endpoint);
        if (waiting.isDone) return;
        if (this.backend.target.kind === 'forward' || waiting.isLast || this.isEnough(waiting))
          this.fail(waiting, 'connect', connectText(endpoint, error));
        else this.place(waiting);
      },
    });
    endpoint.connects.set(connecting, waiting);
  }

  private isEnough(waiting: Waiting): boolean {
    if (waiting.dials < MAX_DIALS) return false;
    return waiting.dials >= MAX_QUICK_DIALS || this.deps.clock.now() - waiting.startedMs > QUICK_MS;
  }

  private connectFailed(endpoint: TcpEndpoint): void {
    if (endpoint.isRemoved || endpoint.cancelRetry !== undefined) return;
    this.setReady(endpoint, false);
    // After the back-off it is tried again by the next connection that comes.
    endpoint.cancelRetry = this.deps.clock.after(endpoint.backoff.next(), () => {
      endpoint.cancelRetry = undefined;
      this.setReady(endpoint, true);
    });
  }

  private setReady(endpoint: TcpEndpoint, isReady: boolean): void {
    if (endpoint.isRemoved) return;
    endpoint.isReady = isReady;
    this.updateSeries();
    if (isReady) this.open();
  }

  private updateSeries(): void {
    if (this.series === undefined) return;
    const ready = this.balancer.readyCount();
    this.series.endpoints(ready, this.endpoints.size - ready);
  }

  private open(): void {
    if (this.balancer.readyCount() === 0) return;
    this.cancelFailfast?.();
    this.cancelFailfast = undefined;
    if (this.isShut) this.series?.gate(false);
    this.isShut = false;
    if (this.queue.length === 0) return;
    const waitingNow = this.queue.splice(0);
    this.series?.queued(0);
    for (const waiting of waitingNow) if (!waiting.isDone) this.place(waiting);
  }

  private fail(waiting: Waiting, kind: Parameters<DialCallbacks['onFail']>[0], message: string): void {
    if (waiting.isDone) return;
    waiting.isDone = true;
    waiting.callbacks.onFail(kind, message);
  }

  private update(update: EndpointUpdate): void {
    this.series?.updated(update);
    if (update.isReset) {
      const kept = new Set(update.add.map((address) => `${address.ip}|${address.port}`));
      for (const [name, endpoint] of this.endpoints) if (!kept.has(name)) this.remove(name, endpoint);
    }
    for (const address of update.add) {
      const name = `${address.ip}|${address.port}`;
      const existing = this.endpoints.get(name);
      if (existing !== undefined) {
        if (sameEndpoint(existing.transport.address, address)) continue;
        this.remove(name, existing);
      }
      const { target } = this.backend;
      const load = new PeakEwma(
        target.kind === 'balance' ? target.defaultRttMs : FORWARD_RTT_MS,
        target.kind === 'balance' ? target.decayMs : FORWARD_DECAY_MS,
        this.deps.clock.now(),
      );
      const endpoint = new TcpEndpoint(
        this.deps.createTransport(address, target.kind === 'balance' ? target.path : undefined),
        load,
        createBackoffState(this.deps.backoff, this.deps.clock.random),
      );
      this.endpoints.set(name, endpoint);
      this.countEndpoint('created');
      this.balancer.add(endpoint);
    }
    for (const gone of update.remove) {
      const name = `${gone.ip}|${gone.port}`;
      const endpoint = this.endpoints.get(name);
      if (endpoint !== undefined) this.remove(name, endpoint);
    }
    // When the whole update is in force: connections that wait for these go to endpoints that stay.
    for (const endpoint of this.leaving.splice(0)) this.abandon(endpoint);
    this.updateSeries();
    this.open();
  }

  private remove(name: string, endpoint: TcpEndpoint): void {
    this.endpoints.delete(name);
    this.balancer.remove(endpoint);
    this.dropEndpoint(endpoint);
    this.leaving.push(endpoint);
  }

  private dropEndpoint(endpoint: TcpEndpoint): void {
    this.countEndpoint('dropped');
    endpoint.isRemoved = true;
    endpoint.isReady = false;
    endpoint.cancelRetry?.();
  }

  private abandon(endpoint: TcpEndpoint): void {
    // A connect that is still under way is not waited for: the address may by now be somebody else's.
    const abandoned = [...endpoint.connects];
    endpoint.connects.clear();
    for (const [connecting, waiting] of abandoned) {
      connecting.cancel();
      endpoint.pending -= 1;
      if (!waiting.isDone) this.place(waiting);
    }
  }
}

function connectText(endpoint: TcpEndpoint, error: NetError): string {
  return `endpoint ${endpoint.transport.labels['target_addr'] ?? ''}: ${error.message}`;
}
