// SPDX-License-Identifier: Apache-2.0
/*
 * The last changes of a store, in order, so that a watch that was cut can resume where it stood. A watch that asks for more than is kept
 * is told so and must list again (HTTP 410 Gone; Kubernetes API concepts, "Efficient detection of changes").
 */
import type { Resource } from '../types.ts';
import type { ResourceType } from './resource-type.ts';

/** One change: `object` is the state after it, undefined for a deletion; `previous` the one before, undefined for a creation. */
export interface Change {
  readonly revision: number;
  readonly type: ResourceType;
  readonly object: Resource | undefined;
  /** For a deletion: the last state, with the resourceVersion of the deletion. */
  readonly previous: Resource | undefined;
}

/** Counts revisions and keeps at most `limit` changes. */
export class ChangeLog {
  private current: number;
  private oldest: number;
  private readonly limit: number;
  private readonly changes: Change[] = [];

  constructor(firstRevision: number, limit: number) {
    this.current = firstRevision;
    this.oldest = firstRevision;
    this.limit = limit;
  }

  /** The revision of the last change. */
  get revision(): number {
    return this.current;
  }

  nextRevision(): number {
    this.current += 1;
    return this.current;
  }

  add(change: Change): void {
    this.changes.push(change);
    // Dropping a quarter at a time keeps the cost of a change constant.
    if (this.changes.length > this.limit * 1.25) this.compact(this.changes.length - this.limit);
  }

  /** All changes after `revision`, or undefined when some of them are no longer kept, or `revision` is of another life of the store. */
  since(revision: number): readonly Change[] | undefined {
    if (revision < this.oldest || revision > this.current) return undefined;
    let from = this.changes.length;
    while (from > 0 && (this.changes[from - 1] as Change).revision > revision) from -= 1;
    return this.changes.slice(from);
  }

  /** Forgets the oldest changes, all unless a count is given. */
  compact(count: number = this.changes.length): void {
    const dropped = this.changes.splice(0, count);
    this.oldest = dropped.at(-1)?.revision ?? this.oldest;
  }
}
