// SPDX-License-Identifier: Apache-2.0
/*
 * Which host a request is for, and how well a route's hosts fit it (proxy-contract §6.8, point 1): exact before suffix before no hosts at all,
 * longer before shorter. The fit is one number, so that routes compare by `>`.
 */
import type { HostMatch } from './policy.ts';

/** The route has hosts, and none fits. */
export const HOST_MISMATCH = -1;
/** The route has no hosts: it fits every request, less well than any host. */
const HOST_ANY = 0;
/** Above the fit of any suffix: DNS names have at most 255 octets, and a suffix fits by its length plus one. */
const HOST_EXACT = 1_000_000;

/**
 * The host of an authority in lower case: without user information, port and one trailing dot; an IPv6 address keeps its brackets. '' if there
 * is no authority.
 */
export function hostOf(authority: string | undefined): string {
  if (authority === undefined) return '';
  let start = 0;
  let end = authority.length;
  const at = authority.lastIndexOf('@');
  if (at >= 0) start = at + 1;
  const colon = authority.lastIndexOf(':');
  if (colon >= start && authority.indexOf(']', colon) < 0) end = colon;
  if (end > start && authority.charCodeAt(end - 1) === 0x2e) end -= 1;
  return authority.slice(start, end).toLowerCase();
}

/** The hosts of one route. Compares as given: lower-case them where case does not matter. */
export class HostMatcher {
  private readonly exact: readonly string[];
  /** `.x.y` for `*.x.y`; '' for `*`. */
  private readonly suffixes: readonly string[];

  constructor(hosts: readonly HostMatch[], normalize: (host: string) => string) {
    const exact: string[] = [];
    const suffixes: string[] = [];
    for (const host of hosts) {
      if (host.kind === 'exact') exact.push(normalize(host.host));
      else suffixes.push(host.reverseLabels.length === 0 ? '' : `.${normalize(host.reverseLabels.toReversed().join('.'))}`);
    }
    this.exact = exact;
    // The first that fits is then the longest.
    this.suffixes = suffixes.sort((a, b) => b.length - a.length);
  }

  /** How well the hosts fit; `HOST_MISMATCH` if not at all. */
  fit(host: string): number {
    const { exact, suffixes } = this;
    if (exact.length === 0 && suffixes.length === 0) return HOST_ANY;
    for (const name of exact) {
      if (name === host) return HOST_EXACT + name.length;
    }
    for (const suffix of suffixes) {
      // The dot is part of the suffix, so something stands before it: `x.y` itself does not fit `*.x.y`.
      if (host.length > suffix.length && host.endsWith(suffix)) return suffix.length + 1;
    }
    return HOST_MISMATCH;
  }
}
