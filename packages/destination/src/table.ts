// SPDX-License-Identifier: Apache-2.0
/*
 * A live table of records, fed by one watch. Listeners hear each change once, after the table has it, in the order in which they subscribed:
 * indexes subscribe first and are up to date when publishers ask them.
 */
import { untilAvailable, type Resource, type ResourceKind, type ResourceSource } from '@weft/resources';

import { keyOf, type ClusterRecord } from './records/record.ts';

/** One change; `before` undefined for a new key, `after` undefined for a deleted one. */
export interface Change<R> {
  readonly key: string;
  readonly before: R | undefined;
  readonly after: R | undefined;
}

/** Makes a record; undefined leaves the object out. `before` is what the table holds of the same object. */
export type Projection<R extends ClusterRecord, T extends Resource> = (object: T, before: R | undefined) => R | undefined;

/**
 * Told of an object that could not be read, or a change that a listener failed on; the table goes on with the next. With key '': the source
 * does not answer yet, and is asked again.
 */
export type TableErrorHandler = (error: unknown, plural: string, key: string) => void;

/** Records of one kind by key. */
export class Table<R extends ClusterRecord> {
  /** Resolves once the initial objects are here; rejects when the source refuses to say whether it serves the kind. */
  readonly synced: Promise<void>;
  private readonly plural: string;
  private readonly onError: TableErrorHandler;
  private readonly records = new Map<string, R>();
  private readonly listeners: ((change: Change<R>) => void)[] = [];
  private closeWatch: () => void = () => undefined;
  private isClosed = false;

  private constructor(plural: string, onError: TableErrorHandler, start: (table: Table<R>) => Promise<void>) {
    this.plural = plural;
    this.onError = onError;
    this.synced = start(this);
    // Whoever awaits `synced` sees a rejection; without an awaiter it must not end the process.
    this.synced.catch(() => undefined);
  }

  /** Watches `kind`. A kind that the source does not serve leaves the table empty, or, if `isRequired`, rejects `synced`. */
  static watch<R extends ClusterRecord, T extends Resource>(
    source: ResourceSource,
    kind: ResourceKind<T>,
    project: Projection<R, T>,
    isRequired: boolean,
    onError: TableErrorHandler,
  ): Table<R> {
    return new Table<R>(kind.plural, onError, async (table) => {
      const isServed = await untilAvailable(() => source.supports(kind), {
        timeoutMs: Infinity,
        isOver: () => table.isClosed,
        onRetry: (error) => onError(error, kind.plural, ''),
      });
      if (!isServed) {
        if (isRequired) throw new Error(`${kind.plural} are not served`);
        return;
      }
      if (table.isClosed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const watch = source.watch(kind, undefined, (event) => {
        if (event.type === 'synced') resolve();
        else if (event.type === 'deleted') table.replace(keyOf(event.object.metadata.namespace, event.object.metadata.name), undefined);
        else table.put(event.object, project);
      });
      table.closeWatch = (): void => watch.close();
      await promise;
    });
  }

  get size(): number {
    return this.records.size;
  }

  get(key: string): R | undefined {
    return this.records.get(key);
  }

  values(): IterableIterator<R> {
    return this.records.values();
  }

  /** Subscribes for the life of the table. */
  onChange(listener: (change: Change<R>) => void): void {
    this.listeners.push(listener);
  }

  close(): void {
    this.isClosed = true;
    this.closeWatch();
  }

  private put<T extends Resource>(object: T, project: Projection<R, T>): void {
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    let after: R | undefined;
    try {
      after = project(object, this.records.get(key));
    } catch (error) {
      this.onError(error, this.plural, key);
    }
    this.replace(key, after);
  }

  private replace(key: string, after: R | undefined): void {
    const before = this.records.get(key);
    if (after === undefined) {
      if (!this.records.delete(key)) return;
    } else {
      this.records.set(key, after);
    }
    for (const listener of this.listeners) {
      try {
        listener({ key, before, after });
      } catch (error) {
        this.onError(error, this.plural, key);
      }
    }
  }
}

/** Records by a derived key, kept up to date with their table. */
export class TableIndex<R extends ClusterRecord> {
  private readonly keysOf: (record: R) => readonly string[];
  private readonly byKey = new Map<string, Map<string, R>>();

  /** `keysOf` must depend on the record alone. */
  constructor(table: Table<R>, keysOf: (record: R) => readonly string[]) {
    this.keysOf = keysOf;
    for (const record of table.values()) this.add(record);
    table.onChange(({ before, after }) => {
      if (before !== undefined) this.remove(before);
      if (after !== undefined) this.add(after);
    });
  }

  /** The records with this key, in no order. */
  get(key: string): readonly R[] {
    const records = this.byKey.get(key);
    return records === undefined ? [] : [...records.values()];
  }

  private add(record: R): void {
    for (const key of this.keysOf(record)) {
      const records = this.byKey.get(key);
      if (records === undefined) this.byKey.set(key, new Map([[record.key, record]]));
      else records.set(record.key, record);
    }
  }

  private remove(record: R): void {
    for (const key of this.keysOf(record)) {
      const records = this.byKey.get(key);
      records?.delete(record.key);
      if (records?.size === 0) this.byKey.delete(key);
    }
  }
}
