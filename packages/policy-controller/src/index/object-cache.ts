// SPDX-License-Identifier: Apache-2.0
/*
 * What the controller keeps of one watched kind: per object only the part that policy reads, by namespace and name. An object that says
 * nothing usable counts as absent and is reported (control-contract §3.1: skipped with a warning).
 */
import type { Resource, WatchEvent } from '@weft/resources';
import { type Parsed, attempt } from '../parse/parsed.ts';

/** What a cache does with the objects of its kind. */
export interface CacheRules<R extends Resource, T> {
  /** Takes the part to keep out of an object. */
  project(object: R): Parsed<T>;
  /** Called after every change, also when an object was replaced by an equal one. */
  onChange(namespace: string, name: string, before: T | undefined, after: T | undefined): void;
  /** Called for an object that `project` refused. */
  onInvalid(object: R, reason: string): void;
}

/** The projections of one kind's objects. */
export class ObjectCache<R extends Resource, T> {
  private readonly rules: CacheRules<R, T>;
  private readonly byNamespace = new Map<string, Map<string, T>>();

  constructor(rules: CacheRules<R, T>) {
    this.rules = rules;
  }

  get(namespace: string, name: string): T | undefined {
    return this.byNamespace.get(namespace)?.get(name);
  }

  /** All of one namespace, in no order. */
  *inNamespace(namespace: string): IterableIterator<T> {
    const objects = this.byNamespace.get(namespace);
    if (objects !== undefined) yield* objects.values();
  }

  /** All of them, in no order. */
  *all(): IterableIterator<T> {
    for (const objects of this.byNamespace.values()) yield* objects.values();
  }

  get size(): number {
    let size = 0;
    for (const objects of this.byNamespace.values()) size += objects.size;
    return size;
  }

  /** Takes one watch event in. */
  handle(event: WatchEvent<R>): void {
    if (event.type === 'synced') return;
    const { namespace, name } = event.object.metadata;
    if (event.type === 'deleted') {
      this.store(namespace, name, undefined);
      return;
    }
    const projected = this.project(event.object);
    if (!projected.ok) this.rules.onInvalid(event.object, projected.reason);
    this.store(namespace, name, projected.ok ? projected.value : undefined);
  }

  private project(object: R): Parsed<T> {
    return attempt(() => this.rules.project(object));
  }

  private store(namespace: string, name: string, after: T | undefined): void {
    let objects = this.byNamespace.get(namespace);
    const before = objects?.get(name);
    if (after === undefined) {
      if (before === undefined) return;
      objects?.delete(name);
      if (objects?.size === 0) this.byNamespace.delete(namespace);
    } else {
      if (objects === undefined) {
        objects = new Map();
        this.byNamespace.set(namespace, objects);
      }
      objects.set(name, after);
    }
    this.rules.onChange(namespace, name, before, after);
  }
}
