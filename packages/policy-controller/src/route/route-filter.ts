// SPDX-License-Identifier: Apache-2.0
/*
 * Filters of routes and backends in the mesh's own terms (control-contract §3.2, §3.3; features RT-09, RT-10, RT-11): header modifiers and
 * redirects. Every other type is unsupported, and the reason says which.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type httpRoute, httpTypes } from '@weft/proto';
import type { HeaderModifier, RequestRedirect, RouteFilter } from '@weft/resources';
import { type Parsed, invalid, parseEach, valid } from '../parse/parsed.ts';
import { isPort } from '../parse/port-set.ts';
import { parseFieldName } from './field-match.ts';

/** The same message serves requests and responses. */
export type HeaderModifierInit = MessageInitShape<typeof httpRoute.RequestHeaderModifierSchema>;
export type RedirectInit = MessageInitShape<typeof httpRoute.RequestRedirectSchema>;

export type RouteFilterInit =
  | { readonly kind: 'requestHeaders'; readonly modifier: HeaderModifierInit }
  | { readonly kind: 'responseHeaders'; readonly modifier: HeaderModifierInit }
  | { readonly kind: 'redirect'; readonly redirect: RedirectInit };

/** Status of a redirect whose route names none (the CRDs' default). */
const DEFAULT_REDIRECT_STATUS = 302;

const encoder = new TextEncoder();

/** Reads a list of filters, in order. */
export function routeFilters(filters: readonly RouteFilter[] | undefined): Parsed<RouteFilterInit[]> {
  return parseEach(filters, routeFilter);
}

function routeFilter(filter: RouteFilter): Parsed<RouteFilterInit> {
  switch (filter.type) {
    case 'RequestHeaderModifier': {
      const modifier = headerModifier(filter.requestHeaderModifier);
      return modifier.ok ? valid({ kind: 'requestHeaders', modifier: modifier.value }) : modifier;
    }
    case 'ResponseHeaderModifier': {
      const modifier = headerModifier(filter.responseHeaderModifier);
      return modifier.ok ? valid({ kind: 'responseHeaders', modifier: modifier.value }) : modifier;
    }
    case 'RequestRedirect': {
      const redirect = requestRedirect(filter.requestRedirect);
      return redirect.ok ? valid({ kind: 'redirect', redirect: redirect.value }) : redirect;
    }
    default:
      return invalid(`${filter.type} filter is not supported`);
  }
}

function headerModifier(modifier: HeaderModifier | undefined): Parsed<HeaderModifierInit> {
  const add = parseEach(modifier?.add, headerField);
  if (!add.ok) return add;
  const set = parseEach(modifier?.set, headerField);
  if (!set.ok) return set;
  const remove = parseEach(modifier?.remove, parseFieldName);
  if (!remove.ok) return remove;
  // `add` and `set` are on the wire even when empty, as the reference sends them.
  return valid({ add: { headers: add.value }, set: { headers: set.value }, remove: remove.value });
}

function headerField(field: { readonly name: string; readonly value: string }): Parsed<{ name: string; value: Uint8Array }> {
  const name = parseFieldName(field.name);
  if (!name.ok) return name;
  // RFC 9110 §5.5: a value has no control characters but tab; one with a line break would split a message.
  if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(field.value)) return invalid(`invalid value of header '${name.value}'`);
  return valid({ name: name.value, value: encoder.encode(field.value) });
}

function requestRedirect(redirect: RequestRedirect | undefined): Parsed<RedirectInit> {
  if (redirect === undefined) return invalid('RequestRedirect filter says nothing');
  const path = redirectPath(redirect.path);
  if (!path.ok) return path;
  if (redirect.port !== undefined && !isPort(redirect.port)) return invalid(`invalid redirect port ${redirect.port}`);
  return valid({
    ...(redirect.scheme === undefined ? {} : { scheme: schemeMessage(redirect.scheme) }),
    host: redirect.hostname ?? '',
    ...(path.value === undefined ? {} : { path: path.value }),
    port: redirect.port ?? 0,
    status: redirect.statusCode ?? DEFAULT_REDIRECT_STATUS,
  });
}

function redirectPath(path: RequestRedirect['path']): Parsed<RedirectInit['path']> {
  if (path === undefined) return valid(undefined);
  const value = path.type === 'ReplaceFullPath' ? path.replaceFullPath : path.replacePrefixMatch;
  if (value?.startsWith('/') !== true) return invalid(`redirect path '${value}' does not start with '/'`);
  return valid({ replace: { case: path.type === 'ReplaceFullPath' ? 'full' : 'prefix', value } });
}

function schemeMessage(scheme: string): MessageInitShape<typeof httpTypes.SchemeSchema> {
  switch (scheme.toLowerCase()) {
    case 'http':
      return { type: { case: 'registered', value: httpTypes.Scheme_Registered.HTTP } };
    case 'https':
      return { type: { case: 'registered', value: httpTypes.Scheme_Registered.HTTPS } };
    default:
      return { type: { case: 'unregistered', value: scheme } };
  }
}
