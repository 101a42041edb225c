// SPDX-License-Identifier: Apache-2.0
/*
 * Redirect filters (proxy-contract §6.9): where a request is sent instead. A redirect that changes the URL in some part, but for this request
 * leads to the same URL, is skipped: it has had its effect (http to https, a path once moved) and would go round in circles. One that changes
 * no part at all, only the status, is answered; the reference ignores it (a correction of ours).
 */
import type { Filter } from './policy.ts';
import { endOfPath } from './request-target.ts';

/** The request as the redirect sees it. */
export interface RedirectRequest {
  readonly scheme: string;
  /** As in the request, port and all; '' if there is none, then the location is relative unless the filter names a host. */
  readonly authority: string;
  /** Path and query. */
  readonly path: string;
  /** `pathLength` of the matched rule. */
  readonly matchedPrefixLength: number;
}

export interface Redirect {
  /** 301 unless the filter says otherwise. */
  readonly status: number;
  readonly location: string;
}

const DEFAULT_STATUS = 301;

/** The answer for a request, or undefined if the filter is to be skipped. The query is kept, also where the path is replaced. */
export function evaluateRedirect(filter: Extract<Filter, { kind: 'redirect' }>, request: RedirectRequest): Redirect | undefined {
  const scheme = (filter.scheme ?? request.scheme).toLowerCase();
  const portAt = portColon(request.authority);
  const host = filter.host || request.authority.slice(0, portAt);
  const port = filter.port === 0 ? request.authority.slice(portAt + 1) : filter.port === defaultPort(scheme) ? '' : String(filter.port);
  const path = replacePath(filter.path, request);
  const status = filter.status === 0 ? DEFAULT_STATUS : filter.status;
  const isStatusOnly = filter.scheme === undefined && !filter.host && filter.path === undefined && filter.port === 0;
  if (!isStatusOnly && isSameUrl(request, scheme, host, port, path)) return undefined;
  if (host === '') return { status, location: rooted(path) };
  return { status, location: `${scheme}://${host}${port === '' ? '' : `:${port}`}${path}` };
}

/** Index of the colon before the port, or the end. */
function portColon(authority: string): number {
  const colon = authority.lastIndexOf(':');
  return colon < 0 || authority.includes(']', colon) ? authority.length : colon;
}

function defaultPort(scheme: string): number | undefined {
  return scheme === 'http' ? 80 : scheme === 'https' ? 443 : undefined;
}

function replacePath(replacement: Extract<Filter, { kind: 'redirect' }>['path'], request: RedirectRequest): string {
  if (replacement === undefined) return request.path;
  const pathEnd = endOfPath(request.path);
  const query = request.path.slice(pathEnd);
  if (replacement.kind === 'full') return rooted(replacement.value) + query;
  let prefixEnd = replacement.value.length;
  while (prefixEnd > 0 && replacement.value.charCodeAt(prefixEnd - 1) === 0x2f) prefixEnd -= 1;
  const prefix = replacement.value.slice(0, prefixEnd);
  const rest = request.path.slice(Math.min(request.matchedPrefixLength, pathEnd), pathEnd);
  return rooted(rest === '' || rest.startsWith('/') ? prefix + rest : `${prefix}/${rest}`) + query;
}

/** With exactly one leading slash: `//evil.example` would be read as another host. */
function rooted(path: string): string {
  let start = 0;
  while (path.charCodeAt(start) === 0x2f) start += 1;
  return `/${path.slice(start)}`;
}

function isSameUrl(request: RedirectRequest, scheme: string, host: string, port: string, path: string): boolean {
  const portAt = portColon(request.authority);
  const requestScheme = request.scheme.toLowerCase();
  return (
    scheme === requestScheme &&
    host.toLowerCase() === request.authority.slice(0, portAt).toLowerCase() &&
    (port || String(defaultPort(scheme))) === (request.authority.slice(portAt + 1) || String(defaultPort(requestScheme))) &&
    path === request.path
  );
}
