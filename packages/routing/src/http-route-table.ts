// SPDX-License-Identifier: Apache-2.0
/*
 * Route tables for HTTP (proxy-contract §6.8): of all matches that hold, the one with the best host, then path, then number of header matches,
 * then number of query matches, then a method; of equals the first listed. Compiled once per policy. The scan is linear, and cheap facts come
 * first; a table that can give only one answer gives it without looking at the request.
 */
import type { FieldList } from '@weft/bytes';
import type { RouteError } from './errors.ts';
import { type FieldMatcher, compileHeaderMatches, compileQueryMatches } from './field-matcher.ts';
import { HOST_MISMATCH, HostMatcher, hostOf } from './host-matcher.ts';
import { ANY_PATH, PATH_MISMATCH, type PathMatcher, compilePathMatch } from './path-matcher.ts';
import type { HostMatch, HttpRouteMatch } from './policy.ts';
import { parseQueryParams } from './query-params.ts';
import { endOfPath, queryOf } from './request-target.ts';
import { DEFAULT_REGEX_LIMITS, type RegexLimits, isRouteError } from './text-matcher.ts';

/** What a table needs to know of a route; inbound and outbound routes both fit. */
export interface HttpRoutes {
  readonly hosts: readonly HostMatch[];
  readonly rules: readonly { readonly matches: readonly HttpRouteMatch[] }[];
}

/** The answer for a request. The same object every time, unless an expression matched the path. */
export interface HttpRouteFound<R extends HttpRoutes> {
  readonly route: R;
  readonly rule: R['rules'][number];
  /** The match that held; undefined for a rule without matches. */
  readonly match: HttpRouteMatch | undefined;
  /** Octets of the path that a prefix redirect replaces: the prefix without trailing slashes, or all of the path. */
  readonly pathLength: number;
}

interface Candidate<R extends HttpRoutes> {
  readonly method: string | undefined;
  readonly path: PathMatcher;
  readonly headers: FieldMatcher;
  readonly headerCount: number;
  readonly queryParams: FieldMatcher;
  readonly queryParamCount: number;
  readonly found: HttpRouteFound<R>;
}

interface CompiledRoute<R extends HttpRoutes> {
  readonly hosts: HostMatcher;
  readonly candidates: readonly Candidate<R>[];
}

const NO_MATCHES: readonly HttpRouteMatch[] = [{ path: undefined, headers: [], queryParams: [], method: undefined }];

/** Compiles routes; an expression that cannot be compiled is the answer instead, and no route of the list is used. */
export function httpTable<R extends HttpRoutes>(
  routes: readonly R[],
  limits: RegexLimits = DEFAULT_REGEX_LIMITS,
): { readonly table: HttpRouteTable<R> } | { readonly error: RouteError } {
  const compiled: CompiledRoute<R>[] = [];
  for (const route of routes) {
    const candidates: Candidate<R>[] = [];
    for (const rule of route.rules) {
      for (const match of rule.matches.length === 0 ? NO_MATCHES : rule.matches) {
        const candidate = compileCandidate(route, rule, match, limits);
        if (isRouteError(candidate)) return { error: candidate };
        candidates.push(candidate);
      }
    }
    compiled.push({ hosts: new HostMatcher(route.hosts, hostOf), candidates });
  }
  return {
    table: new HttpRouteTable(
      compiled,
      routes.some((route) => route.hosts.length > 0),
    ),
  };
}

function compileCandidate<R extends HttpRoutes>(
  route: R,
  rule: R['rules'][number],
  match: HttpRouteMatch,
  limits: RegexLimits,
): Candidate<R> | RouteError {
  const path = compilePathMatch(match.path, limits);
  if (isRouteError(path)) return path;
  const headers = compileHeaderMatches(match.headers, limits);
  if (isRouteError(headers)) return headers;
  const queryParams = compileQueryMatches(match.queryParams, limits);
  if (isRouteError(queryParams)) return queryParams;
  return {
    method: match.method,
    path,
    headers,
    headerCount: match.headers.length,
    queryParams,
    queryParamCount: match.queryParams.length,
    found: { route, rule, match: rule.matches.length === 0 ? undefined : match, pathLength: path.prefixLength ?? 0 },
  };
}

/** Finds the rule of a request. Made by `httpTable`. */
export class HttpRouteTable<R extends HttpRoutes = HttpRoutes> {
  private readonly routes: readonly CompiledRoute<R>[];
  private readonly usesHosts: boolean;
  /** The answer to every request, where there is one. */
  private readonly only: HttpRouteFound<R> | undefined;

  constructor(routes: readonly CompiledRoute<R>[], usesHosts: boolean) {
    this.routes = routes;
    this.usesHosts = usesHosts;
    this.only = usesHosts ? undefined : onlyAnswer(routes);
  }

  /**
   * The best rule for a request, or undefined if none matches. `target`: path and query, one unit per octet; a fragment is ignored.
   * `authority`: as in the request, port and all. Keeps none of its arguments.
   */
  match(method: string, authority: string | undefined, target: string, fields: FieldList): HttpRouteFound<R> | undefined {
    if (this.only !== undefined) return this.only;
    const host = this.usesHosts ? hostOf(authority) : '';
    const pathEnd = endOfPath(target);
    const path = pathEnd === target.length ? target : target.slice(0, pathEnd);
    let params: string[] | undefined;
    let best: Candidate<R> | undefined;
    let bestHost = HOST_MISMATCH;
    let bestPath = PATH_MISMATCH;
    for (const route of this.routes) {
      const hostFit = route.hosts.fit(host);
      if (hostFit === HOST_MISMATCH || hostFit < bestHost) continue;
      for (const candidate of route.candidates) {
        if (candidate.method !== undefined && candidate.method !== method) continue;
        const pathFit = candidate.path.fit(path);
        if (pathFit === PATH_MISMATCH) continue;
        // Whether it would win is known before its fields are looked at.
        if (best !== undefined && hostFit === bestHost && !isBetter(candidate, pathFit, best, bestPath)) continue;
        if (candidate.headerCount > 0 && !candidate.headers.matches(fields)) continue;
        if (candidate.queryParamCount > 0) {
          params ??= parseQueryParams(queryOf(target, pathEnd));
          if (!candidate.queryParams.matches(params)) continue;
        }
        best = candidate;
        bestHost = hostFit;
        bestPath = pathFit;
      }
    }
    if (best === undefined) return undefined;
    return best.path.prefixLength === undefined ? { ...best.found, pathLength: path.length } : best.found;
  }
}

/** Whether a match of the same host beats the best so far; an equal one does not. */
function isBetter<R extends HttpRoutes>(candidate: Candidate<R>, pathFit: number, best: Candidate<R>, bestPath: number): boolean {
  if (pathFit !== bestPath) return pathFit > bestPath;
  if (candidate.headerCount !== best.headerCount) return candidate.headerCount > best.headerCount;
  if (candidate.queryParamCount !== best.queryParamCount) return candidate.queryParamCount > best.queryParamCount;
  return candidate.method !== undefined && best.method === undefined;
}

function onlyAnswer<R extends HttpRoutes>(routes: readonly CompiledRoute<R>[]): HttpRouteFound<R> | undefined {
  const [candidate, second] = routes.flatMap((route) => route.candidates);
  if (candidate === undefined || second !== undefined) return undefined;
  const { path, method, headerCount, queryParamCount } = candidate;
  return path === ANY_PATH && method === undefined && headerCount === 0 && queryParamCount === 0 ? candidate.found : undefined;
}
