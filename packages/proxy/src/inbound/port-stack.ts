// SPDX-License-Identifier: Apache-2.0
/*
 * One inbound port of this pod: its compiled policy and the ways to the application (an HTTP/1 pool, an HTTP/2 connection, opaque bytes).
 * The application is always dialled at the original destination, never at loopback (proxy-contract §2.3).
 */
import { type ByteStream, type NetError, type SocketAddress } from '@weft/net';
import type { EndpointAddress, InboundPolicy, Meta } from '@weft/routing';
import type { Admission } from '../admission.ts';
import type { Watched } from '../discovery/types.ts';
import type { DrainSet } from '../drain.ts';
import { H1ServerConnection } from '../http/h1-server.ts';
import { H2ServerConnection, type H2ServerOptions } from '../http/h2-server.ts';
import type { AccessLog } from '../metrics/access-log.ts';
import type { InboundMetrics } from '../metrics/inbound-metrics.ts';
import { warnOfServerFirst } from '../metrics/server-first.ts';
import type { Observation } from '../observe/observation.ts';
import type { Transport } from '../outbound/endpoint-transport.ts';
import { HttpBackend, type HttpBackendDeps } from '../outbound/http-backend.ts';
import { addressText } from '../outbound/outbound-server.ts';
import type { Clock } from '../runtime.ts';
import { type Relay, startRelay } from '../tcp/relay.ts';
import { WaitingStream } from '../tcp/waiting-stream.ts';
import type { InboundClient } from './client.ts';
import type { InboundExchange, InboundExchangeDeps } from './inbound-exchange.ts';
import type { GatewayWay } from './gateway.ts';
import { InboundHandler, type InboundPort, type RequestDelivery } from './inbound-handler.ts';
import { CompiledInboundPolicy, authorizeRequest } from './inbound-policy.ts';
import { type PolicyLog, isAudit } from './policy-log.ts';

export interface PortStackDeps {
  readonly origDst: SocketAddress;
  readonly clock: Clock;
  readonly drain: DrainSet;
  readonly metrics: InboundMetrics;
  /** How the application is dialled. */
  createTransport(address: EndpointAddress): Transport;
  readonly backend: Omit<HttpBackendDeps, 'createTransport' | 'balancerSeries'>;
  /** Settings of a connection that is accepted now. */
  serverH2(): H2ServerOptions;
  readonly admission: Admission;
  readonly accessLog: AccessLog | undefined;
  readonly idleTimeoutMs: number;
  readonly policyLog: PolicyLog;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
  readonly observe?: Observation | undefined;
}

/** An open opaque connection, re-authorized when the policy changes. */
interface OpaqueConnection {
  readonly client: InboundClient;
  destroy(): void;
}

export class PortStack implements InboundPort {
  private readonly deps: PortStackDeps;
  private readonly unwatch: () => void;
  private readonly onIdle: () => void;
  private current: CompiledInboundPolicy | undefined = undefined;
  private waiters: (() => void)[] = [];
  private http1: HttpBackend | undefined = undefined;
  private http2: HttpBackend | undefined = undefined;
  private readonly opaque = new Set<OpaqueConnection>();
  private readonly tunnels = new Set<InboundExchange>();
  private users = 0;
  private toldProblems = '';
  private isServerFirstTold = false;
  private cancelIdle: (() => void) | undefined = undefined;
  /** `srv_*` labels of the policy in force. */
  serverLabels: Readonly<Record<string, string>> = {};

  constructor(policy: Watched<InboundPolicy>, deps: PortStackDeps, onIdle: () => void) {
    this.deps = deps;
    this.onIdle = onIdle;
    this.unwatch = policy.watch((value) => this.changed(value));
    // A connection that never gets to be served must not keep the stack: ports are for anybody to try.
    this.armIdle();
  }

  get isReady(): boolean {
    return this.current !== undefined;
  }

  /** Only when ready. */
  get compiled(): CompiledInboundPolicy {
    return this.current as CompiledInboundPolicy;
  }

  get policy(): InboundPolicy {
    return this.compiled.policy;
  }

  get origDst(): SocketAddress {
    return this.deps.origDst;
  }

  get protocol(): InboundPolicy['protocol'] {
    return this.policy.protocol;
  }

  whenReady(use: () => void): void {
    if (this.current !== undefined) use();
    else this.waiters.push(use);
  }

  /** `delivery` = where requests go instead of the application. */
  serveHttp1(stream: ByteStream, client: InboundClient, dialled: string, delivery?: RequestDelivery, onClosed?: () => void): void {
    const handler = this.handler(client, dialled, delivery, () => {
      untrack();
      onClosed?.();
    });
    const connection = new H1ServerConnection(stream, handler, this.deps.clock);
    const untrack = this.deps.drain.add(connection);
    connection.start();
  }

  serveHttp2(stream: ByteStream, client: InboundClient, dialled: string, delivery?: RequestDelivery, onClosed?: () => void): void {
    const handler = this.handler(client, dialled, delivery, () => {
      untrack();
      onClosed?.();
    });
    const connection = new H2ServerConnection(stream, handler, this.deps.serverH2(), this.deps.clock);
    const untrack = this.deps.drain.add(connection);
    connection.start();
  }

