// SPDX-License-Identifier: Apache-2.0
/*
 * Accepted inbound connections (proxy-contract §2.3, §2.5, §3.5): which stack, TLS or not, which protocol, then the port's stack
 * serves them.
 *
 *   accepted ─ port is ours ─► direct: mTLS + ALPN ─► transport header ─► port stack
 *       └─ else ─► policy ─► opaque ─► forward
 *                      └─► peek ClientHello ─ our SNI ─► TLS ─► detect ─► serve
 *                                          ├─ other SNI ─► forward (pass-through)
 *                                          └─ none ─► detect ─► serve
 */
import { type TransportHeader, TransportHeaderDecoder } from '@weft/detect';
import { type ByteStream, type ByteStreamSink, type NetError, type SocketAddress, acceptTls } from '@weft/net';
import type { ProxyConfig } from '../config/types.ts';
import type { Discovery } from '../discovery/types.ts';
import { detectProtocol } from '../http/detect-protocol.ts';
import type { LocalIdentity } from '../identity/types.ts';
import type { InboundMetrics } from '../metrics/inbound-metrics.ts';
import { addressText } from '../outbound/outbound-server.ts';
import { TRANSPORT_ALPN } from '../outbound/endpoint-transport.ts';
import type { Clock } from '../runtime.ts';
import { peekTls } from '../tcp/peek-tls.ts';
import { TlsLog } from '../tcp/tls-log.ts';
import { WaitingStream } from '../tcp/waiting-stream.ts';
import { type ClientTls, type InboundClient, clientIdentity, clientTls, tlsLabels } from './client.ts';
import { type Gateway, NOWHERE } from './gateway.ts';
import { PortStack, type PortStackDeps } from './port-stack.ts';

export interface InboundServerDeps {
  readonly config: ProxyConfig;
  readonly discovery: Discovery;
  readonly identity: LocalIdentity;
  readonly clock: Clock;
  readonly metrics: InboundMetrics;
  readonly gateway: Gateway;
  readonly portStack: Omit<PortStackDeps, 'origDst'>;
  readonly log: {
    debug(message: string, fields?: Record<string, unknown>): void;
    info(message: string, fields?: Record<string, unknown>): void;
  };
}

/** What is known of a connection on its way through the stages. */
interface Arrival {
  readonly stream: ByteStream;
  /** Where it goes in this pod. */
  readonly target: SocketAddress;
  /** The address that was dialled, for error texts. */
  readonly dialled: SocketAddress;
}

export class InboundServer {
  private readonly deps: InboundServerDeps;
  private readonly stacks = new Map<string, PortStack>();
  private readonly tlsLog: TlsLog;

  constructor(deps: InboundServerDeps) {
    this.deps = deps;
    this.tlsLog = new TlsLog(deps.log, deps.clock.now);
  }

  accept(stream: ByteStream, origDst: SocketAddress): void {
    const { config } = this.deps;
    if (config.inboundIps.size > 0 && !config.inboundIps.has(origDst.ip)) {
      this.deps.log.info('inbound connections are not allowed on this IP address', {
        'target.ip': origDst.ip,
        'client.ip': stream.remote.ip,
      });
      this.drop(stream, origDst, 'unexpected');
      return;
    }
    if (origDst.port === config.inboundListen.port) {
      this.acceptDirect(stream, origDst);
      return;
    }
    const arrival: Arrival = { stream, target: origDst, dialled: origDst };
    this.withPolicy(arrival, (stack) => {
      if (stack.protocol === 'opaque') this.serveTcp(arrival, stack, { kind: 'none', reason: 'port_skipped' });
      else this.peek(arrival);
    });
  }

  close(): void {
    for (const stack of this.stacks.values()) stack.close();
    this.stacks.clear();
  }

  // ---- stages. Each may take its time, so each asks for the port's stack anew: a policy of before must not decide.

  private peek(arrival: Arrival): void {
    const { stream } = arrival;
    const { identity, clock, config } = this.deps;
    peekTls(
      stream,
      config.inbound.detectTimeoutMs,
      clock,
      (peek) => {
        switch (peek.kind) {
          case 'timeout':
            this.drop(stream, arrival.target, 'tls detection timeout');
            break;
          case 'not-tls':
            this.withPolicy(arrival, (stack) => this.afterTls(arrival, stack, { kind: 'none', reason: 'no_tls_from_remote' }));
            break;
          case 'sni':
            if (peek.sni.toLowerCase() === identity.serverName.toLowerCase()) this.terminate(arrival);
            else this.withPolicy(arrival, (stack) => this.serveTcp(arrival, stack, { kind: 'passthrough', sni: peek.sni }));
            break;
          default:
            peek satisfies never;
        }
      },
      () => {},
    );
  }

