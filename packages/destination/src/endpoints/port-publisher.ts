// SPDX-License-Identifier: Apache-2.0
/*
 * All endpoints of one requested port of a Service (or of one hostname in it), resolved slice by slice and offered to views
 * (control-contract §1.5). A change costs what its slice costs, not what the service costs.
 */
import type { Logger } from '@weft/telemetry';

import type { DestinationMetrics } from '../metrics.ts';
import type { ServiceRecord } from '../records/service-record.ts';
import type { SliceRecord } from '../records/slice-record.ts';
import type { TranslationContext } from '../weighted-addr.ts';
import type { World } from '../world.ts';
import { resolveSlice, siblingId, withServers, type ServiceEndpoint } from './endpoint.ts';
import { EndpointsView, type EndpointCandidates, type EndpointSubscriber, type ViewPlace } from './endpoints-view.ts';

/** The endpoints of a service port. */
export class PortPublisher implements EndpointCandidates {
  readonly serviceKey: string;
  readonly port: number;
  readonly hostname: string;
  readonly endpoints: Map<string, ServiceEndpoint> = new Map();
  /** Objects looked up in vain, per slice; their arrival calls for `refreshSlice`. */
  readonly missing: Map<string, readonly string[]> = new Map();
  readonly views: Map<string, EndpointsView> = new Map();
  private readonly world: World;
  private readonly context: TranslationContext;
  private readonly log: Logger;
  private readonly metrics: DestinationMetrics;
  private service: ServiceRecord | undefined;
  private readonly bySlice = new Map<string, ReadonlyMap<string, ServiceEndpoint>>();
  private readonly hintedByZone = new Map<string, number>();
  private hintlessCount = 0;
  private readonly sockets = new Map<string, number>();
  private mirrorLabels: Readonly<Record<string, string>> = {};

  constructor(
    world: World,
    context: TranslationContext,
    log: Logger,
    metrics: DestinationMetrics,
    service: ServiceRecord,
    port: number,
    hostname: string,
  ) {
    this.world = world;
    this.context = context;
    this.log = log;
    this.metrics = metrics;
    this.service = service;
    this.serviceKey = service.key;
    this.port = port;
    this.hostname = hostname;
    this.resolveAll();
  }

  get isNodeLocal(): boolean {
    return this.service?.isNodeLocal === true;
  }

  get setLabels(): { readonly service: string; readonly namespace: string; readonly [label: string]: string } {
    const [namespace = '', name = ''] = this.serviceKey.split('/', 2);
    return { service: name, namespace, ...this.mirrorLabels };
  }

  hintedCount(zone: string): number | undefined {
    return this.hintlessCount > 0 ? undefined : (this.hintedByZone.get(zone) ?? 0);
  }

  socketCount(socket: string): number {
    return this.sockets.get(socket) ?? 0;
  }

  /** Subscribes to the view of a place, made for its first subscriber. Returns the end of the subscription. */
  subscribe(place: ViewPlace, subscriber: EndpointSubscriber): () => void {
    const key = place.isFiltering ? `node:${place.nodeName}` : 'unfiltered';
    let view = this.views.get(key);
    if (view === undefined) {
      const { service, namespace } = this.setLabels;
      const series = this.metrics.endpointsView(namespace, service, this.port, this.hostname, place.nodeName);
      view = new EndpointsView(this.context, this, place, series);
      this.views.set(key, view);
    }
    const unsubscribe = view.subscribe(subscriber);
    return () => {
      unsubscribe();
      if (!view.hasSubscribers && this.views.get(key) === view) this.views.delete(key);
    };
  }

  /** The Service changed; undefined: it was deleted, which removes its endpoints and keeps streams open (§1.4). */
  setService(service: ServiceRecord | undefined): void {
    this.service = service;
    this.tell(this.resolveAll());
  }

  /** A slice came, changed, or went (undefined). */
  setSlice(key: string, slice: SliceRecord | undefined): void {
    this.tell(this.resolveOne(key, slice));
  }

  /** An object came that `key`'s resolution had missed. */
  refreshSlices(missing: string): void {
    const changed = new Set<string>();
    const keys = [...this.missing].filter(([, names]) => names.includes(missing)).map(([key]) => key);
    for (const slice of this.world.slicesOf(this.serviceKey)) {
      if (!keys.includes(slice.key)) continue;
      for (const id of this.resolveOne(slice.key, slice)) changed.add(id);
    }
    this.tell(changed);
  }

