// SPDX-License-Identifier: Apache-2.0
/*
 * Everything that one outbound original destination needs: its watched policy and profile, an HTTP router per protocol and the opaque
 * route. Shared by all connections to that destination, closed when none has used it for the idle time (proxy-contract §5.3).
 */
import { pickWeighted } from '@weft/balance';
import type { ByteStream, NetError } from '@weft/net';
import {
  type Backend,
  type Distribution,
  type Filter,
  type Meta,
  type OutboundPolicy,
  type Route,
  type SniRouteTable,
  sniTable,
} from '@weft/routing';
import type { OutboundTarget, Watched } from '../discovery/types.ts';
import type { ProxyError } from '../http/proxy-error.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { RequestSink, ServerStream } from '../http/types.ts';
import type { Clock } from '../runtime.ts';
import { startRelay } from '../tcp/relay.ts';
import { WaitingStream } from '../tcp/waiting-stream.ts';
import { HttpRouter, type HttpRouterDeps } from './http-router.ts';
import { OutboundExchange } from './outbound-exchange.ts';
import { TcpBackend, type TcpBackendDeps } from './tcp-backend.ts';

export interface OutboundStackDeps {
  readonly clock: Clock;
  readonly router: HttpRouterDeps;
  readonly tcp: TcpBackendDeps;
  countTcpError(label: string): void;
  countRoute(event: 'open' | 'close', target: OutboundTarget, route: Meta | undefined, error: string, sni?: string): void;
}

/** How a connection to this target is to be read. */
export type TargetProtocol = 'detect' | 'http1' | 'http2' | 'opaque' | 'tls';

export class OutboundStack {
  readonly target: Watched<OutboundTarget>;
  /** Connections that use the stack now. */
  users = 0;
  /** The operator has been told that the server speaks first. */
  isServerFirstTold = false;
  /** Of the timer that runs while nobody does. */
  cancelIdle: (() => void) | undefined = undefined;
  private readonly deps: OutboundStackDeps;
  private readonly unwatch: () => void;
  private http1: HttpRouter | undefined = undefined;
  private http2: HttpRouter | undefined = undefined;
  private tcpBackends = new Map<string, TcpBackend>();
  private waiters: { onReady: () => void; onFail: (message: string) => void }[] = [];
  private failure: string | undefined = undefined;
  private compiledSni: { readonly policy: OutboundPolicy; readonly table: SniRouteTable<Route<never>> } | undefined = undefined;

  constructor(target: Watched<OutboundTarget>, deps: OutboundStackDeps) {
    this.target = target;
    this.deps = deps;
    this.unwatch = target.watch(
      (value) => this.changed(value),
      (message) => {
        this.failure = message;
        for (const waiter of this.waiters.splice(0)) waiter.onFail(message);
      },
    );
  }

  /** Whether discovery has refused the target for good. */
  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  whenReady(onReady: () => void, onFail: (message: string) => void): void {
    if (this.failure !== undefined) onFail(this.failure);
    else if (this.target.current !== undefined) onReady();
    else this.waiters.push({ onReady, onFail });
  }

  /** Whether the target is known. */
  get isReady(): boolean {
    return this.target.current !== undefined;
  }

  /** Answers a request that has no way through this stack. */
  refuse(head: ProxyRequestHead, server: ServerStream, end: boolean, error: ProxyError): RequestSink {
    const exchange = new OutboundExchange(head, server, end, this.deps.router.exchange, undefined);
    exchange.rescue({ ...error, message: exchange.describe(error.message, undefined) });
    return exchange;
  }

  /** Only after `whenReady`. */
  get protocol(): TargetProtocol {
    const { policy, profile } = this.target.current as OutboundTarget;
    if (profile?.isOpaque === true) return 'opaque';
    switch (policy.protocol) {
      case 'grpc':
        return 'http2';
      case 'invalid':
        return 'detect';
      case 'detect':
      case 'http1':
      case 'http2':
      case 'opaque':
      case 'tls':
        return policy.protocol;
      default:
        return policy.protocol satisfies never;
    }
  }

  router(isH2: boolean): HttpRouter {
    const existing = isH2 ? this.http2 : this.http1;
    if (existing !== undefined) return existing;
    const router = new HttpRouter(isH2, this.deps.router);
    router.update(this.target.current as OutboundTarget);
    if (isH2) this.http2 = router;
    else this.http1 = router;
    return router;
  }

