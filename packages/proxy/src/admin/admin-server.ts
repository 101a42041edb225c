// SPDX-License-Identifier: Apache-2.0
/*
 * The admin endpoints (proxy-contract §2.6) as an HttpHandler on the proxy's own codecs: plaintext or mesh TLS, HTTP/1 or HTTP/2, the
 * inbound policy of the admin port applied to everybody but loopback.
 */
import { Buffer } from 'node:buffer';
import { gzipSync } from 'node:zlib';
import { type FieldList, fieldValue } from '@weft/bytes';
import { type ByteStream, type SocketAddress, acceptTls } from '@weft/net';
import type { ProxyConfig } from '../config/types.ts';
import type { Discovery } from '../discovery/types.ts';
import { detectProtocol } from '../http/detect-protocol.ts';
import { H1ServerConnection } from '../http/h1-server.ts';
import { H2ServerConnection } from '../http/h2-server.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import { HTTP_1_1, type HttpHandler, type RequestSink, type ServerStream } from '../http/types.ts';
import type { LocalIdentity } from '../identity/types.ts';
import { type InboundClient, clientTls, tlsLabels } from '../inbound/client.ts';
import { CompiledInboundPolicy, authorizeRequest } from '../inbound/inbound-policy.ts';
import type { EndpointSeries } from '../metrics/endpoint-metrics.ts';
import type { InboundMetrics } from '../metrics/inbound-metrics.ts';
import { addressText, isLoopback } from '../outbound/outbound-server.ts';
import type { Clock } from '../runtime.ts';
import { MAX_PROFILE_HERTZ, MAX_PROFILE_SECONDS, type ProfileKind } from './profiler.ts';
import { peekTls } from '../tcp/peek-tls.ts';

const DETECT_TIMEOUT_MS = 1000;
/** A PUT body beyond this is refused. */
const MAX_BODY_BYTES = 16 * 1024;

export interface AdminDeps {
  readonly config: ProxyConfig;
  readonly identity: LocalIdentity;
  readonly discovery: Discovery;
  readonly clock: Clock;
  readonly metrics: InboundMetrics;
  readonly environment: Readonly<Record<string, string | undefined>>;
  isReady(): boolean;
  renderMetrics(): string;
  logFilter: { get(): string; /** Returns what is wrong with the text. */ set(text: string): string | undefined };
  shutdown(): void;
  /** Undefined = no profiles. */
  readonly profiler?: { take(kind: ProfileKind, seconds: number, hertz: number): Promise<Buffer | undefined> } | undefined;
}

interface Answer {
  readonly status: number;
  readonly body?: string | Buffer;
  readonly contentType?: string;
  readonly fields?: FieldList;
}

export class AdminServer {
  private readonly deps: AdminDeps;
  private policy: CompiledInboundPolicy | undefined = undefined;
  private serverLabels: Record<string, string> = {};
  private readonly connections = new Set<{ drain(): void }>();
  private isShutdownAsked = false;

  constructor(deps: AdminDeps) {
    this.deps = deps;
    deps.discovery.inbound(deps.config.adminListen.port).watch((policy) => {
      this.policy = new CompiledInboundPolicy(policy);
      const { group, kind, name } = policy.meta;
      this.serverLabels = { srv_group: group, srv_kind: kind, srv_name: name, srv_port: String(deps.config.adminListen.port) };
    });
  }

  accept(stream: ByteStream): void {
    const { clock, identity } = this.deps;
    const plain = (): void =>
      this.serve(stream, { ip: stream.remote.ip, port: stream.remote.port, tls: { kind: 'none', reason: 'no_tls_from_remote' } }, 'http/1');
    peekTls(
      stream,
      DETECT_TIMEOUT_MS,
      clock,
      (peek) => {
        const contexts = identity.tls;
        if (peek.kind !== 'sni' || peek.sni.toLowerCase() !== identity.serverName.toLowerCase() || contexts === undefined) {
          plain();
          return;
        }
        acceptTls(
          stream,
          contexts.server,
          { timeoutMs: DETECT_TIMEOUT_MS },
          {
            onSecure: (secure, peer) =>
              this.serve(secure, { ip: secure.remote.ip, port: secure.remote.port, tls: clientTls(peer) }, 'http/2'),
            onError: () => {},
          },
        );
      },
      () => {},
    );
  }

  close(): void {
    for (const connection of this.connections) connection.drain();
  }

