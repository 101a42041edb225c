// SPDX-License-Identifier: Apache-2.0
/* Filters of a matched route, applied in their listed order (proxy-contract §6.9). */
import type { FieldList } from '@weft/bytes';
import { type Filter, applyHeaderModifier, evaluateRedirect } from '@weft/routing';
import type { ProxyError } from '../http/proxy-error.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';

/** The request after the filters, or the answer that a filter gives instead. */
export type FilterResult = { readonly head: ProxyRequestHead } | { readonly error: ProxyError };

/**
 * Applies request filters. `matchedPrefixLength` is the length of the path prefix that the rule matched, for prefix-replacing
 * redirects; `random` draws for failure injection.
 */
export function requestFilters(
  filters: readonly Filter[],
  head: ProxyRequestHead,
  matchedPrefixLength: number,
  random: () => number,
): FilterResult {
  let current = head;
  for (const filter of filters) {
    switch (filter.kind) {
      case 'requestHeaders':
        current = current.with({ fields: applyHeaderModifier(current.fields as FieldList, filter.modifier) });
        break;
      case 'redirect': {
        const redirect = evaluateRedirect(filter, {
          scheme: current.scheme,
          authority: current.authority ?? '',
          path: current.path,
          matchedPrefixLength,
        });
        if (redirect !== undefined) {
          return { error: { kind: 'redirect', message: 'redirected', status: redirect.status, location: redirect.location } };
        }
        break;
      }
      case 'failHttp':
        if (random() * filter.denominator < filter.numerator) {
          return { error: { kind: 'injected', message: filter.message, status: filter.status } };
        }
        break;
      case 'failGrpc':
        if (random() * filter.denominator < filter.numerator) {
          return { error: { kind: 'injected', message: filter.message, status: 200, grpcStatus: filter.code } };
        }
        break;
      case 'responseHeaders':
      case 'forbidden':
      case 'invalid':
        break;
      default:
        filter satisfies never;
    }
  }
  return { head: current };
}

/** One response filter. */
export function responseFilters(filter: Filter, fields: Readonly<FieldList>): Readonly<FieldList> {
  return filter.kind === 'responseHeaders' ? applyHeaderModifier(fields as FieldList, filter.modifier) : fields;
}
