// SPDX-License-Identifier: Apache-2.0
/*
 * A watch that goes on for ever on a server whose watches do not: list, watch from there, resume where it was cut, list again where the
 * server has forgotten (410 Gone) and tell only the differences. Failures back off with jitter. Source: Kubernetes API concepts,
 * "Efficient detection of changes"; control-contract §6.1.
 */
import { isResourceError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import { apiVersionOf } from '../kinds/registry.ts';
import type { Resource, ResourceKind, Selector, Watch, WatchEvent } from '../types.ts';
import type { ApiCall, ApiClient, LineStream } from './api-client.ts';
import { acceptOf, collectionPath } from './resource-path.ts';
import { addSelector } from './selector-query.ts';
import { errorOfStatus } from './status-answer.ts';
import { fromWire, lastWrittenMs } from './wire-object.ts';

/** Times of a list-watch, in milliseconds. */
export interface ListWatchTiming {
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  /** Asked of the server as the length of a watch: this to twice this. */
  readonly watchMs: number;
}

/** What a list-watch needs. */
export interface ListWatchOptions {
  readonly client: ApiClient;
  readonly kind: ResourceKind;
  readonly selector: Selector | undefined;
  /** Shortens an object before it is kept. */
  readonly project: (object: Resource) => Resource;
  readonly timing: ListWatchTiming;
  /** In [0, 1). */
  readonly random: () => number;
  /** A failure that is being retried. */
  readonly onRetry: (error: unknown, delayMs: number) => void;
  /** Told of each change that a watch brought, how long ago it was written. Milliseconds. */
  readonly onLag?: (lagMs: number) => void;
  /** Lists, item by item, through `project`; resolves with the version of the list. */
  readonly list: (onItem: (item: Resource) => void) => Promise<string>;
}

/** What is remembered of an object: enough to tell what changed, and who was deleted. Objects themselves are not kept. */
interface Known {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

function keyOf({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Whether a failure means that the server no longer knows the version. */
function isGone(error: unknown): boolean {
  return isResourceError(error) && error.status === 410;
}

/** Runs until closed. */
export class ListWatch implements Watch {
  private readonly options: ListWatchOptions;
  private readonly handler: (event: WatchEvent<Resource>) => void;
  private readonly known = new Map<string, Known>();
  private resourceVersion: string | undefined;
  private isSynced = false;
  private isClosed = false;
  private failures = 0;
  private stream: LineStream | undefined;
  private wake: (() => void) | undefined;

  constructor(options: ListWatchOptions, handler: (event: WatchEvent<Resource>) => void) {
    this.options = options;
    this.handler = handler;
    void this.run();
  }

  close(): void {
    this.isClosed = true;
    this.stream?.abort();
    this.wake?.();
  }

  /** Never rejects: every failure is retried. */
  private async run(): Promise<void> {
    while (!this.isClosed) {
      try {
        if (this.resourceVersion === undefined) await this.relist();
        await this.follow();
      } catch (error) {
        if (isGone(error)) this.resourceVersion = undefined;
        await this.backOff(error);
      }
    }
  }

  private async backOff(error: unknown): Promise<void> {
    if (this.isClosed) return;
    const { minBackoffMs, maxBackoffMs } = this.options.timing;
    const ceiling = Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(this.failures, 30));
    // The first listing again after a 410 need not wait.
    const jittered = isGone(error) && this.failures === 0 ? 0 : ceiling * (0.5 + this.options.random() / 2);
    const askedMs = isResourceError(error) ? Math.min(error.retryAfterMs ?? 0, maxBackoffMs) : 0;
    const delayMs = Math.max(jittered, askedMs);
    this.failures += 1;
    this.options.onRetry(error, delayMs);
    await this.pause(delayMs);
  }

  private async pause(delayMs: number): Promise<void> {
    if (this.isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.wake = resolve;
    const timer = setTimeout(resolve, delayMs);
    await promise;
    clearTimeout(timer);
  }

  private async relist(): Promise<void> {
    const listed = new Set<string>();
    // New objects wait for the deletions: what is gone must not stand beside what has taken its address.
    const fresh: Resource[] = [];
    const isFirst = !this.isSynced;
    const resourceVersion = await this.options.list((item) => {
      const key = keyOf(item);
      listed.add(key);
      if (isFirst || this.known.has(key)) this.put(item);
      else fresh.push(item);
    });
    for (const [key, known] of this.known) if (!listed.has(key)) this.remove(key, this.deletedObject(known));
    for (const item of fresh) this.put(item);
    this.resourceVersion = resourceVersion;
    if (this.isSynced) return;
    this.isSynced = true;
    this.emit({ type: 'synced' });
  }

  private async follow(): Promise<void> {
    if (this.isClosed) return;
    const { client, kind, selector, timing, random } = this.options;
    const query = new URLSearchParams({ watch: 'true', allowWatchBookmarks: 'true', resourceVersion: this.resourceVersion ?? '' });
    query.set('timeoutSeconds', String(Math.ceil((timing.watchMs * (1 + random())) / 1000)));
    addSelector(query, selector);
    let failure: unknown;
    let events = 0;
    const call: ApiCall = { method: 'GET', path: collectionPath(kind, selector?.namespace), query, ...acceptOf(kind, 'object') };
    const stream = client.stream(call, (line) => {
      events += 1;
      failure = this.take(line);
      if (failure !== undefined) stream.abort();
    });
    this.stream = stream;
    if (this.isClosed) stream.abort();
    await stream.ended;
    if (failure !== undefined) throw failure;
    this.failures = 0;
    // A server that ends its watches at once must not be asked again at once.
    if (events === 0) await this.pause(timing.minBackoffMs);
  }

  /** Takes one event; returns the error that it carries or is. */
  private take(line: string): unknown {
    let event: unknown;
    try {
      event = JSON.parse(line);
    } catch (error) {
      return error;
    }
    if (!isJsonObject(event)) return new TypeError('a watch event must be an object');
    if (event['type'] === 'ERROR') {
      const { code } = isJsonObject(event['object']) ? event['object'] : {};
      return errorOfStatus(typeof code === 'number' ? code : 500, event['object']);
    }
    const { object } = event;
    const metadata = isJsonObject(object) && isJsonObject(object['metadata']) ? object['metadata'] : {};
    if (event['type'] !== 'BOOKMARK') {
      const { kind, project } = this.options;
      const resource = fromWire(object, apiVersionOf(kind), kind.kind);
      if (resource === undefined) return new TypeError('a watch event must carry an object');
      if (event['type'] === 'MODIFIED') this.tellLag(object);
      if (event['type'] === 'DELETED') this.remove(keyOf(resource), project(resource));
      else this.put(project(resource));
    }
    // Only after the event has been told: a handler must not lose it to a resume.
    if (typeof metadata['resourceVersion'] === 'string') this.resourceVersion = metadata['resourceVersion'];
    this.failures = 0;
    return undefined;
  }

  private tellLag(object: unknown): void {
    const { onLag } = this.options;
    const writtenMs = onLag === undefined ? undefined : lastWrittenMs(object);
    // Written times are whole seconds, and clocks differ.
    if (writtenMs !== undefined) onLag?.(Math.max(0, Date.now() - writtenMs));
  }

  private put(object: Resource): void {
    if (this.isClosed) return;
    const key = keyOf(object);
    const old = this.known.get(key);
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const isSame = old?.uid === uid;
    if (isSame && old.resourceVersion === resourceVersion) return;
    if (old !== undefined && !isSame) this.remove(key, this.deletedObject(old));
    this.known.set(key, { namespace, name, uid, resourceVersion });
    this.emit({ type: isSame ? 'modified' : 'added', object });
  }

  private remove(key: string, last: Resource): void {
    if (this.known.delete(key)) this.emit({ type: 'deleted', object: last });
  }

  /** An object of which only the absence is known. */
  private deletedObject({ namespace, name, uid, resourceVersion }: Known): Resource {
    const { kind } = this.options;
    const metadata = { namespace, name, uid, resourceVersion, creationTimestamp: '', labels: {}, annotations: {} };
    return { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
  }

  private emit(event: WatchEvent<Resource>): void {
    if (this.isClosed) return;
    try {
      this.handler(event);
    } catch (error) {
      // The handler's mistake must be seen, and must not cost the events behind it.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
