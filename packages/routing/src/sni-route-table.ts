// SPDX-License-Identifier: Apache-2.0
/*
 * Route tables for TLS that is passed through (proxy-contract §6.8): by server name alone, exact before suffix before none, longer before
 * shorter, of equals the first listed. Names are compared with case; a ClientHello's name arrives in lower case.
 */
import { HOST_MISMATCH, HostMatcher } from './host-matcher.ts';
import type { HostMatch } from './policy.ts';

export interface SniRoutes {
  readonly hosts: readonly HostMatch[];
}

/** The answer for a connection; the same object every time. */
export interface SniRouteFound<R extends SniRoutes> {
  readonly route: R;
}

/** Compiles routes; nothing in them can be wrong. */
export function sniTable<R extends SniRoutes>(routes: readonly R[]): SniRouteTable<R> {
  return new SniRouteTable(routes);
}

/** Finds the route of a connection. */
export class SniRouteTable<R extends SniRoutes = SniRoutes> {
  private readonly routes: readonly { readonly hosts: HostMatcher; readonly found: SniRouteFound<R> }[];

  constructor(routes: readonly R[]) {
    this.routes = routes.map((route) => ({ hosts: new HostMatcher(route.hosts, (name) => name), found: { route } }));
  }

  /** The best route for a server name, or undefined if none matches. */
  match(sni: string): SniRouteFound<R> | undefined {
    let best: SniRouteFound<R> | undefined;
    let bestFit = HOST_MISMATCH;
    for (const { hosts, found } of this.routes) {
      const fit = hosts.fit(sni);
      if (fit <= bestFit) continue;
      best = found;
      bestFit = fit;
    }
    return best;
  }
}
