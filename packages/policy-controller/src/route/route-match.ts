// SPDX-License-Identifier: Apache-2.0
/*
 * Matches of HTTPRoute and GRPCRoute rules as the proxy gets them (control-contract §3.2, features RT-06). A match that cannot be honoured
 * makes its route invalid: half a rule must not send traffic where its author did not want it.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type grpcRoute, type httpRoute, httpTypes } from '@weft/proto';
import type { GRPCRouteMatch, HTTPRouteMatch } from '@weft/resources';
import { type Parsed, invalid, parseEach, valid } from '../parse/parsed.ts';
import { headerMatch, parsePattern, queryParamMatch } from './field-match.ts';

export type HttpRouteMatchInit = MessageInitShape<typeof httpRoute.HttpRouteMatchSchema>;
export type GrpcRouteMatchInit = MessageInitShape<typeof grpcRoute.GrpcRouteMatchSchema>;

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Matches that were compiled, by the objects that they were read from: a policy is put together far more often than its routes change. */
const compiledHttp = new WeakMap<HTTPRouteMatch, Parsed<HttpRouteMatchInit>>();
const compiledGrpc = new WeakMap<GRPCRouteMatch, Parsed<GrpcRouteMatchInit>>();

/** One match of an HTTPRoute. */
export function httpRouteMatch(match: HTTPRouteMatch): Parsed<HttpRouteMatchInit> {
  return remembered(compiledHttp, match, compileHttpMatch);
}

/** One match of a GRPCRoute; an absent method matches any. */
export function grpcRouteMatch(match: GRPCRouteMatch): Parsed<GrpcRouteMatchInit> {
  return remembered(compiledGrpc, match, compileGrpcMatch);
}

function remembered<K extends object, V>(memory: WeakMap<K, V>, key: K, compile: (key: K) => V): V {
  let value = memory.get(key);
  if (value === undefined) {
    value = compile(key);
    memory.set(key, value);
  }
  return value;
}

function compileHttpMatch(match: HTTPRouteMatch): Parsed<HttpRouteMatchInit> {
  const path = pathMatch(match.path);
  if (!path.ok) return path;
  const headers = parseEach(match.headers, headerMatch);
  if (!headers.ok) return headers;
  const queryParams = parseEach(match.queryParams, queryParamMatch);
  if (!queryParams.ok) return queryParams;
  const method = match.method;
  if (method !== undefined && !METHOD.test(method)) return invalid(`invalid method '${method}'`);
  return valid({
    ...(path.value === undefined ? {} : { path: path.value }),
    headers: headers.value,
    queryParams: queryParams.value,
    ...(method === undefined ? {} : { method: methodMessage(method) }),
  });
}

function compileGrpcMatch(match: GRPCRouteMatch): Parsed<GrpcRouteMatchInit> {
  if (match.method?.type === 'RegularExpression') return invalid('regular expressions on gRPC methods are not supported');
  const headers = parseEach(match.headers, headerMatch);
  if (!headers.ok) return headers;
  return valid({ rpc: { service: match.method?.service ?? '', method: match.method?.method ?? '' }, headers: headers.value });
}

/** A method by its number, where the wire has one for it. */
export function methodMessage(method: string): MessageInitShape<typeof httpTypes.HttpMethodSchema> {
  const registered = httpTypes.HttpMethod_Registered[method as keyof typeof httpTypes.HttpMethod_Registered];
  return { type: registered === undefined ? { case: 'unregistered', value: method } : { case: 'registered', value: registered } };
}

function pathMatch(path: HTTPRouteMatch['path']): Parsed<HttpRouteMatchInit['path']> {
  if (path === undefined) return valid(undefined);
  const value = path.value ?? '/';
  const type = path.type ?? 'PathPrefix';
  if (type === 'RegularExpression') {
    const pattern = parsePattern(value);
    return pattern.ok ? valid({ kind: { case: 'regex', value: pattern.value } }) : pattern;
  }
  if (!value.startsWith('/')) return invalid(`path '${value}' does not start with '/'`);
  if (type === 'Exact') return valid({ kind: { case: 'exact', value } });
  return type === 'PathPrefix' ? valid({ kind: { case: 'prefix', value } }) : invalid(`unsupported path match ${type}`);
}
