// SPDX-License-Identifier: Apache-2.0
/*
 * Writes EndpointSlices for Services that select ExternalWorkloads (control-contract §1.12), while this process leads. Each Service is a key
 * in a queue that holds it once; what is written is what is right when its turn comes, and a failure is tried again later, a bounded number
 * of times. It watches only while it leads, so that replicas that follow pay nothing.
 */
import { randomInt } from 'node:crypto';
import {
  createStore,
  EndpointSliceKind,
  ExternalWorkloadKind,
  isResourceError,
  ServiceKind,
  storeKey,
  type EndpointSlice,
  type ExternalWorkload,
  type ResourceSource,
  type ResourceStore,
  type Service,
} from '@weft/resources';
import type { Logger } from '@weft/telemetry';

import { MANAGED_BY_LABEL, SERVICE_NAME_LABEL } from '../records/annotations.ts';
import { SLICE_MANAGER, sliceChanges } from './slice-changes.ts';
import { isEligible, isSelected, wantedEndpoints } from './wanted-endpoints.ts';

/** Tries of one Service before it is left until something about it changes. */
export const MAX_TRIES = 15;
/** Wait before the first retry, doubled each time. Milliseconds. */
export const MIN_RETRY_MS = 50;
/** Longest wait before a retry. Milliseconds. */
export const MAX_RETRY_MS = 60_000;
/** Services that are written at a time. */
export const MAX_CONCURRENT_SERVICES = 4;

const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** What became of the writes; for metrics. */
export interface EndpointWriterCounts {
  written(): void;
  failed(): void;
  dropped(): void;
}

interface Stores {
  readonly services: ResourceStore<Service>;
  readonly workloads: ResourceStore<ExternalWorkload>;
  readonly slices: ResourceStore<EndpointSlice>;
}

/** Writes while it leads. */
export class EndpointWriter {
  private readonly source: ResourceSource;
  private readonly log: Logger;
  private readonly counts: EndpointWriterCounts;
  private readonly queue = new Set<string>();
  private readonly inFlight = new Set<string>();
  private readonly tries = new Map<string, number>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private stores: Stores | undefined;

  constructor(source: ResourceSource, log: Logger, counts: EndpointWriterCounts) {
    this.source = source;
    this.log = log;
    this.counts = counts;
  }

  /** Starts or stops writing. */
  lead(isLeading: boolean): void {
    if (!isLeading) this.close();
    else if (this.stores === undefined) this.open();
  }

  /** Stops watching and forgets what was to be written. A write under way ends by itself. */
  close(): void {
    for (const store of Object.values(this.stores ?? {}) as ResourceStore<never>[]) store.close();
    this.stores = undefined;
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    this.queue.clear();
    this.tries.clear();
  }

  private open(): void {
    const stores: Stores = {
      services: createStore(this.source, ServiceKind),
      workloads: createStore(this.source, ExternalWorkloadKind),
      slices: createStore(this.source, EndpointSliceKind, { labels: { [MANAGED_BY_LABEL]: SLICE_MANAGER } }),
    };
    this.stores = stores;
    // Never rejects. Nothing is written before all three are known: a slice whose workloads are not here yet would be emptied.
    void Promise.all([stores.services.synced, stores.workloads.synced, stores.slices.synced]).then(() => {
      if (this.stores === stores) this.follow(stores);
    });
  }

  private follow({ services, workloads, slices }: Stores): void {
    services.onChange((event) => event.type !== 'synced' && this.enqueue(keyOf(event.object)));
    workloads.onChange((event) => {
      if (event.type === 'synced') return;
      this.enqueueSelecting(event.object);
      if (event.type === 'modified') this.enqueueSelecting(event.previous);
      // What a deletion leaves of an object may lack its labels: slices know who had it.
      if (event.type === 'deleted') this.enqueueHolding(event.object);
    });
    slices.onChange((event) => event.type !== 'synced' && this.enqueueOwner(event.type === 'modified' ? event.previous : event.object));
    for (const [key, service] of services.objects) if (isEligible(service)) this.enqueue(key);
    for (const slice of slices.objects.values()) this.enqueueOwner(slice);
  }

  private enqueueSelecting(workload: ExternalWorkload): void {
    for (const [key, service] of this.stores?.services.objects ?? []) {
      if (isEligible(service) && isSelected(service, workload)) this.enqueue(key);
    }
  }

  private enqueueHolding({ metadata }: ExternalWorkload): void {
    for (const slice of this.stores?.slices.objects.values() ?? []) {
      const isHolding = slice.endpoints?.some(({ targetRef }) => targetRef?.name === metadata.name) === true;
      if (slice.metadata.namespace === metadata.namespace && isHolding) this.enqueueOwner(slice);
    }
  }

