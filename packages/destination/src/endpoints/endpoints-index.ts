// SPDX-License-Identifier: Apache-2.0
/*
 * The publishers of every service port that some stream asks for, and the routing of cluster changes to them (control-contract §1.5). A
 * publisher exists while it has subscribers.
 */
import type { Logger } from '@weft/telemetry';

import type { DestinationMetrics } from '../metrics.ts';
import type { ServiceRecord } from '../records/service-record.ts';
import type { TranslationContext } from '../weighted-addr.ts';
import type { World } from '../world.ts';
import type { EndpointSubscriber, ViewPlace } from './endpoints-view.ts';
import { PortPublisher } from './port-publisher.ts';

/** Publishers by service, port and hostname. */
export class EndpointsIndex {
  private readonly world: World;
  private readonly context: TranslationContext;
  private readonly log: Logger;
  private readonly metrics: DestinationMetrics;
  private readonly byService = new Map<string, Map<string, PortPublisher>>();

  constructor(world: World, context: TranslationContext, log: Logger, metrics: DestinationMetrics) {
    this.world = world;
    this.context = context;
    this.log = log;
    this.metrics = metrics;
    world.services.onChange(({ key, after }) => {
      for (const publisher of this.publishersOf(key)) publisher.setService(after);
    });
    world.onSliceChange(({ key, before, after }) => {
      if (before !== undefined && before.serviceKey !== after?.serviceKey) {
        for (const publisher of this.publishersOf(before.serviceKey)) publisher.setSlice(key, undefined);
      }
      if (after !== undefined) for (const publisher of this.publishersOf(after.serviceKey)) publisher.setSlice(key, after);
    });
    world.pods.onChange(({ key, after }) => this.arrived(`pod:${key}`, after));
    world.externalWorkloads.onChange(({ key, after }) => this.arrived(`external-workload:${key}`, after));
    world.replicaSets.onChange(({ key, after }) => this.arrived(`replicaSets:${key}`, after));
    world.jobs.onChange(({ key, after }) => this.arrived(`jobs:${key}`, after));
    world.servers.onChange(({ before, after }) => {
      if (before?.isOpaque !== true && after?.isOpaque !== true) return;
      const prefix = `${(after ?? before)?.namespace ?? ''}/`;
      for (const [service, publishers] of this.byService) {
        if (service.startsWith(prefix)) for (const publisher of publishers.values()) publisher.refreshServers();
      }
    });
  }

  /** Subscribes to `port` of a service, or to one hostname in it. Returns the end of the subscription. */
  subscribe(service: ServiceRecord, port: number, hostname: string, place: ViewPlace, subscriber: EndpointSubscriber): () => void {
    const key = `${port}/${hostname}`;
    let publishers = this.byService.get(service.key);
    if (publishers === undefined) {
      publishers = new Map();
      this.byService.set(service.key, publishers);
    }
    let publisher = publishers.get(key);
    if (publisher === undefined) {
      publisher = new PortPublisher(this.world, this.context, this.log, this.metrics, service, port, hostname);
      publishers.set(key, publisher);
    }
    const unsubscribe = publisher.subscribe(place, subscriber);
    return () => {
      unsubscribe();
      if (publisher.views.size > 0 || this.byService.get(service.key)?.get(key) !== publisher) return;
      publishers.delete(key);
      if (publishers.size === 0) this.byService.delete(service.key);
    };
  }

  private *publishers(): Iterable<PortPublisher> {
    for (const publishers of this.byService.values()) yield* publishers.values();
  }

  private publishersOf(serviceKey: string): Iterable<PortPublisher> {
    return this.byService.get(serviceKey)?.values() ?? [];
  }

  private arrived(name: string, after: unknown): void {
    if (after === undefined) return;
    for (const publisher of this.publishers()) {
      if (publisher.missing.size > 0) publisher.refreshSlices(name);
    }
  }
}
