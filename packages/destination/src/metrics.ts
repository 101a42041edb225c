// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of discovery, with the names and labels of the reference (control-contract §1.9). Gauges of things that come and go (a view of a
 * service, a profile) are removed with them. Without a registry nothing is counted.
 */
import type { LabelledCounter, LabelledGauge, MetricFactory } from '@weft/grpc-server';

import type { World } from './world.ts';

/** The only cluster there is until others are linked. */
const CLUSTER = 'local';

/** What a stream reports. */
export interface StreamSeries {
  overflowed(): void;
}

/** Series of a thing that streams share: a view of a service port, or a profile. */
export interface SharedSeries {
  /** Subscribers came, went, or were sent something; `size` is the number of endpoints where that means something. */
  changed(subscriberCount: number, size: number): void;
  updated(): void;
  ended(): void;
}

/** Metrics of the destination service. */
export interface DestinationMetrics {
  endpointsStream(service: string): StreamSeries;
  profileStream(fullyQualifiedName: string, port: number): StreamSeries;
  endpointProfileStream(): StreamSeries;
  endpointsView(namespace: string, service: string, port: number, hostname: string, nodeName: string): SharedSeries;
  profile(namespace: string, profile: string): SharedSeries;
  workload(address: string, port: number): SharedSeries;
  /** A stream watches a Service itself; the result ends it. */
  serviceSubscribed(namespace: string, name: string): () => void;
}

/** Metrics in `factory`'s registry. */
export function createDestinationMetrics(factory: MetricFactory | undefined, world: World): DestinationMetrics {
  if (factory === undefined) return NO_METRICS;
  const viewLabels = ['cluster', 'namespace', 'service', 'port', 'hostname', 'nodename'];
  const profileLabels = ['namespace', 'profile'];
  const workloadLabels = ['ip', 'port'];
  const overflows = {
    endpoints: factory.counter('endpoint_updates_queue_overflow', 'Endpoint updates dropped because a stream was too slow.', ['service']),
    profile: factory.counter('profile_updates_queue_overflow', 'Profile updates dropped because a stream was too slow.', ['fqn', 'port']),
    workload: factory.counter(
      'endpoint_profile_updates_queue_overflow',
      'Endpoint profile updates dropped because a stream was too slow.',
      [],
    ),
  };
  const views: SharedFamilies = {
    subscribers: factory.gauge('endpoints_subscribers', 'Subscribers of an endpoints view.', viewLabels),
    updates: factory.counter('endpoints_updates', 'Updates of an endpoints view.', viewLabels),
    size: factory.gauge('endpoints_pods', 'Endpoints of an endpoints view.', viewLabels),
    exists: factory.gauge('endpoints_exists', 'Whether an endpoints view has endpoints.', viewLabels),
  };
  const profiles: SharedFamilies = {
    subscribers: factory.gauge('profile_subscribers', 'Subscribers of a profile.', profileLabels),
    updates: factory.counter('profile_updates', 'Updates of a profile.', profileLabels),
  };
  const workloads: SharedFamilies = {
    subscribers: factory.gauge('workload_subscribers', 'Subscribers of a workload address.', workloadLabels),
    updates: factory.counter('workload_updates', 'Updates of a workload address.', workloadLabels),
  };
  const serviceSubscribers = factory.gauge('service_subscribers', 'Subscribers of a Service.', ['namespace', 'name']);
  const subscribersByService = new Map<string, number>();
  const countService = (namespace: string, name: string, step: number): void => {
    const key = `${namespace}/${name}`;
    const count = (subscribersByService.get(key) ?? 0) + step;
    if (count > 0) {
      subscribersByService.set(key, count);
      serviceSubscribers.set({ namespace, name }, count);
    } else {
      subscribersByService.delete(key);
      serviceSubscribers.remove({ namespace, name });
    }
  };
  factory.gauge('cluster_store_size', 'Linked clusters.', []).set({}, 0);
  for (const [kind, table] of world.tables()) {
    const gauge = factory.gauge(`${kind}_cache_size`, `Objects in the cache of ${kind}.`, ['cluster']);
    gauge.set({ cluster: CLUSTER }, table.size);
    table.onChange(() => gauge.set({ cluster: CLUSTER }, table.size));
  }
  return {
    endpointsStream: (service) => ({ overflowed: () => overflows.endpoints.inc({ service }) }),
    profileStream: (fqn, port) => ({ overflowed: () => overflows.profile.inc({ fqn, port: `${port}` }) }),
    endpointProfileStream: () => ({ overflowed: () => overflows.workload.inc({}) }),
    endpointsView: (namespace, service, port, hostname, nodename) =>
      sharedSeries(views, { cluster: CLUSTER, namespace, service, port: `${port}`, hostname, nodename }),
    profile: (namespace, profile) => sharedSeries(profiles, { namespace, profile }),
    workload: (ip, port) => sharedSeries(workloads, { ip, port: `${port}` }),
    serviceSubscribed(namespace, name) {
      countService(namespace, name, 1);
      return () => countService(namespace, name, -1);
    },
  };
}

interface SharedFamilies {
  readonly subscribers: LabelledGauge;
  readonly updates: LabelledCounter;
  readonly size?: LabelledGauge;
  readonly exists?: LabelledGauge;
}

function sharedSeries(families: SharedFamilies, labels: Record<string, string>): SharedSeries {
  return {
    changed(subscriberCount, size) {
      families.subscribers.set(labels, subscriberCount);
      families.size?.set(labels, size);
      families.exists?.set(labels, size > 0 ? 1 : 0);
    },
    updated: () => families.updates.inc(labels),
    ended() {
      families.subscribers.remove(labels);
      families.size?.remove(labels);
      families.exists?.remove(labels);
    },
  };
}

const NO_STREAM: StreamSeries = { overflowed: () => undefined };
const NO_SHARED: SharedSeries = { changed: () => undefined, updated: () => undefined, ended: () => undefined };
const NO_METRICS: DestinationMetrics = {
  endpointsStream: () => NO_STREAM,
  profileStream: () => NO_STREAM,
  endpointProfileStream: () => NO_STREAM,
  endpointsView: () => NO_SHARED,
  profile: () => NO_SHARED,
  workload: () => NO_SHARED,
  serviceSubscribed: () => () => undefined,
};
