// SPDX-License-Identifier: Apache-2.0
/*
 * A ResourceSource over an object store of this process: the memory source, and the reading and writing half of the directory source.
 * Watch events are delivered from a microtask after the change, so a handler never runs inside a write, and a caller that awaits its
 * write sees the event delivered. A watch of a kind that is not served says nothing, not even that it is synced: as with an API server, ask
 * `supports` first.
 */
import { ResourceError } from './errors.ts';
import type { ResourceInput, Resource, ResourceKind, ResourceSource, Selector, Watch, WatchEvent } from './types.ts';
import { selectedChange } from './store/selected-change.ts';
import type { ObjectStore } from './store/object-store.ts';
import { typeKey } from './store/resource-type.ts';

/** A source whose objects live in this process; `store` gives synchronous access, for tests and for the HTTP face. */
export interface LocalSource extends ResourceSource {
  readonly store: ObjectStore;
}

/** A queue of events that empties itself into a handler, one at a time. */
class EventQueue {
  private readonly handler: (event: WatchEvent<Resource>) => void;
  private events: WatchEvent<Resource>[] = [];
  private isScheduled = false;
  private isClosed = false;

  constructor(handler: (event: WatchEvent<Resource>) => void) {
    this.handler = handler;
  }

  push(event: WatchEvent<Resource>): void {
    this.events.push(event);
    if (this.isScheduled) return;
    this.isScheduled = true;
    queueMicrotask(() => this.drain());
  }

  close(): void {
    this.isClosed = true;
    this.events = [];
  }

  private drain(): void {
    const { events } = this;
    // The handler may push more, and may close the watch.
    for (let index = 0; index < events.length && !this.isClosed; index += 1) {
      try {
        this.handler(events[index] as WatchEvent<Resource>);
      } catch (error) {
        // The handler's mistake must be seen, and must not cost the events behind it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    this.events = [];
    this.isScheduled = false;
  }
}

/** The source over `store`; `onClose` runs once when it is closed. */
export function localSource(store: ObjectStore, onClose: () => Promise<void> = () => Promise.resolve()): LocalSource {
  const watches = new Set<Watch>();

  function watch<R extends Resource>(
    kind: ResourceKind<R>,
    selector: Selector | undefined,
    handler: (event: WatchEvent<R>) => void,
  ): Watch {
    const queue = new EventQueue(handler as (event: WatchEvent<Resource>) => void);
    const type = store.find(kind);
    let unsubscribe: () => void = () => undefined;
    if (type !== undefined) {
      for (const object of store.list(kind, selector)) queue.push({ type: 'added', object });
      queue.push({ type: 'synced' });
      const key = typeKey(kind);
      unsubscribe = store.subscribe((change) => {
        if (typeKey(change.type) !== key) return;
        const event = selectedChange(change, selector);
        if (event !== undefined) queue.push({ type: event.type, object: store.viewAs(kind, event.object) });
      });
    }
    const open: Watch = {
      close: () => {
        unsubscribe();
        queue.close();
        watches.delete(open);
      },
    };
    watches.add(open);
    return open;
  }

  return {
    store,
    supports: (kind) => Promise.resolve(store.find(kind) !== undefined),
    get: async (kind, namespace, name) => store.get(kind, namespace, name) as never,
    list: async (kind, selector) => store.list(kind, selector) as never,
    watch,
    create: async (kind, object: ResourceInput) => store.create(kind, object) as never,
    update: async (kind, object: ResourceInput) => store.update(kind, object) as never,
    apply: async (kind, object: ResourceInput, fieldManager) => store.apply(kind, object, fieldManager) as never,
    patch: async (kind, namespace, name, patch, fieldManager) => store.patch(kind, namespace, name, patch, { fieldManager }) as never,
    patchStatus: async (kind, namespace, name, patch, fieldManager) =>
      store.patchStatus(kind, namespace, name, patch, { fieldManager }) as never,
    delete: async (kind, namespace, name, { uid } = {}) => {
      if (uid !== undefined && store.get(kind, namespace, name).metadata.uid !== uid) {
        throw new ResourceError('ERR_CONFLICT', `${kind.kind} ${JSON.stringify(name)} is another object than the one to delete`);
      }
      store.delete(kind, namespace, name);
    },
    close: async () => {
      for (const open of watches) open.close();
      await onClose();
    },
  };
}
