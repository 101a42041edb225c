// SPDX-License-Identifier: Apache-2.0
/*
 * Accepted outbound connections (proxy-contract §2.4): the original destination chooses the stack, discovery or detection the protocol,
 * and the connection is served until it ends or the proxy drains.
 *
 *   accepted ──► discovering ──► detecting ──► serving (h1 | h2 | opaque) ──► closed
 */
import type { ByteStream, SocketAddress } from '@weft/net';
import type { ProxyConfig } from '../config/types.ts';
import type { Discovery, OutboundTarget, Watched } from '../discovery/types.ts';
import type { DrainSet } from '../drain.ts';
import { type DetectedProtocol, detectProtocol } from '../http/detect-protocol.ts';
import { H1ServerConnection } from '../http/h1-server.ts';
import { H2ServerConnection, type H2ServerOptions } from '../http/h2-server.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { HttpHandler } from '../http/types.ts';
import type { OutboundMetrics } from '../metrics/outbound-metrics.ts';
import { type ServerFirstLog, warnOfServerFirst } from '../metrics/server-first.ts';
import type { Clock } from '../runtime.ts';
import { peekTls } from '../tcp/peek-tls.ts';
import { WaitingStream } from '../tcp/waiting-stream.ts';
import { IngressHandler, type IngressHandlerDeps, type StackLease } from './ingress-handler.ts';
import { OutboundStack, type OutboundStackDeps } from './outbound-stack.ts';

export interface OutboundServerDeps {
  readonly config: ProxyConfig;
  readonly discovery: Discovery;
  readonly clock: Clock;
  readonly drain: DrainSet;
  readonly metrics: OutboundMetrics;
  readonly log?: ServerFirstLog;
  /** Settings of a connection that is accepted now. */
  serverH2(): H2ServerOptions;
  /** The stack's own needs, for one target; `logical` is what was dialled, or the name that was asked for in place of an address. */
  stackDeps(logical: SocketAddress, target: Watched<OutboundTarget>): OutboundStackDeps;
}

export class OutboundServer {
  private readonly deps: OutboundServerDeps;
  private readonly stacks = new Map<string, OutboundStack>();
  private readonly ingress: IngressHandlerDeps;

  constructor(deps: OutboundServerDeps) {
    this.deps = deps;
    this.ingress = {
      clock: deps.clock,
      lookupTimeoutMs: deps.config.outbound.httpFailfastTimeoutMs,
      acquire: (name, port) => this.acquireNamed(name, port, 'ingress'),
      onPeerErrors: (kind, count) => deps.metrics.peerErrors(kind, count),
    };
  }