  /**
   * Forwards bytes to the application, or along `way`, after the connection has been authorized. `waitedMs` = detection has waited so long for the
   * client to say something.
   */
  forward(stream: ByteStream, client: InboundClient, way?: GatewayWay, waitedMs?: number): void {
    const { deps } = this;
    const authorization = this.compiled.authorizeConnection(client);
    deps.metrics.tcpAuthorized(deps.origDst, this.serverLabels, client, authorization?.meta);
    if (authorization !== undefined && isAudit(authorization.meta)) {
      deps.policyLog.connectionAudited(this.policy.meta, authorization.meta, client);
    }
    if (authorization === undefined) {
      deps.policyLog.connectionDenied(this.policy.meta, client);
      stream.setSink(IGNORE);
      stream.destroy({ reset: true });
      way?.close();
      return;
    }
    this.enter();
    const untrack = deps.drain.add({ drain(): void {} });
    let relay: Relay | undefined;
    let isOver = false;
    const over = (): void => {
      if (isOver) return;
      isOver = true;
      this.opaque.delete(entry);
      untrack();
      this.leave();
    };
    const entry: OpaqueConnection = {
      client,
      destroy: () => {
        if (relay === undefined) stream.destroy({ reset: true });
        else relay.destroy();
      },
    };
    this.opaque.add(entry);
    if (way !== undefined) {
      way.forward(stream, () => {
        over();
        way.close();
      });
      return;
    }
    const waiting = new WaitingStream(stream, () => {
      pending.cancel();
      over();
    });
    const pending = this.appTransport().connect(undefined, {
      onReady: (upstream) => {
        if (waiting.isClosed) {
          upstream.destroy();
          return;
        }
        waiting.release();
        const onServerFirst = waitedMs === undefined ? undefined : (): void => this.serverFirst(waitedMs);
        relay = startRelay(stream, upstream, (_error: NetError | undefined) => over(), onServerFirst);
      },
      onError: () => {
        if (waiting.isClosed) return;
        deps.metrics.tcpError(deps.origDst, 'i/o');
        stream.destroy({ reset: true });
        over();
      },
    });
  }

  close(): void {
    this.unwatch();
    this.cancelIdle?.();
    this.http1?.close();
    this.http2?.close();
  }

  private changed(policy: InboundPolicy): void {
    const compiled = new CompiledInboundPolicy(policy, this.current);
    this.current = compiled;
    const problems = compiled.problems.join('; ');
    if (problems !== this.toldProblems) {
      this.toldProblems = problems;
      // Once for as long as they stay the same, since every update of the policy brings them again.
      if (problems !== '')
        this.deps.log.warn('inbound policy is partly unusable; what cannot be understood allows nobody', {
          port: this.deps.origDst.port,
          problems,
        });
    }
    this.serverLabels = {
      srv_group: policy.meta.group,
      srv_kind: policy.meta.kind,
      srv_name: policy.meta.name,
      srv_port: String(this.deps.origDst.port),
    };
    for (const connection of [...this.opaque]) {
      if (compiled.authorizeConnection(connection.client) !== undefined) continue;
      this.terminated(connection.client);
      connection.destroy();
    }
    for (const tunnel of [...this.tunnels]) {
      const binding = tunnel.received === undefined ? undefined : compiled.match(tunnel.received)?.binding;
      if (binding !== undefined && authorizeRequest(binding, tunnel.inboundClient) !== undefined) continue;
      this.terminated(tunnel.inboundClient);
      tunnel.terminate();
    }
    for (const use of this.waiters.splice(0)) use();
  }

  private serverFirst(waitedMs: number): void {
    this.deps.metrics.serverFirst(this.serverLabels);
    if (this.isServerFirstTold) return;
    this.isServerFirstTold = true;
    warnOfServerFirst(this.deps.log, addressText(this.deps.origDst), waitedMs);
  }

  private terminated(client: InboundClient): void {
    this.deps.metrics.tcpTerminated(this.deps.origDst, this.serverLabels, client);
    this.deps.policyLog.connectionTerminated(this.policy.meta, client);
  }

  private handler(client: InboundClient, dialled: string, delivery: RequestDelivery | undefined, untrack: () => void): InboundHandler {
    this.enter();
    const { deps } = this;
    const exchangeDeps: InboundExchangeDeps = {
      clock: deps.clock,
      server: dialled,
      target: addressText(deps.origDst),
      accessLog: deps.accessLog,
      countError: (error) => deps.metrics.httpError(error, dialled, this.serverLabels),
      tunnels: this.tunnels,
    };
    return new InboundHandler(this, deps, client, exchangeDeps, delivery, () => {
      untrack();
      this.leave();
    });
  }

  /** The way to the application. */
  app(isH2: boolean): HttpBackend {
    return isH2 ? (this.http2 ??= this.appBackend(true)) : (this.http1 ??= this.appBackend(false));
  }

  private appBackend(isH2: boolean): HttpBackend {
    const meta: Meta = { kind: 'default', name: 'inbound' };
    return new HttpBackend({ meta, filters: [], target: { kind: 'forward', endpoint: this.appAddress() } }, isH2, {
      ...this.deps.backend,
      createTransport: (address) => this.deps.createTransport(address),
      balancerSeries: () => undefined,
    });
  }

  private appTransport(): Transport {
    return this.deps.createTransport(this.appAddress());
  }

  private appAddress(): EndpointAddress {
    return {
      ip: this.deps.origDst.ip,
      port: this.deps.origDst.port,
      labels: {},
      tls: undefined,
      protocolHint: 'none',
      opaqueTransportPort: undefined,
      authorityOverride: undefined,
      http2: { keepAliveIntervalMs: undefined, keepAliveTimeoutMs: undefined, keepAliveWhileIdle: false },
    };
  }

  private enter(): void {
    this.users += 1;
    this.cancelIdle?.();
    this.cancelIdle = undefined;
  }

  private leave(): void {
    this.users -= 1;
    if (this.users === 0) this.armIdle();
  }

  private armIdle(): void {
    this.cancelIdle?.();
    this.cancelIdle = this.deps.clock.after(this.deps.idleTimeoutMs, () => {
      this.onIdle();
      this.close();
    });
  }
}

const IGNORE = { onRead(): void {}, onReadEnd(): void {}, onDrain(): void {}, onClose(): void {} };