  private serve(stream: ByteStream, client: InboundClient, fallback: 'http/1' | 'http/2'): void {
    const { clock, config, metrics } = this.deps;
    const { adminListen } = config;
    metrics.transport.track(stream, 'inbound', 'src', {
      target_addr: addressText(adminListen),
      target_ip: adminListen.ip,
      target_port: String(adminListen.port),
      ...tlsLabels(client.tls),
      ...this.serverLabels,
    });
    const startedMs = clock.now();
    detectProtocol(
      stream,
      DETECT_TIMEOUT_MS,
      clock,
      (detected) => {
        if (this.policy !== undefined) metrics.detected(this.policy.policy.meta, adminListen.port, detected, clock.now() - startedMs);
        const protocol = detected === 'read_timeout' ? fallback : detected;
        const handler: HttpHandler = {
          onRequest: (head, server) => this.request(head as ProxyRequestHead, server, client),
          onPeerErrors: () => {},
          onConnectionClose: () => this.connections.delete(connection),
        };
        const connection =
          protocol === 'http/2'
            ? new H2ServerConnection(stream, handler, { codec: {}, keepAlive: undefined }, this.deps.clock)
            : new H1ServerConnection(stream, handler, this.deps.clock);
        this.connections.add(connection);
        connection.start();
      },
      () => {},
    );
  }

  private request(head: ProxyRequestHead, server: ServerStream, client: InboundClient): RequestSink {
    let body = '';
    let bytes = 0;
    const call: AdminCall = { head, server, client, startedMs: 0, series: undefined, isAborted: false };
    const sink: RequestSink = {
      onRequestBody: (chunk, start, end) => {
        bytes += end - start;
        if (bytes <= MAX_BODY_BYTES) body += Buffer.from(chunk.subarray(start, end)).toString('latin1');
        server.consumed(end - start);
      },
      onRequestEnd: () => this.answer(call, bytes > MAX_BODY_BYTES ? undefined : body),
      onRequestAbort: () => {
        call.isAborted = true;
      },
      onResponseWritable: () => {},
    };
    if (head.bodyBytes === 0) this.answer(call, '');
    return sink;
  }

  private answer(call: AdminCall, body: string | undefined): void {
    const { head, client } = call;
    call.startedMs = this.deps.clock.now();
    const { refusal, series } = this.authorize(head, client);
    call.series = series;
    if (refusal === undefined && pathOf(head).startsWith(PPROF)) this.profile(call);
    else this.send(call, refusal ?? (body === undefined ? { status: 413 } : this.route(head, client, body)));
  }

  private send({ head, server, series, startedMs, isAborted }: AdminCall, answer: Answer): void {
    if (isAborted) return;
    series?.latency(answer.status, this.deps.clock.now() - startedMs);
    series?.finished({ status: answer.status, error: undefined, isAborted: false, failure: undefined }, undefined, undefined);
    const content = answer.body === undefined ? EMPTY : typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
    const fields: FieldList = [...(answer.fields ?? [])];
    if (answer.contentType !== undefined) fields.push('content-type', answer.contentType);
    if (answer.status !== 204) fields.push('content-length', String(content.length));
    const end = content.length === 0 || head.method === 'HEAD';
    server.sendResponse({ version: HTTP_1_1, status: answer.status, fields, bodyBytes: content.length }, end);
    if (end) return;
    server.sendBody(content, 0, content.length);
    server.sendEnd(undefined);
  }

  /** A refusal, or the series that the answer counts on; neither where the policy has no say. */
  private authorize(head: ProxyRequestHead, client: InboundClient): { readonly refusal?: Answer; readonly series?: EndpointSeries } {
    const isLocal = isLoopback(client.ip);
    if (this.isPolicyUnknown) {
      // The kubelet's probes must work before the control plane does, or this pod would never come up; the rest waits for the policy.
      const path = pathOf(head);
      return isLocal || path === '/live' || path === '/ready' ? {} : { refusal: { status: 403 } };
    }
    const { metrics } = this.deps;
    const target: SocketAddress = this.deps.config.adminListen;
    const policy = this.policy as CompiledInboundPolicy;
    const found = policy.match(head);
    if (found === undefined) {
      // Clients of the own pod come in whatever the policy is (§2.6).
      if (isLocal) return {};
      metrics.routeNotFound(target, this.serverLabels, client);
      return { refusal: { status: 404 } };
    }
    const authorization = authorizeRequest(found.binding, client);
    if (authorization === undefined) {
      if (isLocal) return {};
      metrics.deniedRequest(target, this.serverLabels, client, found.binding.meta);
      return { refusal: { status: 403 } };
    }
    const authority = metrics.hasAuthorityLabels ? head.authority : undefined;
    const series = metrics.allowedRequest(target, this.serverLabels, client, found.binding.meta, authorization.meta, authority);
    series.allow.value += 1;
    series.endpoint.requests.value += 1;
    return { series: series.endpoint };
  }

  /** No policy, or the closed door that stands in for one. */
  private get isPolicyUnknown(): boolean {
    const policy = this.policy?.policy;
    if (policy === undefined) return true;
    const { group, kind, name } = policy.meta;
    return group === '' && kind === 'default' && name === 'deny' && policy.authorizations.length === 0 && policy.httpRoutes.length === 0;
  }

