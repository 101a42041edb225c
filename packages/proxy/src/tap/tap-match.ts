// SPDX-License-Identifier: Apache-2.0
/*
 * What a tap looks for (proxy-contract §5.7, §8): the match of an ObserveRequest, checked and made into a predicate. A match that cannot be
 * understood is refused as a whole, for the caller would else see other requests than those asked for.
 */
import type { IPAddress } from '@weft/proto/net';
import type { ObserveRequest_Match, ObserveRequest_Match_Http, ObserveRequest_Match_Tcp } from '@weft/proto/tap';
import { HttpMethod_Registered, Scheme_Registered } from '@weft/proto/http-types';
import type { SocketAddress } from '@weft/net';
import type { ProxyRequestHead } from '../http/request-head.ts';

/** Matches in one tap, those inside others included; beyond it a tap is refused. */
export const MAX_MATCHES = 256;
/** How deep matches lie in each other. */
export const MAX_MATCH_DEPTH = 16;

/** What a match may look at. Labels are those that the event will carry. */
export interface TapSubject {
  readonly head: ProxyRequestHead;
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  readonly destinationLabels: Readonly<Record<string, string>>;
  readonly routeLabels: Readonly<Record<string, string>>;
}

export type TapPredicate = (subject: TapSubject) => boolean;

/** Whether an address lies in a network of so many bits; undefined for what is no network. */
export type NetworkParser = (ip: IPAddress, bits: number) => ((ip: string) => boolean) | undefined;

/** The predicate, or what is wrong. */
export function compileMatch(
  match: ObserveRequest_Match | undefined,
  parseNetwork: NetworkParser,
): { readonly test: TapPredicate } | { readonly error: string } {
  if (match === undefined) return { error: 'match is required' };
  const budget = { left: MAX_MATCHES, parseNetwork };
  const compiled = compile(match, 0, budget);
  return typeof compiled === 'string' ? { error: compiled } : { test: compiled };
}

/** What is left of the limits, and how networks are read. */
interface Budget {
  left: number;
  readonly parseNetwork: NetworkParser;
}

function compile({ match }: ObserveRequest_Match, depth: number, budget: Budget): TapPredicate | string {
  budget.left -= 1;
  if (budget.left < 0 || depth > MAX_MATCH_DEPTH) return 'match is too large';
  switch (match.case) {
    case 'all':
    case 'any': {
      const tests: TapPredicate[] = [];
      for (const part of match.value.matches) {
        const test = compile(part, depth + 1, budget);
        if (typeof test === 'string') return test;
        tests.push(test);
      }
      return match.case === 'all' ? (subject) => tests.every((test) => test(subject)) : (subject) => tests.some((test) => test(subject));
    }
    case 'not': {
      const test = compile(match.value, depth + 1, budget);
      return typeof test === 'string' ? test : (subject) => !test(subject);
    }
    case 'source':
    case 'destination': {
      const end = match.case;
      const test = compileTcp(match.value, budget.parseNetwork);
      return typeof test === 'string' ? test : (subject) => test(subject[end]);
    }
    case 'http':
      return compileHttp(match.value);
    case 'destinationLabel': {
      const { key, value } = match.value;
      return ({ destinationLabels }) => Object.hasOwn(destinationLabels, key) && destinationLabels[key] === value;
    }
    case 'routeLabel': {
      const { key, value } = match.value;
      return ({ routeLabels }) => Object.hasOwn(routeLabels, key) && routeLabels[key] === value;
    }
    case undefined:
      return 'missing a required field';
    default:
      return match satisfies never;
  }
}

function compileTcp({ match }: ObserveRequest_Match_Tcp, parseNetwork: NetworkParser): ((address: SocketAddress) => boolean) | string {
  switch (match.case) {
    case 'ports': {
      const { min, max } = match.value;
      if (min > 65_535 || max > 65_535 || min > max) return 'invalid port range';
      return ({ port }) => port >= min && port <= max;
    }
    case 'netmask': {
      if (match.value.ip?.ip.case === undefined) return 'missing a required field';
      const contains = parseNetwork(match.value.ip, match.value.mask);
      return contains === undefined ? 'invalid network' : ({ ip }) => contains(ip);
    }
    case undefined:
      return 'missing a required field';
    default:
      return match satisfies never;
  }
}

function compileHttp({ match }: ObserveRequest_Match_Http): TapPredicate | string {
  switch (match.case) {
    case 'scheme': {
      const scheme = registered(match.value.type, Scheme_Registered)?.toLowerCase();
      return scheme === undefined ? 'missing a required field' : ({ head }) => head.scheme === scheme;
    }
    case 'method': {
      const method = registered(match.value.type, HttpMethod_Registered);
      return method === undefined ? 'missing a required field' : ({ head }) => head.method === method;
    }
    case 'authority': {
      const test = compileText(match.value.match);
      return typeof test === 'string' ? test : ({ head }) => test(head.authority ?? '');
    }
    case 'path': {
      const test = compileText(match.value.match);
      return typeof test === 'string' ? test : ({ head }) => test(withoutQuery(head.path));
    }
    case undefined:
      return 'missing a required field';
    default:
      return match satisfies never;
  }
}

type Named = { readonly case: 'registered'; readonly value: number } | { readonly case: 'unregistered'; readonly value: string };

function registered(type: Named | { readonly case: undefined; readonly value?: undefined }, names: object): string | undefined {
  if (type.case === 'unregistered') return type.value;
  if (type.case === undefined) return undefined;
  return Object.entries(names).find(([, value]) => value === type.value)?.[0];
}

function compileText(match: TextMatch): ((text: string) => boolean) | string {
  switch (match.case) {
    case 'exact': {
      const { value } = match;
      return (text) => text === value;
    }
    case 'prefix': {
      const { value } = match;
      return (text) => text.startsWith(value);
    }
    case undefined:
      return 'missing a required field';
    default:
      return match satisfies never;
  }
}

type TextMatch = { readonly case: 'exact' | 'prefix'; readonly value: string } | { readonly case: undefined; readonly value?: undefined };

function withoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}