  private terminate(arrival: Arrival): void {
    const contexts = this.deps.identity.tls;
    if (contexts === undefined) {
      this.drop(arrival.stream, arrival.target, 'unexpected');
      return;
    }
    acceptTls(
      arrival.stream,
      contexts.server,
      { timeoutMs: this.deps.config.inbound.detectTimeoutMs },
      {
        onSecure: (secure, peer) => {
          const inside: Arrival = { ...arrival, stream: secure };
          this.withPolicy(inside, (stack) => this.afterTls(inside, stack, clientTls(peer)));
        },
        onError: (error) => this.tlsFailed(arrival.target, error),
      },
    );
  }

  private afterTls(arrival: Arrival, stack: PortStack, tls: ClientTls): void {
    const { stream } = arrival;
    const client: InboundClient = { ip: stream.remote.ip, port: stream.remote.port, tls };
    this.track(stream, arrival.target, client, stack);
    const dialled = addressText(arrival.dialled);
    const { policy } = stack;
    switch (policy.protocol) {
      case 'opaque':
      case 'tls':
        stack.forward(stream, client);
        return;
      case 'http2':
      case 'grpc':
        stack.serveHttp2(stream, client, dialled);
        return;
      case 'http1':
        if (tls.kind !== 'tls') {
          stack.serveHttp1(stream, client, dialled);
          return;
        }
        break;
      case 'detect':
        break;
      default:
        policy.protocol satisfies never;
    }
    const startedMs = this.deps.clock.now();
    const timeoutMs = policy.protocol === 'detect' ? policy.detectTimeoutMs : this.deps.config.inbound.detectTimeoutMs;
    detectProtocol(
      stream,
      timeoutMs,
      this.deps.clock,
      (protocol) => {
        this.deps.metrics.detected(policy.meta, arrival.target.port, protocol, this.deps.clock.now() - startedMs);
        this.withPolicy(arrival, (current) => {
          if (protocol === 'http/2') current.serveHttp2(stream, client, dialled);
          else if (protocol === 'http/1' || policy.protocol === 'http1') current.serveHttp1(stream, client, dialled);
          else current.forward(stream, client, undefined, protocol === 'read_timeout' ? timeoutMs : undefined);
        });
      },
      () => {},
    );
  }

  private serveTcp(arrival: Arrival, stack: PortStack, tls: ClientTls): void {
    const client: InboundClient = { ip: arrival.stream.remote.ip, port: arrival.stream.remote.port, tls };
    this.track(arrival.stream, arrival.target, client, stack);
    stack.forward(arrival.stream, client);
  }

  // ---- direct connections

  private acceptDirect(stream: ByteStream, origDst: SocketAddress): void {
    const { identity, clock, config } = this.deps;
    peekTls(
      stream,
      config.inbound.detectTimeoutMs,
      clock,
      (peek) => {
        const contexts = identity.tls;
        if (peek.kind !== 'sni' || peek.sni.toLowerCase() !== identity.serverName.toLowerCase() || contexts === undefined) {
          this.deps.log.info('direct connections must be mutually authenticated', { 'client.ip': stream.remote.ip });
          this.drop(stream, origDst, peek.kind === 'timeout' ? 'tls detection timeout' : 'unexpected');
          return;
        }
        acceptTls(
          stream,
          contexts.directServer,
          { timeoutMs: config.inbound.detectTimeoutMs },
          {
            onSecure: (secure, peer) => {
              if (peer.identities.length === 0) {
                this.deps.log.info('direct connections must be mutually authenticated', { 'client.ip': secure.remote.ip });
                this.drop(secure, origDst, 'unexpected');
              } else if (peer.alpn !== TRANSPORT_ALPN) {
                this.deps.log.info('direct connections require transport header negotiation', { 'client.ip': secure.remote.ip });
                this.drop(secure, origDst, 'unexpected');
              } else {
                this.readHeader(secure, origDst, clientTls(peer));
              }
            },
            onError: (error) => this.tlsFailed(origDst, error),
          },
        );
      },
      () => {},
    );
  }

  private readHeader(stream: ByteStream, origDst: SocketAddress, tls: ClientTls): void {
    const decoder = new TransportHeaderDecoder();
    let isDone = false;
    const fail = (reason: string): void => {
      if (isDone) return;
      isDone = true;
      cancel();
      this.deps.log.info('invalid transport header', { reason, 'client.ip': stream.remote.ip });
      this.drop(stream, origDst, 'unexpected');
    };
    const cancel = this.deps.clock.after(this.deps.config.inbound.detectTimeoutMs, () => fail('timed out'));
    const sink: ByteStreamSink = {
      onRead: (chunk, start, end) => {
        if (isDone) return;
        const result = decoder.push(chunk, start, end);
        if (result.kind === 'incomplete') return;
        if (result.kind === 'invalid') {
          fail(result.reason);
          return;
        }
        isDone = true;
        cancel();
        if (start + result.consumed < end) stream.unread(chunk, start + result.consumed, end);
        this.deliverDirect(stream, origDst, result.header, tls);
      },
      onReadEnd: () => fail('closed'),
      onDrain() {},
      onClose: (_error: NetError | undefined) => {
        if (isDone) return;
        isDone = true;
        cancel();
      },
    };
    stream.setSink(sink);
  }

