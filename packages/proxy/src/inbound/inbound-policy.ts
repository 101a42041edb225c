// SPDX-License-Identifier: Apache-2.0
/*
 * One inbound port's policy, compiled from a snapshot: the authorizations of connections, the route tables and the authorizations of each
 * route (proxy-contract §5.4, §5.5, §6.11).
 */
import { type AuthorizationSet, RateLimiter, type TlsClient, compileAuthorizations } from '@weft/authz';
import {
  type Authorization,
  type Filter,
  type GrpcRouteTable,
  type HttpRouteTable,
  type InboundPolicy,
  type Meta,
  grpcTable,
  httpTable,
} from '@weft/routing';
import { isGrpc } from '../http/proxy-error.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { InboundRouteSeries } from '../metrics/route-metrics.ts';
import type { InboundClient } from './client.ts';

/** A rule with what its requests need. */
export interface InboundRuleBinding {
  readonly meta: Meta;
  readonly filters: readonly Filter[];
  readonly authorizations: AuthorizationSet;
  /** Counters of the route, kept here so that a request need not look for them. */
  series: InboundRouteSeries | undefined;
}

export interface InboundMatch {
  readonly binding: InboundRuleBinding;
  readonly pathLength: number;
}

const DEFAULT_META: Meta = { kind: 'default', name: 'default' };

export class CompiledInboundPolicy {
  readonly policy: InboundPolicy;
  /** What in the policy could not be understood and therefore allows nobody or matches nothing; each once. */
  readonly problems: readonly string[];
  readonly rateLimiter: RateLimiter | undefined;
  private readonly connectionAuthorizations: AuthorizationSet;
  private readonly http: HttpRouteTable | undefined;
  private readonly grpc: GrpcRouteTable | undefined;
  private readonly bindings = new Map<object, InboundRuleBinding>();
  private readonly implicit: InboundRuleBinding;

  /** `previous`: the policy before this one, whose rate limits go on counting where they are the same. */
  constructor(policy: InboundPolicy, previous?: CompiledInboundPolicy) {
    this.policy = policy;
    const problems = new Set<string>();
    const compile = (authorizations: readonly Authorization[]): AuthorizationSet => {
      const compiled = compileAuthorizations(authorizations);
      for (const error of compiled.errors) problems.add(`network ${error.text} cannot be used (${error.code})`);
      return compiled;
    };
    const isSameLimit = previous !== undefined && JSON.stringify(previous.policy.rateLimit) === JSON.stringify(policy.rateLimit);
    this.rateLimiter = isSameLimit ? previous.rateLimiter : policy.rateLimit === undefined ? undefined : new RateLimiter(policy.rateLimit);
    this.connectionAuthorizations = compile(policy.authorizations);
    this.implicit = { meta: DEFAULT_META, filters: [], authorizations: this.connectionAuthorizations, series: undefined };
    for (const route of [...policy.httpRoutes, ...policy.grpcRoutes]) {
      const authorizations =
        route.authorizations.length === 0 ? this.connectionAuthorizations : compile([...route.authorizations, ...policy.authorizations]);
      for (const rule of route.rules)
        this.bindings.set(rule, { meta: route.meta, filters: rule.filters, authorizations, series: undefined });
    }
    const http = policy.httpRoutes.length === 0 ? undefined : httpTable(policy.httpRoutes);
    const grpc = policy.grpcRoutes.length === 0 ? undefined : grpcTable(policy.grpcRoutes);
    // A table that does not compile matches nothing: requests get 404, never a free pass.
    this.http = http === undefined ? undefined : 'table' in http ? http.table : EMPTY_HTTP;
    this.grpc = grpc === undefined ? undefined : 'table' in grpc ? grpc.table : EMPTY_GRPC;
    for (const result of [http, grpc])
      if (result !== undefined && 'error' in result) problems.add(`routes cannot be used: ${result.error.message}`);
    this.problems = [...problems];
  }

  /** The rule of a request, or undefined for 404. */
  match(head: ProxyRequestHead): InboundMatch | undefined {
    const table = this.grpc !== undefined && (this.http === undefined || isGrpc(head)) ? this.grpc : this.http;
    if (table === undefined) return { binding: this.implicit, pathLength: 0 };
    const found = table.match(head.method, head.authority, head.path, head.fields as string[]);
    if (found === undefined) return undefined;
    const binding = this.bindings.get(found.rule);
    return binding === undefined ? undefined : { binding, pathLength: found.pathLength };
  }

  /** Authorization of a whole connection; undefined = denied. */
  authorizeConnection(client: InboundClient): Authorization | undefined {
    return this.connectionAuthorizations.check(client.ip, asAuthzTls(client));
  }
}

/** Authorization of a request on its route; undefined = denied. */
export function authorizeRequest(binding: InboundRuleBinding, client: InboundClient): Authorization | undefined {
  return binding.authorizations.check(client.ip, asAuthzTls(client));
}

function asAuthzTls(client: InboundClient): TlsClient {
  return client.tls.kind === 'tls' ? { kind: 'tls', identity: client.tls.identity } : { kind: 'none' };
}

const EMPTY_HTTP: HttpRouteTable = emptyTable(httpTable([]));
const EMPTY_GRPC: GrpcRouteTable = emptyTable(grpcTable([]));

function emptyTable<T>(result: { table: T } | { error: unknown }): T {
  if ('error' in result) throw new Error('an empty route table does not compile');
  return result.table;
}
