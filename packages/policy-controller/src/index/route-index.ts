// SPDX-License-Identifier: Apache-2.0
/*
 * All routes, and which of them name a parent, whether accepted or not. Inbound policy, outbound policy and route status read from here
 * (control-contract §3.2 to §3.4).
 */
import { type RouteRecord, parentKey, routeKey } from '../route/route-record.ts';

/** Routes by the parents that they name. */
export class RouteIndex {
  private readonly touch: (key: string) => void;
  private readonly byParent = new Map<string, Map<string, RouteRecord>>();
  private readonly records = new Map<string, RouteRecord>();

  constructor(touch: (key: string) => void) {
    this.touch = touch;
  }

  /** Takes in a new, changed (`after`) or deleted (`after` undefined) route. */
  change(before: RouteRecord | undefined, after: RouteRecord | undefined): void {
    const touched = new Set<string>();
    if (before !== undefined) this.detach(before, touched);
    if (after !== undefined) this.attach(after, touched);
    for (const key of touched) this.touch(routesKey(key));
    const route = after ?? before;
    if (route !== undefined) this.touch(routeDependencyKey(routeKey(route)));
  }

  /** Routes that name this parent, in no order. */
  ofParent(key: string): Iterable<RouteRecord> {
    return this.byParent.get(key)?.values() ?? [];
  }

  /** A route by its key. */
  get(key: string): RouteRecord | undefined {
    return this.records.get(key);
  }

  all(): Iterable<RouteRecord> {
    return this.records.values();
  }

  private attach(route: RouteRecord, touched: Set<string>): void {
    const id = routeKey(route);
    this.records.set(id, route);
    for (const parent of route.parents) {
      const key = parentKey(parent);
      touched.add(key);
      const routes = this.byParent.get(key);
      if (routes === undefined) this.byParent.set(key, new Map([[id, route]]));
      else routes.set(id, route);
    }
  }

  private detach(route: RouteRecord, touched: Set<string>): void {
    const id = routeKey(route);
    this.records.delete(id);
    for (const parent of route.parents) {
      const key = parentKey(parent);
      touched.add(key);
      const routes = this.byParent.get(key);
      routes?.delete(id);
      if (routes?.size === 0) this.byParent.delete(key);
    }
  }
}

/** What a derivation depends on when it reads the routes of a parent. */
export function routesKey(key: string): string {
  return `routes-of/${key}`;
}

/** What a derivation depends on when it reads one route. */
export function routeDependencyKey(key: string): string {
  return `route/${key}`;
}
