// SPDX-License-Identifier: Apache-2.0
/*
 * All routes, and which of them name a parent, whether accepted or not. Inbound policy, outbound policy and route status read from here
 * (control-contract §3.2 to §3.4). Everything is kept by the routes' own namespace: what a namespace attaches to another's Service must cost
 * the other's clients nothing, not even a recomputation.
 */
import { type RouteParent, type RouteRecord, parentKey, routeKey } from '../route/route-record.ts';

/** Routes by the parents that they name. */
export class RouteIndex {
  private readonly touch: (key: string) => void;
  private readonly byParent = new Map<string, Map<string, RouteRecord>>();
  /** How many routes of each kind name exactly this parent and port, by rivals' key. */
  private readonly kindCounts = new Map<string, Map<RouteRecord['kind'], number>>();
  private readonly records = new Map<string, RouteRecord>();

  constructor(touch: (key: string) => void) {
    this.touch = touch;
  }

  /** Takes in a new, changed (`after`) or deleted (`after` undefined) route. */
  change(before: RouteRecord | undefined, after: RouteRecord | undefined): void {
    const touched = new Set<string>();
    const kindsBefore = new Map<string, string>();
    for (const record of [before, after]) {
      for (const key of record === undefined ? [] : rivalKeysOf(record)) kindsBefore.set(key, this.kindsAt(key));
    }
    if (before !== undefined) this.detach(before, touched);
    if (after !== undefined) this.attach(after, touched);
    for (const key of touched) this.touch(key);
    for (const [key, kinds] of kindsBefore) if (this.kindsAt(key) !== kinds) this.touch(key);
    const route = after ?? before;
    if (route !== undefined) this.touch(routeDependencyKey(routeKey(route)));
  }

  /** Routes of one namespace that name this parent, in no order. */
  ofParent(key: string, namespace: string): Iterable<RouteRecord> {
    return this.byParent.get(routesKey(key, namespace))?.values() ?? [];
  }

  /** Whether a route of that kind and namespace names exactly this parent, port included. */
  hasRival(parent: RouteParent, namespace: string, kind: RouteRecord['kind']): boolean {
    return this.kindCounts.get(rivalsKey(parent, namespace))?.has(kind) ?? false;
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
      const key = routesKey(parentKey(parent), route.namespace);
      touched.add(key);
      const routes = this.byParent.get(key);
      if (routes === undefined) this.byParent.set(key, new Map([[id, route]]));
      else routes.set(id, route);
    }
    for (const key of rivalKeysOf(route)) {
      const counts = this.kindCounts.get(key);
      if (counts === undefined) this.kindCounts.set(key, new Map([[route.kind, 1]]));
      else counts.set(route.kind, (counts.get(route.kind) ?? 0) + 1);
    }
  }

  private detach(route: RouteRecord, touched: Set<string>): void {
    const id = routeKey(route);
    this.records.delete(id);
    for (const parent of route.parents) {
      const key = routesKey(parentKey(parent), route.namespace);
      touched.add(key);
      const routes = this.byParent.get(key);
      routes?.delete(id);
      if (routes?.size === 0) this.byParent.delete(key);
    }
    for (const key of rivalKeysOf(route)) {
      const counts = this.kindCounts.get(key);
      const left = (counts?.get(route.kind) ?? 0) - 1;
      if (left > 0) counts?.set(route.kind, left);
      else counts?.delete(route.kind);
      if (counts?.size === 0) this.kindCounts.delete(key);
    }
  }

  private kindsAt(key: string): string {
    return [...(this.kindCounts.get(key)?.keys() ?? [])].sort().join();
  }
}

/** What a derivation depends on when it reads the routes that a namespace has on a parent. */
export function routesKey(key: string, namespace: string): string {
  return `routes-of/${key}/${namespace}`;
}

/** What a derivation depends on when it asks which kinds of routes of a namespace name a parent and port. */
export function rivalsKey(parent: RouteParent, namespace: string): string {
  return `rivals/${parentKey(parent)}:${parent.port ?? ''}/${namespace}`;
}

/** What a derivation depends on when it reads one route. */
export function routeDependencyKey(key: string): string {
  return `route/${key}`;
}

/** One each, although a route may name a parent twice. */
function rivalKeysOf(route: RouteRecord): Set<string> {
  return new Set(route.parents.map((parent) => rivalsKey(parent, route.namespace)));
}
