// SPDX-License-Identifier: Apache-2.0
/*
 * Spans of requests (proxy-contract §8; features TRC-01 to TRC-03). A request that brings a trace context gets a SERVER span where it comes in and
 * a CLIENT span for each endpoint that it goes to; the context that goes on names the latter. Spans are made only of sampled requests.
 */
import { fieldValue } from '@weft/bytes';
import type { Outcome } from '../http/exchange.ts';
import { type ProxyRequestHead, origProtoValue } from '../http/request-head.ts';
import { addressText } from '../outbound/outbound-server.ts';
import type { EndpointFacts } from '../observe/facts.ts';
import { type TraceContext, readContext, withSpan } from './trace-context.ts';

export type SpanAttribute = readonly [name: string, value: string | number];

/** A span that has ended. */
export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly flags: number;
  readonly name: string;
  readonly kind: 'server' | 'client';
  /** Milliseconds since the epoch. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly attributes: readonly SpanAttribute[];
  readonly isError: boolean;
}

export interface SpanSink {
  /** Never blocks: what does not fit is dropped and counted. */
  add(span: EndedSpan): void;
}

export interface TracerDeps {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Milliseconds since the epoch. */
  readonly wallClock: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly sink: SpanSink;
}

/** Path, query and URL in a span are cut to this: requests may have targets of any length. */
export const MAX_ATTRIBUTE_LENGTH = 2048;

/** Request fields that a span shows. */
const SHOWN_FIELDS = ['content-length', 'content-type'];

export class Tracer {
  private readonly deps: TracerDeps;

  constructor(deps: TracerDeps) {
    this.deps = deps;
  }

  /** The spans of a request; undefined where it brings no context. `destination` is the `ip:port` that it went to. */
  begin(head: ProxyRequestHead, direction: 'inbound' | 'outbound', destination: string): TracedRequest | undefined {
    const context = readContext(head.fields);
    return context === undefined ? undefined : new TracedRequest(this.deps, context, head, direction, destination);
  }
}

interface RunningSpan {
  readonly spanId: string;
  readonly startMs: number;
  readonly startedMs: number;
}

export class TracedRequest {
  private readonly deps: TracerDeps;
  private readonly context: TraceContext;
  private readonly head: ProxyRequestHead;
  private readonly direction: 'inbound' | 'outbound';
  private readonly destination: string;
  private readonly server: RunningSpan;
  private client: RunningSpan | undefined = undefined;
  private endpoint = '';
  private status: number | undefined = undefined;

  constructor(deps: TracerDeps, context: TraceContext, head: ProxyRequestHead, direction: 'inbound' | 'outbound', destination: string) {
    this.deps = deps;
    this.context = context;
    this.head = head;
    this.direction = direction;
    this.destination = destination;
    this.server = this.start();
  }

  /** The request goes to an endpoint: its head with the new span in it. */
  bound(head: ProxyRequestHead, endpoint: EndpointFacts): ProxyRequestHead {
    this.endClient(true);
    this.client = this.start();
    this.endpoint = addressText(endpoint.address);
    return head.with({ fields: withSpan(head.fields, this.context, this.client.spanId) });
  }

  response(status: number): void {
    this.status = status;
  }

  end({ status, failure, error }: Outcome): void {
    this.endClient(failure !== undefined || error !== undefined);
    this.emit(
      this.server,
      'server',
      this.context.parentId,
      this.destination,
      status === 0 ? undefined : status,
      status === 0 || status >= 500,
    );
  }

  private endClient(isFailed: boolean): void {
    const { client } = this;
    if (client === undefined) return;
    this.client = undefined;
    this.emit(client, 'client', this.server.spanId, this.endpoint, this.status, isFailed || (this.status ?? 0) >= 500);
    this.status = undefined;
  }

  private start(): RunningSpan {
    const { now, wallClock, random } = this.deps;
    return { spanId: newSpanId(random), startMs: wallClock(), startedMs: now() };
  }

  private emit(
    span: RunningSpan,
    kind: 'server' | 'client',
    parentId: string,
    address: string,
    status: number | undefined,
    isError: boolean,
  ): void {
    const { context, deps, head } = this;
    if (!context.isSampled) return;
    const attributes = requestAttributes(head, this.direction, address);
    if (status !== undefined) attributes.push(['http.response.status_code', status]);
    deps.sink.add({
      traceId: context.traceId,
      spanId: span.spanId,
      parentId,
      flags: context.flags,
      name: cut(splitPath(head.path).path),
      kind,
      startMs: span.startMs,
      durationMs: deps.now() - span.startedMs,
      attributes,
      isError,
    });
  }
}

function requestAttributes(head: ProxyRequestHead, direction: 'inbound' | 'outbound', address: string): SpanAttribute[] {
  const { path, query } = splitPath(head.path);
  const authority = withoutCredentials(head.authority ?? address);
  const { host, port } = splitHost(authority, head.scheme, address);
  const attributes: SpanAttribute[] = [
    ['direction', direction],
    ['http.request.method', head.method],
    ['url.scheme', head.scheme],
    ['url.path', cut(path)],
    ...(query === undefined ? [] : ([['url.query', cut(query)]] satisfies SpanAttribute[])),
    ['url.full', cut(`${head.scheme}://${authority}${head.path}`)],
    ['network.transport', 'tcp'],
    ['server.address', host],
    ['server.port', port],
  ];
  const agent = fieldValue(head.fields, 'user-agent');
  if (agent !== undefined) attributes.push(['user_agent.original', cut(agent)]);
  for (const name of SHOWN_FIELDS) {
    const value = fieldValue(head.fields, name);
    if (value !== undefined) attributes.push([`http.request.header.${name}`, cut(value)]);
  }
  if (head.isOrigProto) attributes.push(['http.request.header.l5d-orig-proto', origProtoValue(head)]);
  return attributes;
}

function splitPath(target: string): { readonly path: string; readonly query: string | undefined } {
  const mark = target.indexOf('?');
  return mark < 0 ? { path: target, query: undefined } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** `user:password@` is nobody's business. */
function withoutCredentials(authority: string): string {
  return authority.slice(authority.lastIndexOf('@') + 1);
}

function splitHost(authority: string, scheme: string, address: string): { readonly host: string; readonly port: number } {
  const [, host, portText] = /^(.*?)(?::(\d{1,5}))?$/.exec(authority) ?? [];
  const port = Number(portText ?? (host === undefined ? address.slice(address.lastIndexOf(':') + 1) : scheme === 'https' ? 443 : 80));
  return { host: cut(host ?? ''), port };
}

function cut(text: string): string {
  return text.length > MAX_ATTRIBUTE_LENGTH ? text.slice(0, MAX_ATTRIBUTE_LENGTH) : text;
}

/** 16 hex digits that are not all zero. */
function newSpanId(random: () => number): string {
  const high = Math.floor(random() * 2 ** 32);
  const low = Math.floor(random() * 2 ** 32);
  return high === 0 && low === 0 ? '0000000000000001' : high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}