  private deliverDirect(stream: ByteStream, origDst: SocketAddress, header: TransportHeader, tls: ClientTls): void {
    const client: InboundClient = { ip: stream.remote.ip, port: stream.remote.port, tls };
    this.deps.metrics.transportHeader(header, clientIdentity(client) ?? '');
    if (header.name !== undefined && header.name !== '') {
      this.passOn(stream, origDst, header, header.name, client);
      return;
    }
    if (header.port === this.deps.config.inboundListen.port) {
      this.drop(stream, origDst, 'unexpected');
      return;
    }
    const target: SocketAddress = { ip: origDst.ip, port: header.port };
    const arrival: Arrival = { stream, target, dialled: origDst };
    const dialled = addressText(origDst);
    this.withPolicy(arrival, (stack) => {
      this.track(stream, target, client, stack);
      switch (header.sessionProtocol) {
        case 'http1':
          stack.serveHttp1(stream, client, dialled);
          break;
        case 'http2':
          stack.serveHttp2(stream, client, dialled);
          break;
        case undefined:
          stack.forward(stream, client);
          break;
        default:
          header.sessionProtocol satisfies never;
      }
    });
  }

  /** The gateway's part of a direct connection: the policy is that of the port it listens on (§2.5). */
  private passOn(stream: ByteStream, origDst: SocketAddress, header: TransportHeader, name: string, client: InboundClient): void {
    const arrival: Arrival = { stream, target: origDst, dialled: origDst };
    const dialled = addressText(origDst);
    if (!this.deps.gateway.isEnabled) {
      this.drop(stream, origDst, 'gateway domain invalid');
      return;
    }
    this.deps.gateway.open(stream, client, name, header.port, (way) => {
      if (way === undefined) this.deps.log.info('gateway domain invalid', { name, 'client.ip': client.ip });
      const close = (): void => way?.close();
      this.withPolicy(
        arrival,
        (stack) => {
          this.track(stream, origDst, client, stack);
          switch (header.sessionProtocol) {
            case 'http1':
              stack.serveHttp1(stream, client, dialled, way ?? NOWHERE, close);
              break;
            case 'http2':
              stack.serveHttp2(stream, client, dialled, way ?? NOWHERE, close);
              break;
            case undefined:
              if (way === undefined || way.isLoop) {
                this.drop(stream, origDst, way === undefined ? 'gateway domain invalid' : 'gateway loop');
                close();
              } else {
                stack.forward(stream, client, way);
              }
              break;
            default:
              header.sessionProtocol satisfies never;
          }
        },
        close,
      );
    });
  }

  // ---- shared

  /** `onGone`: the client did not wait. */
  private withPolicy(arrival: Arrival, use: (stack: PortStack) => void, onGone: () => void = nothing): void {
    const { target, stream } = arrival;
    const key = `${target.ip}|${target.port}`;
    let stack = this.stacks.get(key);
    if (stack === undefined) {
      stack = new PortStack(this.deps.discovery.inbound(target.port), { ...this.deps.portStack, origDst: target }, () => {
        if (this.stacks.get(key) === stack) this.stacks.delete(key);
      });
      this.stacks.set(key, stack);
    }
    if (stack.isReady) {
      use(stack);
      return;
    }
    const ready = stack;
    const waiting = new WaitingStream(stream, onGone);
    stack.whenReady(() => {
      if (waiting.isClosed) return;
      waiting.release();
      use(ready);
    });
  }

  private track(stream: ByteStream, target: SocketAddress, client: InboundClient, stack: PortStack): void {
    this.deps.metrics.transport.track(stream, 'inbound', 'src', {
      target_addr: addressText(target),
      target_ip: target.ip,
      target_port: String(target.port),
      ...tlsLabels(client.tls),
      ...stack.serverLabels,
    });
  }

  private tlsFailed(target: SocketAddress, error: NetError): void {
    this.tlsLog.failed('inbound', target.port, error);
    this.deps.metrics.tcpError(target, 'i/o');
  }

  private drop(stream: ByteStream, target: SocketAddress, label: string | undefined): void {
    if (label !== undefined) this.deps.metrics.tcpError(target, label);
    stream.setSink(IGNORE);
    stream.destroy();
  }
}

function nothing(): void {}

const IGNORE: ByteStreamSink = { onRead(): void {}, onReadEnd(): void {}, onDrain(): void {}, onClose(): void {} };
