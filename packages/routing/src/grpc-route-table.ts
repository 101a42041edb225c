// SPDX-License-Identifier: Apache-2.0
/*
 * Route tables for gRPC (proxy-contract §6.8): a call is a POST of `/Service/Method`. Of all matches that hold, the one with the best host, then
 * the longest service, then the longest method, then the most header matches; of equals the first listed. A rule without matches takes any request.
 */
import type { FieldList } from '@weft/bytes';
import type { RouteError } from './errors.ts';
import { type FieldMatcher, compileHeaderMatches } from './field-matcher.ts';
import { HOST_MISMATCH, HostMatcher, hostOf } from './host-matcher.ts';
import type { GrpcRouteMatch, HostMatch } from './policy.ts';
import { DEFAULT_REGEX_LIMITS, type RegexLimits, isRouteError } from './text-matcher.ts';

/** What a table needs to know of a route; inbound and outbound routes both fit. */
export interface GrpcRoutes {
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly { readonly matches: readonly GrpcRouteMatch[] }[];
}

/** The answer for a request; the same object every time. */
export interface GrpcRouteFound<R extends GrpcRoutes> {
  readonly route: R;
  readonly rule: R['rules'][number];
  /** The match that held; undefined for a rule without matches. */
  readonly match: GrpcRouteMatch | undefined;
  /** Always 0: gRPC routes have no prefixes to replace. Here so that callers treat both tables alike. */
  readonly pathLength: number;
}

interface Candidate<R extends GrpcRoutes> {
  /** Empty matches any. */
  readonly service: string;
  readonly method: string;
  readonly headers: FieldMatcher;
  readonly headerCount: number;
  readonly found: GrpcRouteFound<R>;
}

interface CompiledRoute<R extends GrpcRoutes> {
  readonly hosts: HostMatcher;
  readonly candidates: readonly Candidate<R>[];
}

const NO_MATCHES: readonly GrpcRouteMatch[] = [{ service: '', method: '', headers: [] }];

/** Compiles routes; an expression that cannot be compiled is the answer instead, and no route of the list is used. */
export function grpcTable<R extends GrpcRoutes>(
  routes: readonly R[],
  limits: RegexLimits = DEFAULT_REGEX_LIMITS,
): { readonly table: GrpcRouteTable<R> } | { readonly error: RouteError } {
  const compiled: CompiledRoute<R>[] = [];
  for (const route of routes) {
    const candidates: Candidate<R>[] = [];
    for (const rule of route.rules) {
      for (const match of rule.matches.length === 0 ? NO_MATCHES : rule.matches) {
        const headers = compileHeaderMatches(match.headers, limits);
        if (isRouteError(headers)) return { error: headers };
        const found = { route, rule, match: rule.matches.length === 0 ? undefined : match, pathLength: 0 };
        candidates.push({ service: match.service, method: match.method, headers, headerCount: match.headers.length, found });
      }
    }
    compiled.push({ hosts: new HostMatcher(route.hosts, hostOf), candidates });
  }
  return {
    table: new GrpcRouteTable(
      compiled,
      routes.some((route) => route.hosts.length > 0),
    ),
  };
}

/** Finds the rule of a call. Made by `grpcTable`. */
export class GrpcRouteTable<R extends GrpcRoutes = GrpcRoutes> {
  private readonly routes: readonly CompiledRoute<R>[];
  private readonly usesHosts: boolean;
  private readonly only: GrpcRouteFound<R> | undefined;

  constructor(routes: readonly CompiledRoute<R>[], usesHosts: boolean) {
    this.routes = routes;
    this.usesHosts = usesHosts;
    const [candidate, second] = usesHosts ? [] : routes.flatMap((route) => route.candidates);
    this.only = second === undefined && candidate?.found.match === undefined ? candidate?.found : undefined;
  }

  /** The best rule for a request, or undefined if none matches. `target`: the path, one unit per octet. Keeps none of its arguments. */
  match(method: string, authority: string | undefined, target: string, fields: FieldList): GrpcRouteFound<R> | undefined {
    if (this.only !== undefined) return this.only;
    const host = this.usesHosts ? hostOf(authority) : '';
    const slash = method === 'POST' ? methodSlash(target) : -1;
    let best: Candidate<R> | undefined;
    let bestHost = HOST_MISMATCH;
    for (const route of this.routes) {
      const hostFit = route.hosts.fit(host);
      if (hostFit === HOST_MISMATCH || hostFit < bestHost) continue;
      for (const candidate of route.candidates) {
        if (candidate.found.match !== undefined && (slash < 0 || !isCallOf(candidate, target, slash))) continue;
        if (best !== undefined && hostFit === bestHost && !isBetter(candidate, best)) continue;
        if (candidate.headerCount > 0 && !candidate.headers.matches(fields)) continue;
        best = candidate;
        bestHost = hostFit;
      }
    }
    return best?.found;
  }
}

/** Index of the slash between service and method; -1 if the path is not `/Service/Method`. */
function methodSlash(target: string): number {
  if (target.charCodeAt(0) !== 0x2f) return -1;
  const slash = target.indexOf('/', 1);
  if (slash <= 1 || slash + 1 === target.length || target.indexOf('/', slash + 1) >= 0) return -1;
  return slash;
}

/** Compares in place, so that a call costs no strings. */
function isCallOf<R extends GrpcRoutes>(candidate: Candidate<R>, target: string, slash: number): boolean {
  const { service, method } = candidate;
  if (service !== '' && (service.length !== slash - 1 || !target.startsWith(service, 1))) return false;
  return method === '' || (method.length === target.length - slash - 1 && target.endsWith(method));
}

function isBetter<R extends GrpcRoutes>(candidate: Candidate<R>, best: Candidate<R>): boolean {
  if (candidate.service.length !== best.service.length) return candidate.service.length > best.service.length;
  if (candidate.method.length !== best.method.length) return candidate.method.length > best.method.length;
  return candidate.headerCount > best.headerCount;
}
