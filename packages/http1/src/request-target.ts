// SPDX-License-Identifier: Apache-2.0
/*
 * The four forms of a request target (RFC 9112 §3.2). The decoder checks that form and method agree; what the target names
 * is for routing.
 */
import { checkHost, HOST_INVALID } from './host.ts';
import type { H1RequestHead } from './types.ts';

const SLASH = 0x2f;

/** Form of `target` (octets already checked) in a request with `method`; undefined where no form fits. */
export function targetFormOf(method: string, target: string): H1RequestHead['targetForm'] | undefined {
  // RFC 9112 §3.2.3: authority-form for CONNECT, and only there; RFC 9110 §9.3.6: with a port.
  if (method === 'CONNECT') return checkHost(target, 0, target.length) > 0 && !target.startsWith(':') ? 'authority' : undefined;
  if (target.charCodeAt(0) === SLASH) return 'origin';
  if (target === '*') return method === 'OPTIONS' ? 'asterisk' : undefined;
  const authority = absoluteFormAuthority(target);
  return authority !== undefined && isAuthority(authority) ? 'absolute' : undefined;
}

/**
 * The authority of an absolute-form target, as it stands there: what replaces the Host field when a proxy passes the request
 * on (RFC 9112 §3.2.2). Undefined where `target` is in another form.
 */
export function absoluteFormAuthority(target: string): string | undefined {
  const schemeEnd = target.indexOf('://');
  if (schemeEnd < 1 || !isScheme(target, schemeEnd)) return undefined;
  const start = schemeEnd + 3;
  let end = start;
  for (; end < target.length; end++) {
    const character = target.charCodeAt(end);
    if (character === SLASH || character === 0x3f) break;
  }
  return target.slice(start, end);
}

/** A host must be there; userinfo is refused, as it serves to mislead (RFC 9110 §4.2.4). */
function isAuthority(authority: string): boolean {
  if (authority === '' || authority.startsWith(':')) return false;
  return checkHost(authority, 0, authority.length) !== HOST_INVALID;
}

/** RFC 3986 §3.1: ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ). */
function isScheme(target: string, end: number): boolean {
  for (let i = 0; i < end; i++) {
    const lower = target.charCodeAt(i) | 0x20;
    if (lower >= 0x61 && lower <= 0x7a) continue;
    const character = target.charCodeAt(i);
    const isLater = (character >= 0x30 && character <= 0x39) || character === 0x2b || character === 0x2d || character === 0x2e;
    if (i === 0 || !isLater) return false;
  }
  return true;
}