  private enqueueOwner({ metadata }: EndpointSlice): void {
    const service = metadata.labels[SERVICE_NAME_LABEL];
    if (service !== undefined) this.enqueue(storeKey(metadata.namespace, service));
  }

  private enqueue(key: string): void {
    clearTimeout(this.timers.get(key));
    this.timers.delete(key);
    this.queue.add(key);
    this.drain();
  }

  /** Starts what may start. Never two writes for one Service at a time: the second would not know of the first. */
  private drain(): void {
    for (const key of this.queue) {
      if (this.inFlight.size >= MAX_CONCURRENT_SERVICES) return;
      if (this.inFlight.has(key)) continue;
      this.queue.delete(key);
      this.inFlight.add(key);
      // Never rejects: failures are counted and tried again.
      void this.attempt(key).then(() => {
        this.inFlight.delete(key);
        this.drain();
      });
    }
  }

  private async attempt(key: string): Promise<void> {
    try {
      await this.write(key);
      this.tries.delete(key);
    } catch (error) {
      this.retry(key, error);
    }
  }

  private retry(key: string, error: unknown): void {
    if (this.stores === undefined) return;
    this.counts.failed();
    const tries = (this.tries.get(key) ?? 0) + 1;
    const fields = { service: key, error: error instanceof Error ? error.message : String(error) };
    if (tries >= MAX_TRIES) {
      this.tries.delete(key);
      this.counts.dropped();
      this.log.error('external endpoints of a service are given up', fields);
      return;
    }
    this.log.debug('external endpoints of a service are tried again', fields);
    this.tries.set(key, tries);
    const timer = setTimeout(() => this.enqueue(key), Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** (tries - 1)));
    timer.unref();
    this.timers.set(key, timer);
  }

  private async write(key: string): Promise<void> {
    const { stores, source } = this;
    if (stores === undefined) return;
    const service = stores.services.objects.get(key);
    const existing = [...stores.slices.objects.values()].filter(
      ({ metadata }) => storeKey(metadata.namespace, metadata.labels[SERVICE_NAME_LABEL] ?? '') === key,
    );
    const changes =
      service === undefined
        ? { create: [], update: [], delete: existing }
        : sliceChanges(service, wantedEndpoints(service, stores.workloads.objects.values()), existing, () => sliceName(service));
    for (const slice of changes.update) await this.counted(source.update(EndpointSliceKind, slice));
    for (const slice of changes.create) await this.counted(source.create(EndpointSliceKind, slice));
    for (const { metadata } of changes.delete) {
      await this.counted(source.delete(EndpointSliceKind, metadata.namespace, metadata.name, { uid: metadata.uid }).catch(unlessGone));
    }
    // The watch has yet to tell of what was created; until it does, another turn would create it again.
    await this.settled(changes.create.map(({ metadata }) => storeKey(metadata.namespace ?? '', metadata.name)));
  }

  private async counted(write: Promise<unknown>): Promise<void> {
    await write;
    this.counts.written();
  }

  /** Waits until the watch has told of new slices, or writing has stopped. */
  private async settled(keys: readonly string[]): Promise<void> {
    const { stores } = this;
    if (stores === undefined) return;
    const isSeen = (): boolean => keys.every((key) => stores.slices.objects.has(key));
    const deadlineMs = performance.now() + SEEN_MS;
    while (!isSeen() && this.stores === stores && performance.now() < deadlineMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const stop = stores.slices.onChange(() => resolve());
      const timer = setTimeout(resolve, SEEN_POLL_MS);
      await promise;
      clearTimeout(timer);
      stop();
    }
  }
}

/** Longest wait for the watch to tell of a slice that was written. Milliseconds. */
const SEEN_MS = 5000;
/** Between looks whether writing has stopped meanwhile. Milliseconds. */
const SEEN_POLL_MS = 250;

function keyOf({ metadata }: Service): string {
  return storeKey(metadata.namespace, metadata.name);
}

/** As an API server would make it of the prefix (`generateName`). */
function sliceName({ metadata }: Service): string {
  let suffix = '';
  for (let length = 0; length < 5; length += 1) suffix += SUFFIX_LETTERS.charAt(randomInt(SUFFIX_LETTERS.length));
  return `linkerd-external-${metadata.name}-${suffix}`;
}

/** A slice that is gone, or another one by now, need not be deleted. */
function unlessGone(error: unknown): void {
  if (!isResourceError(error, 'ERR_NOT_FOUND') && !isResourceError(error, 'ERR_CONFLICT')) throw error;
}
