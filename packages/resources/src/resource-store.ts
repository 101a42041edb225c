// SPDX-License-Identifier: Apache-2.0
/*
 * A live copy of the selected objects of one kind, kept by a watch, for whoever answers from memory (discovery, policy). Listeners are
 * called after the copy has changed, in order. Indexes give the objects that share a key, an address say, without a scan.
 */
import type { Resource, ResourceKind, ResourceSource, Selector, WatchEvent } from './types.ts';

/** A change of a store; `previous` is what it replaced or removed. `synced` comes once, after the initial objects. */
export type StoreEvent<R extends Resource> =
  | { readonly type: 'added'; readonly object: R }
  | { readonly type: 'modified'; readonly object: R; readonly previous: R }
  | { readonly type: 'deleted'; readonly object: R }
  | { readonly type: 'synced' };

/** A live copy of objects of one kind. */
export interface ResourceStore<R extends Resource> {
  /** By `storeKey`. */
  readonly objects: ReadonlyMap<string, R>;
  get(namespace: string, name: string): R | undefined;
  readonly isSynced: boolean;
  /** Resolves when the initial objects are all here. Never rejects; pending for ever if closed before, or while the kind is not served. */
  readonly synced: Promise<void>;
  /** Calls back after each change from now on, until the returned function is called. */
  onChange(listener: (event: StoreEvent<R>) => void): () => void;
  close(): void;
}

/** Key of an object in a store: `namespace/name`, `/name` for a cluster-scoped one. */
export function storeKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** Watches `kind` and keeps what is selected. */
export function createStore<R extends Resource>(source: ResourceSource, kind: ResourceKind<R>, selector?: Selector): ResourceStore<R> {
  const objects = new Map<string, R>();
  const listeners = new Set<(event: StoreEvent<R>) => void>();
  const { promise, resolve } = Promise.withResolvers<void>();
  let isSynced = false;

  function tell(event: StoreEvent<R>): void {
    for (const listener of listeners) listener(event);
  }

  function handle(event: WatchEvent<R>): void {
    if (event.type === 'synced') {
      isSynced = true;
      resolve();
      tell({ type: 'synced' });
      return;
    }
    const { object } = event;
    const key = storeKey(object.metadata.namespace, object.metadata.name);
    const previous = objects.get(key);
    if (event.type === 'deleted') {
      if (objects.delete(key)) tell({ type: 'deleted', object });
      return;
    }
    objects.set(key, object);
    tell(previous === undefined ? { type: 'added', object } : { type: 'modified', object, previous });
  }

  const watch = source.watch(kind, selector, handle);
  return {
    objects,
    get: (namespace, name) => objects.get(storeKey(namespace, name)),
    get isSynced() {
      return isSynced;
    },
    synced: promise,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => {
      watch.close();
      listeners.clear();
    },
  };
}

/** The objects of a store by a derived key. */
export interface StoreIndex<R extends Resource> {
  /** The objects with this key, in no order. */
  get(key: string): ReadonlySet<R>;
  /** Keys that have objects. */
  keys(): Iterable<string>;
  close(): void;
}

/**
 * Indexes a store by the keys that `keysOf` gives for an object; it must depend on the object alone. Made before other listeners
 * subscribe, it is up to date when they are called.
 */
export function createIndex<R extends Resource>(store: ResourceStore<R>, keysOf: (object: R) => Iterable<string>): StoreIndex<R> {
  const none: ReadonlySet<R> = new Set();
  const byKey = new Map<string, Set<R>>();
  const known = new Map<string, R>();

  function remove(object: R): void {
    for (const key of keysOf(object)) {
      const set = byKey.get(key);
      set?.delete(object);
      if (set?.size === 0) byKey.delete(key);
    }
  }

  function replace(id: string, object: R | undefined): void {
    const old = known.get(id);
    if (old !== undefined) remove(old);
    if (object === undefined) {
      known.delete(id);
      return;
    }
    known.set(id, object);
    for (const key of keysOf(object)) {
      const set = byKey.get(key);
      if (set === undefined) byKey.set(key, new Set([object]));
      else set.add(object);
    }
  }

  for (const [id, object] of store.objects) replace(id, object);
  const unsubscribe = store.onChange((event) => {
    if (event.type === 'synced') return;
    const id = storeKey(event.object.metadata.namespace, event.object.metadata.name);
    replace(id, event.type === 'deleted' ? undefined : event.object);
  });
  return { get: (key) => byKey.get(key) ?? none, keys: () => byKey.keys(), close: unsubscribe };
}
