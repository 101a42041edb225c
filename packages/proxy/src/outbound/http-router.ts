// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP stack of one outbound target: route (matches, filters) ─► backend (weights) ─► balancer. Built once per policy snapshot and
 * protocol; a snapshot change builds a new one and moves over the backends that did not change, so their connections live on.
 */
import { pickWeighted } from '@weft/balance';
import { type Backend, type Filter, type HttpRouteTable, type GrpcRouteTable, type Meta, grpcTable, httpTable } from '@weft/routing';
import { type FieldList, fieldValue } from '@weft/bytes';
import type { Admission } from '../admission.ts';
import type { OutboundTarget } from '../discovery/types.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { ProxyError } from '../http/proxy-error.ts';
import type { RequestSink, ServerStream } from '../http/types.ts';
import { HTTP_2 } from '../http/types.ts';
import type { OutboundRouteSeries, RouteMetrics } from '../metrics/route-metrics.ts';
import type { Clock } from '../runtime.ts';
import { HttpBackend, type HttpBackendDeps } from './http-backend.ts';
import { OutboundExchange, type OutboundExchangeDeps } from './outbound-exchange.ts';
import { requestFilters } from './route-filters.ts';

interface BoundBackend {
  readonly backend: HttpBackend;
  readonly filters: readonly Filter[];
}

interface BoundRule {
  readonly meta: Meta;
  readonly filters: readonly Filter[];
  readonly series: OutboundRouteSeries;
  readonly backends: readonly BoundBackend[];
  /** Parallel to `backends`; undefined = first available. */
  readonly weights: readonly number[] | undefined;
  readonly exchangeRoute: { meta: Meta; series: OutboundRouteSeries; filters: readonly Filter[] };
}

export interface HttpRouterDeps {
  readonly backend: HttpBackendDeps;
  readonly exchange: OutboundExchangeDeps;
  readonly metrics: RouteMetrics;
  readonly clock: Clock;
  readonly admission: Admission;
}

/** What is known of a request whose head comes again. */
interface KnownRoute {
  readonly rule: BoundRule | undefined;
  readonly prefixLength: number;
  /** The head that goes on. */
  readonly head: ProxyRequestHead;
  readonly requiredId: string | undefined;
}

/** The application may say whom it wants to reach (proxy-contract §3.7); the field is for us alone. */
const REQUIRE_ID = 'l5d-require-id';
const DST_CANONICAL = 'l5d-dst-canonical';

export class HttpRouter {
  private readonly deps: HttpRouterDeps;
  private readonly isH2: boolean;
  private backends = new Map<string, HttpBackend>();
  private rules = new Map<object, BoundRule>();
  private table: HttpRouteTable | GrpcRouteTable | undefined = undefined;
  private invalid: string | undefined = undefined;
  /** Of the request that `match` looked at last. */
  private matchedPrefix = 0;
  private matchedHead: ProxyRequestHead | undefined = undefined;
  private requiredId: string | undefined = undefined;
  /** `l5d-dst-canonical` of requests that a profile routes. */
  private canonical: string | undefined = undefined;

  constructor(isH2: boolean, deps: HttpRouterDeps) {
    this.isH2 = isH2;
    this.deps = deps;
  }

  /** Takes on a snapshot. */
  update(target: OutboundTarget): void {
    const { policy } = target;
    this.canonical = target.canonical;
    const kept = new Map<string, HttpBackend>();
    const rules = new Map<object, BoundRule>();
    this.invalid = policy.protocol === 'invalid' ? 'invalid policy' : undefined;
    const isGrpc = policy.protocol === 'grpc';
    const routes = isGrpc ? policy.grpc : this.isH2 ? policy.http2 : policy.http1;
    for (const route of routes) {
      for (const rule of route.rules) {
        const { backends: distribution } = rule;
        const entries =
          distribution.kind === 'randomAvailable'
            ? distribution.backends.map((entry) => entry.backend)
            : distribution.kind === 'firstAvailable'
              ? distribution.backends
              : [];
        const series = this.deps.metrics.route(policy.meta, route.meta, isGrpc);
        const bound: BoundRule = {
          meta: route.meta,
          filters: rule.filters,
          series,
          backends: entries.map((backend) => ({ backend: this.take(backend, kept), filters: backend.filters })),
          weights: distribution.kind === 'randomAvailable' ? distribution.backends.map((entry) => entry.weight) : undefined,
          exchangeRoute: { meta: route.meta, series, filters: rule.filters },
        };
        rules.set(rule, bound);
      }
    }
    const compiled = isGrpc ? grpcTable(policy.grpc) : httpTable(this.isH2 ? policy.http2 : policy.http1);
    for (const [name, backend] of this.backends) if (!kept.has(name)) backend.close();
    this.backends = kept;
    this.rules = rules;
    if ('error' in compiled) {
      this.table = undefined;
      this.invalid = compiled.error.message;
    } else {
      this.table = compiled.table;
    }
  }

