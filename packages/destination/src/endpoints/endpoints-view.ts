// SPDX-License-Identifier: Apache-2.0
/*
 * What the clients of one node see of a service port (control-contract §1.5, filtering): its endpoints behind the filters of traffic policy,
 * topology hints and address family. It remembers what it sent, turns changes into one `add` and one `remove`, and serves any number of
 * streams with the same bytes.
 */
import type { SharedSeries } from '../metrics.ts';
import type { TranslationContext } from '../weighted-addr.ts';
import { isWorthSending, siblingId, type ServiceEndpoint } from './endpoint.ts';
import { addMessage, removeMessage, type EncodedUpdate } from './update-message.ts';

/** Where the clients of a view are; '' where unknown. The zone is read once, node label changes are not followed. */
export interface ViewPlace {
  readonly nodeName: string;
  readonly zone: string;
  /** False: neither traffic policy nor hints apply (endpoints of another cluster). */
  readonly isFiltering: boolean;
}

/** What a view filters: all endpoints of a service port, with the facts that choose the filter. */
export interface EndpointCandidates {
  readonly endpoints: ReadonlyMap<string, ServiceEndpoint>;
  /** `internalTrafficPolicy: Local`. */
  readonly isNodeLocal: boolean;
  /** Candidates with hints that contain the zone; undefined while some candidate has no hints. */
  hintedCount(zone: string): number | undefined;
  /** How many candidates share an `address:port`. */
  socketCount(socket: string): number;
  readonly setLabels: Readonly<Record<string, string>>;
}

/** Takes the updates of a view. */
export interface EndpointSubscriber {
  publish(update: EncodedUpdate): void;
}

const FILTER_NONE = 0;
const FILTER_NODE = 1;
const FILTER_ZONE = 2;
type Filter = typeof FILTER_NONE | typeof FILTER_NODE | typeof FILTER_ZONE;

/** One view; `apply` after each change of the candidates. */
export class EndpointsView {
  private readonly subscribers = new Set<EndpointSubscriber>();
  private readonly context: TranslationContext;
  private readonly candidates: EndpointCandidates;
  private readonly place: ViewPlace;
  private readonly series: SharedSeries;
  private readonly sent = new Map<string, ServiceEndpoint>();
  private filter: Filter;
  private snapshot: EncodedUpdate | undefined = undefined;
  private isSnapshotFresh = false;

  constructor(context: TranslationContext, candidates: EndpointCandidates, place: ViewPlace, series: SharedSeries) {
    this.context = context;
    this.candidates = candidates;
    this.place = place;
    this.series = series;
    this.filter = this.chooseFilter();
    for (const [id, endpoint] of candidates.endpoints) {
      if (this.admits(endpoint)) this.sent.set(id, endpoint);
    }
  }

  get hasSubscribers(): boolean {
    return this.subscribers.size > 0;
  }

  /** Adds a subscriber and gives it everything at once, if there is anything. Returns its removal. */
  subscribe(subscriber: EndpointSubscriber): () => void {
    this.subscribers.add(subscriber);
    this.series.changed(this.subscribers.size, this.sent.size);
    if (!this.isSnapshotFresh) {
      this.snapshot = addMessage(this.context, [...this.sent.values()], this.candidates.setLabels, this.place.zone);
      this.isSnapshotFresh = true;
    }
    if (this.snapshot !== undefined) subscriber.publish(this.snapshot);
    return () => {
      this.subscribers.delete(subscriber);
      if (this.subscribers.size > 0) this.series.changed(this.subscribers.size, this.sent.size);
      else this.series.ended();
    };
  }

  /** Publishes what changed among the candidates with these ids, or among all where the filter itself changed. */
  apply(changedIds: Iterable<string>): void {
    const filter = this.chooseFilter();
    const isAll = filter !== this.filter;
    this.filter = filter;
    const added = new Map<string, ServiceEndpoint>();
    const removed: ServiceEndpoint[] = [];
    for (const id of isAll ? new Set([...this.candidates.endpoints.keys(), ...this.sent.keys()]) : changedIds) {
      const before = this.sent.get(id);
      const candidate = this.candidates.endpoints.get(id);
      const after = candidate !== undefined && this.admits(candidate) ? candidate : undefined;
      if (after === undefined) {
        if (before !== undefined) {
          this.sent.delete(id);
          removed.push(before);
        }
        continue;
      }
      this.sent.set(id, after);
      if (before === undefined || isWorthSending(before, after)) added.set(id, after);
      if (before !== undefined && before.socket !== after.socket) removed.push(before);
    }
    const gone = removed.filter((endpoint) => !this.keepsSocket(endpoint.socket, added));
    this.publish(addMessage(this.context, [...added.values()], this.candidates.setLabels, this.place.zone));
    this.publish(removeMessage(gone));
  }

  /**
   * Whether another endpoint has the same address and port, as when a pod takes over its predecessor's: clients know endpoints by that alone, so
   * a `remove` after the `add` would lose it. An heir that clients were not just told of is told again, since they know its predecessor.
   */
  private keepsSocket(socket: string, added: Map<string, ServiceEndpoint>): boolean {
    if (this.candidates.socketCount(socket) === 0) return false;
    for (const [id, endpoint] of this.sent) {
      if (endpoint.socket !== socket) continue;
      added.set(id, endpoint);
      return true;
    }
    return false;
  }

  private publish(update: EncodedUpdate | undefined): void {
    if (update === undefined) return;
    this.isSnapshotFresh = false;
    this.snapshot = undefined;
    this.series.updated();
    this.series.changed(this.subscribers.size, this.sent.size);
    for (const subscriber of this.subscribers) subscriber.publish(update);
  }

  private chooseFilter(): Filter {
    if (!this.place.isFiltering) return FILTER_NONE;
    if (this.candidates.isNodeLocal) return FILTER_NODE;
    const hinted = this.place.zone === '' ? 0 : (this.candidates.hintedCount(this.place.zone) ?? 0);
    return hinted > 0 ? FILTER_ZONE : FILTER_NONE;
  }

  private admits(endpoint: ServiceEndpoint): boolean {
    if (!this.passesFilter(endpoint)) return false;
    if (endpoint.workload.kind !== 'pod') return true;
    const { isIpv6Enabled } = this.context.options;
    if (endpoint.ip.family === 6) return isIpv6Enabled;
    if (!isIpv6Enabled) return true;
    const sibling = this.candidates.endpoints.get(siblingId(endpoint) ?? '');
    return sibling === undefined || !this.passesFilter(sibling);
  }

  private passesFilter(endpoint: ServiceEndpoint): boolean {
    switch (this.filter) {
      case FILTER_NONE:
        return true;
      case FILTER_NODE:
        return endpoint.workload.kind === 'pod' && this.place.nodeName !== '' && endpoint.workload.pod.nodeName === this.place.nodeName;
      case FILTER_ZONE:
        return endpoint.hintZones?.includes(this.place.zone) === true;
    }
  }
}