  private route(head: ProxyRequestHead, client: InboundClient, body: string): Answer {
    const { deps } = this;
    const path = pathOf(head);
    const query = head.path.length > path.length ? head.path.slice(path.length + 1) : '';
    const isLocal = isLoopback(client.ip);
    switch (path) {
      case '/live':
        return text(200, 'live\n');
      case '/ready':
        return deps.isReady() ? text(200, 'ready\n') : text(503, 'not ready\n');
      case '/metrics': {
        const metrics = deps.renderMetrics();
        return (fieldValue(head.fields, 'accept-encoding') ?? '').includes('gzip')
          ? { status: 200, body: gzipSync(metrics), contentType: TEXT, fields: ['content-encoding', 'gzip'] }
          : text(200, metrics);
      }
      case '/proxy-log-level':
        if (!isLocal) return NOT_LOCAL;
        // A proxy that was started without logs has none to turn on (§2.6).
        if (deps.config.log.trim().toLowerCase() === 'off') return { status: 404 };
        if (head.method === 'GET') return text(200, deps.logFilter.get());
        if (head.method === 'PUT') {
          const problem = deps.logFilter.set(body.trim());
          return problem === undefined ? { status: 204 } : text(400, `${problem}\n`);
        }
        return { status: 405, fields: ['allow', 'GET, PUT'] };
      case '/env.json':
        if (head.method !== 'GET') return { status: 405, fields: ['allow', 'GET'] };
        return this.environment(query, fieldValue(head.fields, 'accept'));
      case '/shutdown':
        if (head.method !== 'POST') return { status: 405 };
        if (!isLocal) return NOT_LOCAL;
        if (!deps.config.isShutdownEndpointEnabled) return text(404, 'shutdown endpoint is not enabled\n');
        if (this.isShutdownAsked) return text(500, 'shutdown listener dropped\n');
        this.isShutdownAsked = true;
        deps.shutdown();
        return text(200, 'shutdown\n');
      default:
        return { status: 404 };
    }
  }

  /** `/debug/pprof/{profile,heap}.pb.gz?seconds=N&frequency=N`. */
  private profile(call: AdminCall): void {
    const { profiler } = this.deps;
    const path = pathOf(call.head);
    const kind = path === `${PPROF}profile.pb.gz` ? 'cpu' : path === `${PPROF}heap.pb.gz` ? 'heap' : undefined;
    if (profiler === undefined || kind === undefined) {
      this.send(call, { status: 404 });
      return;
    }
    if (!isLoopback(call.client.ip)) {
      this.send(call, NOT_LOCAL);
      return;
    }
    const query = new URLSearchParams(call.head.path.slice(path.length + 1));
    const seconds = bounded(query.get('seconds'), 30, MAX_PROFILE_SECONDS);
    const hertz = bounded(query.get('frequency'), 100, MAX_PROFILE_HERTZ);
    if (call.head.method !== 'GET') this.send(call, { status: 405, fields: ['allow', 'GET'] });
    else if (seconds === undefined || hertz === undefined) {
      this.send(call, text(400, `seconds must be from 1 to ${MAX_PROFILE_SECONDS}, frequency from 1 to ${MAX_PROFILE_HERTZ}\n`));
    } else {
      profiler.take(kind, seconds, hertz).then(
        (body) =>
          this.send(
            call,
            body === undefined
              ? text(503, 'another profile is being taken\n')
              : { status: 200, body, contentType: 'application/octet-stream' },
          ),
        (error: Error) => this.send(call, text(500, `${error.message}\n`)),
      );
    }
  }

  private environment(query: string, accept: string | undefined): Answer {
    if (accept !== undefined && !/application\/(json|\*)|\*\/\*/.test(accept)) return { status: 406, body: JSON_TYPE };
    if (query.includes('=')) {
      return json(400, { error: 'env.json query parameters may not contain key-value pairs', status: 400 });
    }
    const { environment } = this.deps;
    const names = query === '' ? Object.keys(environment) : query.split('&').filter((name) => name !== '');
    return json(200, Object.fromEntries(names.map((name) => [name, environment[name] ?? null])));
  }
}

/** A request under way. */
interface AdminCall {
  readonly head: ProxyRequestHead;
  readonly server: ServerStream;
  readonly client: InboundClient;
  startedMs: number;
  series: EndpointSeries | undefined;
  isAborted: boolean;
}

/** A whole number from 1 to `max`, `fallback` where there is none, undefined where it is no such number. */
function bounded(value: string | null, fallback: number, max: number): number | undefined {
  if (value === null) return fallback;
  return /^\d{1,6}$/.test(value) && Number(value) >= 1 && Number(value) <= max ? Number(value) : undefined;
}

const PPROF = '/debug/pprof/';
const JSON_TYPE = 'application/json';
const TEXT = 'text/plain';
const EMPTY = Buffer.alloc(0);
const NOT_LOCAL: Answer = { status: 403, body: 'Requests are only permitted from localhost.', contentType: TEXT };

function text(status: number, body: string): Answer {
  return { status, body, contentType: TEXT };
}

function json(status: number, value: unknown): Answer {
  return { status, body: JSON.stringify(value), contentType: JSON_TYPE };
}

function pathOf(head: ProxyRequestHead): string {
  const query = head.path.indexOf('?');
  return query < 0 ? head.path : head.path.slice(0, query);
}
