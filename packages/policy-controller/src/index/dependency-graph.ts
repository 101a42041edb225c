// SPDX-License-Identifier: Apache-2.0
/*
 * Values derived from watched objects, recomputed when what they were read from changes. A derivation names what it reads by keys
 * (`service/ns/name`); whoever changes an object touches its key; all touched values are recomputed together a little later, and observers
 * hear of one only when it differs from before. That gives streams their promised shape (control-contract §3.1): the latest value first,
 * intermediate values coalesced, equal values suppressed, exactly one message per effective change.
 */

/** Longest that recomputing goes on without a pause, in milliseconds; one value may take longer. */
export const FLUSH_SLICE_MS = 10;

/** Names something a derivation reads. */
export type Track = (key: string) => void;

/** How a value is made. Observers that share a name share the value, so equal names must mean equal derivations. */
export interface Derivation<T> {
  /** Reads the world, calling `track` for every key it depends on, also for absent objects. */
  compute(track: Track): T;
  equal(a: T, b: T): boolean;
}

/** One observer's hold on a derived value. */
export interface Observation<T> {
  /** The value now. */
  readonly value: T;
  /** No call of the listener comes after this. */
  close(): void;
}

interface Cell<T> {
  readonly name: string;
  readonly derivation: Derivation<T>;
  readonly listeners: Set<(value: T) => void>;
  keys: Set<string>;
  value: T;
}

/** Derived values and their dependencies. `defer` runs a flush soon, but not now; `onError` hears of a
 * derivation or an observer that threw. */
export class DependencyGraph {
  private readonly defer: (run: () => void) => void;
  private readonly onError: (error: unknown, name: string) => void;
  private readonly nowMs: () => number;
  private readonly cells = new Map<string, Cell<unknown>>();
  private readonly dependents = new Map<string, Set<Cell<unknown>>>();
  private readonly dirty = new Set<Cell<unknown>>();
  private isFlushDue = false;
  private touches = 0;

  /** Without `nowMs` a flush is never interrupted. */
  constructor(defer: (run: () => void) => void, onError: (error: unknown, name: string) => void, nowMs: () => number = () => 0) {
    this.defer = defer;
    this.onError = onError;
    this.nowMs = nowMs;
  }

  /** How many values are being kept. */
  get cellCount(): number {
    return this.cells.size;
  }

  /** How often something changed; what was read at one count holds until the next. */
  get touchCount(): number {
    return this.touches;
  }

  /** What `key` names has changed. */
  touch(key: string): void {
    this.touches += 1;
    const dependents = this.dependents.get(key);
    if (dependents === undefined) return;
    for (const cell of dependents) this.dirty.add(cell);
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    this.defer(() => this.flushSlice());
  }

  /** Recomputes for a slice of time, then lets others have the process: many values that are dear must not keep calls waiting. */
  private flushSlice(): void {
    const untilMs = this.nowMs() + FLUSH_SLICE_MS;
    for (const cell of this.dirty) {
      if (this.nowMs() >= untilMs) {
        this.defer(() => this.flushSlice());
        return;
      }
      this.dirty.delete(cell);
      this.recompute(cell);
    }
    this.isFlushDue = false;
  }

  /** Recomputes what was touched, now. */
  flush(): void {
    const dirty = [...this.dirty];
    this.dirty.clear();
    for (const cell of dirty) this.recompute(cell);
  }

  /** Observes a value; `listener` hears of every later value. The value is kept while it has observers. */
  observe<T>(name: string, derivation: Derivation<T>, listener: (value: T) => void): Observation<T> {
    const cell = (this.cells.get(name) as Cell<T> | undefined) ?? this.open(name, derivation);
    // An observer must never start from a value that a pending flush is about to replace: it would hear the change twice.
    if (this.dirty.delete(cell as Cell<unknown>)) this.recompute(cell as Cell<unknown>);
    cell.listeners.add(listener);
    return {
      get value(): T {
        return cell.value;
      },
      close: () => {
        cell.listeners.delete(listener);
        if (cell.listeners.size === 0 && this.cells.get(name) === (cell as Cell<unknown>)) this.drop(cell as Cell<unknown>);
      },
    };
  }

  private open<T>(name: string, derivation: Derivation<T>): Cell<T> {
    const keys = new Set<string>();
    const value = derivation.compute((key) => keys.add(key));
    const cell: Cell<T> = { name, derivation, listeners: new Set(), keys, value };
    this.cells.set(name, cell as Cell<unknown>);
    for (const key of keys) this.link(key, cell as Cell<unknown>);
    return cell;
  }

  private recompute(cell: Cell<unknown>): void {
    if (this.cells.get(cell.name) !== cell) return;
    const keys = new Set<string>();
    let value: unknown;
    try {
      value = cell.derivation.compute((key) => keys.add(key));
    } catch (error) {
      // The last good value stays in force; one object that cannot be handled must not silence the others.
      this.onError(error, cell.name);
      return;
    }
    for (const key of cell.keys) if (!keys.has(key)) this.unlink(key, cell);
    for (const key of keys) if (!cell.keys.has(key)) this.link(key, cell);
    cell.keys = keys;
    if (cell.derivation.equal(cell.value, value)) return;
    cell.value = value;
    for (const listener of cell.listeners) {
      try {
        listener(value);
      } catch (error) {
        // One observer's trouble is not the next one's.
        this.onError(error, cell.name);
      }
    }
  }

  private drop(cell: Cell<unknown>): void {
    this.cells.delete(cell.name);
    this.dirty.delete(cell);
    for (const key of cell.keys) this.unlink(key, cell);
  }

  private link(key: string, cell: Cell<unknown>): void {
    const dependents = this.dependents.get(key);
    if (dependents === undefined) this.dependents.set(key, new Set([cell]));
    else dependents.add(cell);
  }

  private unlink(key: string, cell: Cell<unknown>): void {
    const dependents = this.dependents.get(key);
    dependents?.delete(cell);
    if (dependents?.size === 0) this.dependents.delete(key);
  }
}