  /** The stack of a target by name, for requests that name one (an ingress's, a gateway's). */
  acquireNamed(name: string, port: number, use: 'ingress' | 'gateway'): StackLease {
    const key = `${use}|${name}:${port}`;
    const stack = this.acquire(key, { ip: name, port }, () => this.deps.discovery.named(name, port, use));
    let isReleased = false;
    return {
      stack,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        this.release(key, stack);
      },
    };
  }

  /** Takes a connection over. */
  accept(stream: ByteStream, origDst: SocketAddress): void {
    if (isLoopback(origDst.ip) || this.isOwnListener(origDst)) {
      stream.setSink(IGNORE);
      stream.destroy({ reset: true });
      return;
    }
    this.deps.metrics.transport.track(stream, 'outbound', 'src', {
      target_addr: addressText(origDst),
      target_ip: origDst.ip,
      target_port: String(origDst.port),
      tls: 'no_identity',
      no_tls_reason: 'loopback',
    });
    const key = `${origDst.ip}|${origDst.port}`;
    const stack = this.acquire(key, origDst, () => this.deps.discovery.outbound(origDst));
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      this.release(key, stack);
    };
    if (this.deps.config.isIngressMode) {
      this.detectIngress(stream, stack, release);
      return;
    }
    this.serveWhenReady(stream, stack, release);
  }

  private serveWhenReady(stream: ByteStream, stack: OutboundStack, release: () => void): void {
    const waiting = new WaitingStream(stream, release);
    stack.whenReady(
      () => {
        if (waiting.isClosed) return;
        waiting.release();
        this.serve(stream, stack, release);
      },
      () => {
        if (!waiting.isClosed) stream.destroy({ reset: true });
        release();
      },
    );
  }

  /** A connection that was not redirected but dialled here, which would go round in a circle. */
  private isOwnListener({ ip, port }: SocketAddress): boolean {
    const { outboundListen, inboundIps } = this.deps.config;
    return inboundIps.has(ip) && outboundListen.some((listener) => listener.port === port);
  }

  close(): void {
    for (const stack of this.stacks.values()) {
      stack.cancelIdle?.();
      stack.close();
    }
    this.stacks.clear();
  }

  private serve(stream: ByteStream, stack: OutboundStack, release: () => void): void {
    const { protocol } = stack;
    switch (protocol) {
      case 'http1':
        this.count(stack, 'http/1');
        this.serveHttp1(stream, stack, release);
        break;
      case 'http2':
        this.count(stack, 'http/2');
        this.serveHttp2(stream, stack, release);
        break;
      case 'opaque':
        this.count(stack, 'opaq');
        this.serveOpaque(stream, stack, undefined, release);
        break;
      case 'tls':
        this.count(stack, 'tls');
        peekTls(
          stream,
          this.deps.config.outbound.detectTimeoutMs,
          this.deps.clock,
          (peek) => {
            if (peek.kind === 'sni') {
              this.serveOpaque(stream, stack, peek.sni, release);
              return;
            }
            stream.setSink(IGNORE);
            stream.destroy({ reset: true });
            release();
          },
          release,
        );
        break;
      case 'detect':
        this.count(stack, 'detect');
        this.detect(stream, stack, release);
        break;
      default:
        protocol satisfies never;
    }
  }

  private detect(stream: ByteStream, stack: OutboundStack, release: () => void): void {
    const startedMs = this.deps.clock.now();
    detectProtocol(
      stream,
      this.deps.config.outbound.detectTimeoutMs,
      this.deps.clock,
      (protocol) => {
        this.deps.metrics.detected(stack.target.current?.policy.meta, protocol, this.deps.clock.now() - startedMs);
        if (protocol === 'http/1') this.serveHttp1(stream, stack, release);
        else if (protocol === 'http/2') this.serveHttp2(stream, stack, release);
        else if (protocol === 'read_timeout') this.serveOpaque(stream, stack, undefined, release, () => this.serverFirst(stack));
        else this.serveOpaque(stream, stack, undefined, release);
      },
      release,
    );
  }

  /** In ingress mode requests may be for anybody, so that what they are is found out before anything is asked about the address (§2.4). */
  private detectIngress(stream: ByteStream, stack: OutboundStack, release: () => void): void {
    const { clock, config, drain, metrics } = this.deps;
    const startedMs = clock.now();
    const timeoutMs = config.outbound.detectTimeoutMs;
    const onDetected = (protocol: DetectedProtocol): void => {
      metrics.detected(stack.target.current?.policy.meta, protocol, clock.now() - startedMs);
      if (protocol !== 'http/1' && protocol !== 'http/2') {
        this.opaqueWhenReady(stream, stack, release);
        return;
      }
      this.count(stack, protocol);
      const handler = new IngressHandler(stack, this.ingress, () => {
        untrack();
        release();
      });
      const connection =
        protocol === 'http/1'
          ? new H1ServerConnection(stream, handler, clock)
          : new H2ServerConnection(stream, handler, this.deps.serverH2(), clock);
      const untrack = drain.add(connection);
      connection.start();
    };
    detectProtocol(stream, timeoutMs, clock, onDetected, release);
  }

  private opaqueWhenReady(stream: ByteStream, stack: OutboundStack, release: () => void): void {
    const waiting = new WaitingStream(stream, release);
    stack.whenReady(
      () => {
        if (waiting.isClosed) return;
        waiting.release();
        if (stack.protocol === 'tls') {
          this.serve(stream, stack, release);
          return;
        }
        this.count(stack, 'opaq');
        this.serveOpaque(stream, stack, undefined, release);
      },
      () => {
        if (!waiting.isClosed) stream.destroy({ reset: true });
        release();
      },
    );
  }

  private serveHttp1(stream: ByteStream, stack: OutboundStack, release: () => void): void {
    const router = stack.router(false);
    const handler: HttpHandler = {
      onRequest: (head, server, end) => router.route(head as ProxyRequestHead, server, end),
      onPeerErrors: (kind, count) => this.deps.metrics.peerErrors(kind, count),
      onConnectionClose: () => {
        untrack();
        release();
      },
    };
    const connection = new H1ServerConnection(stream, handler, this.deps.clock);
    const untrack = this.deps.drain.add(connection);
    connection.start();
  }

  private serveHttp2(stream: ByteStream, stack: OutboundStack, release: () => void): void {
    const h2 = stack.router(true);
    const handler: HttpHandler = {
      onRequest: (head, server, end) => {
        const request = head as ProxyRequestHead;
        // An application that speaks orig-proto itself is passed on as what it is: HTTP/2 on this side.
        return (request.isOrigProto ? stack.router(false) : h2).route(request, server, end);
      },
      onPeerErrors: (kind, count) => this.deps.metrics.peerErrors(kind, count),
      onConnectionClose: () => {
        untrack();
        release();
      },
    };
    const connection = new H2ServerConnection(stream, handler, this.deps.serverH2(), this.deps.clock);
    const untrack = this.deps.drain.add(connection);
    connection.start();
  }

  private serveOpaque(
    stream: ByteStream,
    stack: OutboundStack,
    sni: string | undefined,
    release: () => void,
    onServerFirst?: () => void,
  ): void {
    // Opaque connections are left alone by a drain, which waits for them (§9).
    const untrack = this.deps.drain.add(LEFT_ALONE);
    const onClosed = (): void => {
      untrack();
      release();
    };
    stack.forwardTcp(stream, sni, onClosed, onServerFirst);
  }

  /** The client has waited for the whole detection time, in vain. */
  private serverFirst(stack: OutboundStack): void {
    const { metrics, log, config } = this.deps;
    const target = stack.target.current;
    metrics.serverFirst(target?.policy.meta);
    if (stack.isServerFirstTold || log === undefined || target === undefined) return;
    stack.isServerFirstTold = true;
    warnOfServerFirst(log, addressText(target.origDst), config.outbound.detectTimeoutMs);
  }

  private count(stack: OutboundStack, protocol: 'http/1' | 'http/2' | 'opaq' | 'tls' | 'detect'): void {
    this.deps.metrics.protocolConnection(stack.target.current?.policy.meta, protocol);
  }

  private acquire(key: string, logical: SocketAddress, lookUp: () => Watched<OutboundTarget>): OutboundStack {
    let stack = this.stacks.get(key);
    if (stack === undefined || stack.hasFailed) {
      stack?.cancelIdle?.();
      stack?.close();
      const target = lookUp();
      stack = new OutboundStack(target, this.deps.stackDeps(logical, target));
      this.stacks.set(key, stack);
    }
    stack.cancelIdle?.();
    stack.cancelIdle = undefined;
    stack.users += 1;
    return stack;
  }

  private release(key: string, stack: OutboundStack): void {
    stack.users -= 1;
    if (stack.users > 0) return;
    stack.cancelIdle?.();
    stack.cancelIdle = this.deps.clock.after(this.deps.config.outbound.discoveryIdleTimeoutMs, () => {
      stack.close();
      if (this.stacks.get(key) === stack) this.stacks.delete(key);
    });
  }
}

const LEFT_ALONE = { drain(): void {} };
const IGNORE = { onRead(): void {}, onReadEnd(): void {}, onDrain(): void {}, onClose(): void {} };

export function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1';
}

/** `ip:port`, IPv6 in brackets. */
export function addressText(address: SocketAddress): string {
  return address.ip.includes(':') ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}
