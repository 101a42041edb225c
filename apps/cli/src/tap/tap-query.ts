// SPDX-License-Identifier: Apache-2.0
/*
 * What `weft tap` asks of the proxies (features CLI-52): the flags as the match of an ObserveRequest. Where the requests go to is matched by the
 * labels that discovery gave the endpoint, so `--to` finds what clients' proxies sent. Pure.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ObserveRequest, ObserveRequestSchema, type ObserveRequest_MatchSchema } from '@weft/proto/tap';
import { HttpMethod_Registered, Scheme_Registered } from '@weft/proto/http-types';
import type { ScopedResource } from '../inspect/traffic-query.ts';

export interface TapFilter {
  readonly to?: ScopedResource;
  readonly toNamespace?: string;
  readonly method?: string;
  readonly scheme?: string;
  /** Prefixes, as in the reference. */
  readonly authority?: string;
  readonly path?: string;
}

type Match = MessageInitShape<typeof ObserveRequest_MatchSchema>;

/** The request for one proxy and one second. */
export function observeRequest(filter: TapFilter, limit: number, hasHeaders: boolean): ObserveRequest {
  const matches: Match[] = [];
  const { to } = filter;
  if (to !== undefined) {
    if (to.kind !== 'namespace' && to.name !== undefined) matches.push(label(to.kind, to.name));
    const namespace = to.kind === 'namespace' ? to.name : to.namespace;
    if (namespace !== undefined) matches.push(label('namespace', namespace));
  } else if (filter.toNamespace !== undefined) {
    matches.push(label('namespace', filter.toNamespace));
  }
  if (filter.scheme !== undefined) matches.push(http({ case: 'scheme', value: { type: known(Scheme_Registered, filter.scheme) } }));
  if (filter.method !== undefined) matches.push(http({ case: 'method', value: { type: known(HttpMethod_Registered, filter.method) } }));
  if (filter.authority !== undefined) {
    matches.push(http({ case: 'authority', value: { match: { case: 'prefix', value: filter.authority } } }));
  }
  if (filter.path !== undefined) matches.push(http({ case: 'path', value: { match: { case: 'prefix', value: filter.path } } }));
  return create(ObserveRequestSchema, {
    limit,
    match: { match: { case: 'all', value: { matches } } },
    ...(hasHeaders ? { extract: { extract: { case: 'http', value: { extract: { case: 'headers', value: {} } } } } } : {}),
  });
}

function label(key: string, value: string): Match {
  return { match: { case: 'destinationLabel', value: { key, value } } };
}

type HttpMatch = Extract<NonNullable<Match['match']>, { case: 'http' }>['value'];

function http(match: NonNullable<HttpMatch['match']>): Match {
  return { match: { case: 'http', value: { match } } };
}

function known<N extends number>(
  names: Readonly<Record<string, N>>,
  text: string,
): { case: 'registered'; value: N } | { case: 'unregistered'; value: string } {
  const value = names[text.toUpperCase()];
  return value === undefined ? { case: 'unregistered', value: text } : { case: 'registered', value };
}