  /** Forwards a connection's bytes along the opaque route (or the TLS route that the SNI matches). */
  forwardTcp(stream: ByteStream, sni: string | undefined, onClosed: () => void, onServerFirst?: () => void): void {
    const target = this.target.current as OutboundTarget;
    const { policy } = target;
    const refuse = (route: Meta | undefined, routeError: string, label: string | undefined): void => {
      this.deps.countRoute('close', target, route, routeError, sni);
      if (label !== undefined) this.deps.countTcpError(label);
      stream.destroy({ reset: true });
      onClosed();
    };
    const found = sni === undefined ? (policy.opaque[0] ?? opaqueOfHttp(policy)) : this.sniRoutes(policy).match(sni)?.route;
    const rule = found?.rules[0];
    if (policy.protocol === 'invalid' || found === undefined || rule === undefined) {
      refuse(undefined, 'invalid_policy', 'unexpected');
      return;
    }
    const filter = rule.filters.find((entry: Filter) => entry.kind === 'forbidden' || entry.kind === 'invalid');
    if (filter !== undefined) {
      refuse(found.meta, filter.kind === 'forbidden' ? 'forbidden' : 'invalid_backend', undefined);
      return;
    }
    const backend = this.chooseTcp(rule.backends);
    if (backend === undefined) {
      refuse(found.meta, 'invalid_backend', 'unexpected');
      return;
    }
    this.deps.countRoute('open', target, found.meta, '', sni);
    let isOver = false;
    const over = (routeError: string): void => {
      if (isOver) return;
      isOver = true;
      this.deps.countRoute('close', target, found.meta, routeError, sni);
      onClosed();
    };
    const waiting = new WaitingStream(stream, () => {
      cancel();
      over('');
    });
    const cancel = backend.dial({
      onReady: (upstream, lease) => {
        waiting.release();
        const onEnd = (error: NetError | undefined): void => {
          lease.release();
          over(error === undefined ? '' : 'unexpected');
        };
        startRelay(stream, upstream, onEnd, onServerFirst);
      },
      onFail: (kind) => {
        if (waiting.isClosed) return;
        this.deps.countTcpError(kind === 'failfast' ? 'failfast' : kind === 'load-shed' ? 'loadshed' : 'i/o');
        stream.destroy({ reset: true });
        over('unexpected');
      },
    });
  }

  close(): void {
    this.unwatch();
    this.http1?.close();
    this.http2?.close();
    for (const backend of this.tcpBackends.values()) backend.close();
    this.tcpBackends.clear();
  }

  /** The compiled SNI table of the policy in force. */
  private sniRoutes(policy: OutboundPolicy): SniRouteTable<Route<never>> {
    if (this.compiledSni?.policy !== policy) this.compiledSni = { policy, table: sniTable(policy.opaque) };
    return this.compiledSni.table;
  }

  private changed(value: OutboundTarget): void {
    this.http1?.update(value);
    this.http2?.update(value);
    const wanted = new Set<string>();
    const routes = value.policy.opaque.length > 0 ? value.policy.opaque : [opaqueOfHttp(value.policy)];
    for (const route of routes) {
      if (route === undefined) continue;
      for (const rule of route.rules) for (const backend of backendsOf(rule.backends)) wanted.add(backendKey(backend));
    }
    for (const [name, backend] of this.tcpBackends) {
      if (!wanted.has(name)) {
        backend.close();
        this.tcpBackends.delete(name);
      }
    }
    for (const waiter of this.waiters.splice(0)) waiter.onReady();
  }

  private chooseTcp(distribution: Distribution): TcpBackend | undefined {
    const entries = backendsOf(distribution);
    if (entries.length === 0) return undefined;
    const running = entries.map((backend) => this.tcpBackend(backend));
    if (distribution.kind !== 'randomAvailable') return running.find((backend) => backend.isAvailable) ?? running[0];
    const index = pickWeighted(
      distribution.backends.map((entry) => entry.weight),
      this.deps.clock.random,
      (at) => (running[at] as TcpBackend).isAvailable,
    );
    return index < 0 ? undefined : running[index];
  }

  private tcpBackend(backend: Backend): TcpBackend {
    const name = backendKey(backend);
    let running = this.tcpBackends.get(name);
    if (running === undefined) {
      running = new TcpBackend(backend, this.deps.tcp);
      this.tcpBackends.set(name, running);
    }
    return running;
  }
}

function backendsOf(distribution: Distribution): readonly Backend[] {
  switch (distribution.kind) {
    case 'empty':
      return [];
    case 'firstAvailable':
      return distribution.backends;
    case 'randomAvailable':
      return distribution.backends.map((entry) => entry.backend);
    default:
      return distribution satisfies never;
  }
}

/**
 * The opaque route of a policy that has none, because the protocol of its port is a known kind of HTTP, while the profile says that it is opaque
 * (§5.3: the profile wins): the way that its requests would go without further conditions.
 */
function opaqueOfHttp(policy: OutboundPolicy): Route<never> | undefined {
  const [route] = policy.http1.length > 0 ? policy.http1 : policy.http2.length > 0 ? policy.http2 : policy.grpc;
  const rule = route?.rules.at(-1);
  return route === undefined || rule === undefined
    ? undefined
    : { meta: route.meta, hosts: [], rules: [{ matches: [], filters: [], backends: rule.backends, requestTimeoutMs: undefined }] };
}

function backendKey(backend: Backend): string {
  return JSON.stringify([backend.meta, backend.target]);
}