  /** Servers of the service's namespace changed. */
  refreshServers(): void {
    const changed = new Set<string>();
    for (const [key, endpoints] of this.bySlice) {
      const next = new Map<string, ServiceEndpoint>();
      for (const [id, endpoint] of endpoints) {
        const after = withServers(this.world, endpoint);
        next.set(id, after);
        if (after === endpoint) continue;
        changed.add(id);
        if (this.endpoints.get(id) === endpoint) this.put(id, after);
      }
      this.bySlice.set(key, next);
    }
    this.tell(changed);
  }

  private tell(changed: ReadonlySet<string>): void {
    for (const view of this.views.values()) view.apply(changed);
  }

  private resolveAll(): Set<string> {
    const changed = new Set<string>();
    const slices = new Map([...this.world.slicesOf(this.serviceKey)].map((slice) => [slice.key, slice]));
    for (const key of new Set([...this.bySlice.keys(), ...slices.keys()])) {
      for (const id of this.resolveOne(key, slices.get(key))) changed.add(id);
    }
    return changed;
  }

  /** Resolves one slice anew; returns the ids that it touched. */
  private resolveOne(key: string, slice: SliceRecord | undefined): Set<string> {
    const changed = new Set<string>();
    const before = this.bySlice.get(key);
    const service = this.service;
    if (slice === undefined || service === undefined) {
      this.bySlice.delete(key);
      this.missing.delete(key);
    } else {
      const resolved = resolveSlice(this.world, service, slice, this.port, this.hostname);
      this.bySlice.set(key, resolved.endpoints);
      if (resolved.missing.length > 0) this.missing.set(key, resolved.missing);
      else this.missing.delete(key);
      for (const pod of resolved.undialable) this.log.warn('meshed pod without proxy ports is left out', { pod, service: this.serviceKey });
      for (const [id, endpoint] of resolved.endpoints) {
        const current = this.endpoints.get(id);
        // Of several slices that have an endpoint, the one with the first key speaks for it: every replica agrees, in whatever order they came.
        if (current === undefined || current.sliceKey >= key) this.put(id, endpoint);
        changed.add(id);
      }
      this.setMirrorLabels(slice);
    }
    for (const id of before?.keys() ?? []) {
      if (changed.has(id)) continue;
      if (this.endpoints.get(id)?.sliceKey === key) this.put(id, this.elsewhere(id));
      changed.add(id);
    }
    if (this.context.options.isIpv6Enabled) this.addSiblings(changed, before);
    return changed;
  }

  /** An endpoint moves between slices without leaving the service: while another slice has it, it stays. */
  private elsewhere(id: string): ServiceEndpoint | undefined {
    let first: ServiceEndpoint | undefined;
    for (const endpoints of this.bySlice.values()) {
      const endpoint = endpoints.get(id);
      if (endpoint !== undefined && (first === undefined || endpoint.sliceKey < first.sliceKey)) first = endpoint;
    }
    return first;
  }

  /** The IPv6 endpoint of a pod hides its IPv4 one, so a change of one is a change of the other. */
  private addSiblings(changed: Set<string>, before: ReadonlyMap<string, ServiceEndpoint> | undefined): void {
    // Siblings that are added on the way are visited too, and add nothing.
    for (const id of changed) {
      const endpoint = this.endpoints.get(id) ?? before?.get(id);
      const sibling = endpoint === undefined ? undefined : siblingId(endpoint);
      if (sibling !== undefined) changed.add(sibling);
    }
  }

  private put(id: string, after: ServiceEndpoint | undefined): void {
    const before = this.endpoints.get(id);
    if (before !== undefined) this.tally(before, -1);
    if (after === undefined) {
      this.endpoints.delete(id);
      return;
    }
    this.endpoints.set(id, after);
    this.tally(after, 1);
  }

  private tally(endpoint: ServiceEndpoint, step: 1 | -1): void {
    add(this.sockets, endpoint.socket, step);
    if (endpoint.hintZones === undefined || endpoint.hintZones.length === 0) this.hintlessCount += step;
    else for (const zone of new Set(endpoint.hintZones)) add(this.hintedByZone, zone, step);
  }

  private setMirrorLabels(slice: SliceRecord): void {
    if (slice.mirrorClusterName === undefined) return;
    const [service, namespace] = slice.remoteServiceFqName?.split('.') ?? [];
    this.mirrorLabels = {
      target_cluster: slice.mirrorClusterName,
      ...(service !== undefined && namespace !== undefined ? { target_service: service, target_service_namespace: namespace } : {}),
    };
  }
}

function add(counts: Map<string, number>, key: string, step: number): void {
  const count = (counts.get(key) ?? 0) + step;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