  /** Routes one request. The returned sink takes its body. */
  route(received: ProxyRequestHead, stream: ServerStream, end: boolean): RequestSink {
    const rule = this.match(received);
    const head = this.matchedHead as ProxyRequestHead;
    const { exchange: deps, clock, admission } = this.deps;
    if (rule === undefined) {
      const exchange = new OutboundExchange(head, stream, end, deps, undefined);
      exchange.watch = deps.observe?.refused(received, 'outbound', deps.logical);
      if (this.invalid !== undefined) exchange.rescue({ kind: 'unexpected', message: 'unexpected error' });
      else exchange.rescue({ kind: 'route-not-found', message: exchange.describe('no route', undefined) });
      return exchange;
    }
    const choice = this.choose(rule);
    let routed = head;
    let error: ProxyError | undefined;
    if (rule.filters.length > 0) {
      const filtered = requestFilters(rule.filters, routed, this.matchedPrefix, clock.random);
      if ('error' in filtered) error = filtered.error;
      else routed = filtered.head;
    }
    if (error === undefined && choice !== undefined && choice.filters.length > 0) {
      const filtered = requestFilters(choice.filters, routed, this.matchedPrefix, clock.random);
      if ('error' in filtered) error = filtered.error;
      else routed = filtered.head;
    }
    const exchange = new OutboundExchange(routed, stream, end, deps, rule.exchangeRoute, this.requiredId);
    if (deps.observe !== undefined && deps.observe.isOn) exchange.watch = deps.observe.outbound(received, stream.connection, deps.logical);
    if (error !== undefined) exchange.rescue(error);
    else if (choice === undefined) exchange.rescue({ kind: 'load-shed', message: exchange.describe('service unavailable', undefined) });
    else if (exchange.admit(admission)) exchange.send(choice.backend);
    return exchange;
  }

  close(): void {
    for (const backend of this.backends.values()) backend.close();
    this.backends.clear();
    this.rules.clear();
    this.table = undefined;
  }

  /** The rule of a request. What else was found out stands in the fields beside. */
  private match(received: ProxyRequestHead): BoundRule | undefined {
    if (received.routeKey === this.rules) {
      const known = received.cachedRoute as KnownRoute;
      this.matchedPrefix = known.prefixLength;
      this.matchedHead = known.head;
      this.requiredId = known.requiredId;
      return known.rule;
    }
    const required = fieldValue(received.fields, REQUIRE_ID);
    let head = required === undefined ? received : received.with({ fields: without(received.fields, REQUIRE_ID) });
    // A request that names no host is for the address that was dialled (vectors: HTTP/1.0 without Host).
    if (head.authority === undefined) head = head.with({ authority: this.deps.exchange.logical });
    if (this.canonical !== undefined) head = head.with({ fields: [...without(head.fields, DST_CANONICAL), DST_CANONICAL, this.canonical] });
    const found = this.table?.match(head.method, head.authority, head.path, head.fields as string[]);
    const rule = found === undefined ? undefined : this.rules.get(found.rule);
    this.matchedPrefix = found?.pathLength ?? 0;
    this.matchedHead = head;
    this.requiredId = required?.toLowerCase();
    // Only HTTP/1 heads are handed out again, so only there is the result worth keeping.
    if (received.version !== HTTP_2) {
      received.routeKey = this.rules;
      const known: KnownRoute = { rule, prefixLength: this.matchedPrefix, head, requiredId: this.requiredId };
      received.cachedRoute = known;
    }
    return rule;
  }

  private choose(rule: BoundRule): BoundBackend | undefined {
    const { backends, weights } = rule;
    if (backends.length === 1) return weights === undefined || (weights[0] as number) > 0 ? backends[0] : undefined;
    if (weights === undefined) return backends.find((entry) => entry.backend.isAvailable) ?? backends[0];
    const index = pickWeighted(weights, this.deps.clock.random, (at) => (backends[at] as BoundBackend).backend.isAvailable);
    return index < 0 ? undefined : backends[index];
  }

  /** The running backend for a description, or a new one. Backends with equal meaning are shared between rules. */
  private take(backend: Backend, kept: Map<string, HttpBackend>): HttpBackend {
    const name = JSON.stringify([backend.meta, backend.target]);
    let running = kept.get(name) ?? this.backends.get(name);
    running ??= new HttpBackend(backend, this.isH2, this.deps.backend);
    kept.set(name, running);
    return running;
  }
}

function without(fields: Readonly<FieldList>, name: string): FieldList {
  const kept: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] !== name) kept.push(fields[i] as string, fields[i + 1] as string);
  return kept;
}
