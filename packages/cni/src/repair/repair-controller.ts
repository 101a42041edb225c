// SPDX-License-Identifier: Apache-2.0
/*
 * The repair controller of one node (proxy-contract §10.4): deletes pods whose sandbox was made without the plugin, so that their
 * workload makes new ones, and says so in an event of the pod. Deletions wait in a bounded queue, one at a time; what does not fit is
 * seen again, since the kubelet restarts the validator and so reports the pod anew.
 */
import { randomBytes } from 'node:crypto';
import { EventKind, isResourceError, type Pod, PodKind, type ResourceSource, type Watch } from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import { needsNewSandbox } from './pod-judgement.ts';

/** On every meshed pod. */
const CONTROL_PLANE_LABEL = 'linkerd.io/control-plane-ns';
const REASON = 'LinkerdCNINotConfigured';
const ACTION = 'Deleting';
const COMPONENT = 'linkerd-cni-repair-controller';

/** Of an event's name, so that it stays within 253 characters. */
const MAX_NAME_PREFIX = 230;

/** Named limits. */
export interface RepairLimits {
  /** Pods that wait for their deletion. */
  readonly maxQueued: number;
  /** One call of the API server, in milliseconds. */
  readonly callTimeoutMs: number;
  /** A pod is deleted no more often than this within `callTimeoutMs`: the watch may lag behind the deletion. */
  readonly maxRemembered: number;
}

export const REPAIR_LIMITS: RepairLimits = { maxQueued: 1000, callTimeoutMs: 10_000, maxRemembered: 4096 };

/** Counters, named `linkerd_cni_repair_controller_<name>` (features NET-11). */
export interface RepairMetrics {
  inc(
    name:
      | 'queue_overflow'
      | 'pods_deleted'
      | 'pods_delete_errors'
      | 'pods_delete_timeout'
      | 'events_publish_errors'
      | 'events_publish_timeout',
  ): void;
  observe(name: 'pods_delete_latency_seconds' | 'events_publish_latency_seconds', seconds: number): void;
}

/** What it is given. */
export interface RepairOptions {
  readonly source: ResourceSource;
  readonly nodeName: string;
  /** Name of this controller's own pod: who reports the events. */
  readonly podName: string;
  readonly logger: Logger;
  readonly metrics: RepairMetrics;
  readonly limits?: RepairLimits;
  /** Wall clock in milliseconds. */
  readonly now?: () => number;
}

/** A running controller. */
export class RepairController {
  private readonly options: RepairOptions;
  private readonly limits: RepairLimits;
  private readonly now: () => number;
  private readonly queue: Pod[] = [];
  /** Uids of pods that are queued or deleted. */
  private readonly handled = new Set<string>();
  private watch: Watch | undefined;
  private worker: Promise<void> | undefined;
  private isClosed = false;
  /** All pods that were there at the start have been looked at. */
  isSynced = false;

  constructor(options: RepairOptions) {
    this.options = options;
    this.limits = options.limits ?? REPAIR_LIMITS;
    this.now = options.now ?? Date.now;
  }

  /** Begins. */
  start(): void {
    const { source, nodeName } = this.options;
    this.watch = source.watch(PodKind, { nodeName, hasLabels: [CONTROL_PLANE_LABEL] }, (event) => {
      if (event.type === 'synced') this.isSynced = true;
      else if (event.type === 'deleted') this.handled.delete(event.object.metadata.uid);
      else this.consider(event.object);
    });
  }

  /** Ends after the deletion that is under way. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.watch?.close();
    this.queue.length = 0;
    await this.worker;
  }

  private consider(pod: Pod): void {
    const { uid } = pod.metadata;
    if (this.isClosed || this.handled.has(uid) || !needsNewSandbox(pod)) return;
    if (this.queue.length >= this.limits.maxQueued) {
      this.options.metrics.inc('queue_overflow');
      return;
    }
    this.remember(uid);
    this.queue.push(pod);
    this.worker ??= this.work();
  }

  private remember(uid: string): void {
    this.handled.add(uid);
    const [oldest] = this.handled;
    if (this.handled.size > this.limits.maxRemembered && oldest !== undefined) this.handled.delete(oldest);
  }

  private async work(): Promise<void> {
    for (let pod = this.queue.shift(); pod !== undefined; pod = this.queue.shift()) await this.repair(pod);
    this.worker = undefined;
  }

  private async repair(pod: Pod): Promise<void> {
    const { source, logger, metrics } = this.options;
    const { namespace, name, uid } = pod.metadata;
    const startMs = this.now();
    const outcome = await this.limited(source.delete(PodKind, namespace, name, { uid, gracePeriodSeconds: 0 }));
    if (outcome === 'gone') return;
    if (outcome !== 'done') {
      // Seen again when the kubelet reports the pod the next time.
      this.handled.delete(uid);
      metrics.inc(outcome === 'timeout' ? 'pods_delete_timeout' : 'pods_delete_errors');
      logger.error('Cannot delete a pod whose network is not set up', {
        namespace,
        pod: name,
        error: outcome === 'timeout' ? 'no answer' : outcome.message,
      });
      return;
    }
    metrics.inc('pods_deleted');
    metrics.observe('pods_delete_latency_seconds', (this.now() - startMs) / 1000);
    logger.info('Deleted a pod whose network was not set up', { namespace, pod: name });
    await this.report(pod);
  }

  private async report(pod: Pod): Promise<void> {
    const { source, podName, logger, metrics } = this.options;
    const { namespace, name, uid, resourceVersion } = pod.metadata;
    const startMs = this.now();
    const time = new Date(startMs).toISOString();
    const outcome = await this.limited(
      source.create(EventKind, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: `${name.slice(0, MAX_NAME_PREFIX)}.${randomBytes(8).toString('hex')}`, namespace },
        involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid, resourceVersion },
        type: 'Warning',
        reason: REASON,
        action: ACTION,
        message: 'Deleting pod so that its sandbox is made again: the CNI plugin was not ready when it started',
        source: { component: COMPONENT, host: this.options.nodeName },
        reportingComponent: COMPONENT,
        reportingInstance: podName,
        firstTimestamp: `${time.slice(0, 19)}Z`,
        lastTimestamp: `${time.slice(0, 19)}Z`,
        count: 1,
      }),
    );
    if (outcome === 'done') metrics.observe('events_publish_latency_seconds', (this.now() - startMs) / 1000);
    else if (outcome !== 'gone') {
      metrics.inc(outcome === 'timeout' ? 'events_publish_timeout' : 'events_publish_errors');
      logger.warn('Cannot publish an event', { namespace, pod: name, error: outcome === 'timeout' ? 'no answer' : outcome.message });
    }
  }

  /** `gone`: the object, or the one of its uid, is not there any more. */
  private async limited(call: Promise<unknown>): Promise<'done' | 'gone' | 'timeout' | Error> {
    const { promise: late, resolve } = Promise.withResolvers<'timeout'>();
    const timer = setTimeout(() => resolve('timeout'), this.limits.callTimeoutMs);
    const done = call.then(
      () => 'done' as const,
      (error: unknown) =>
        isResourceError(error) && (error.code === 'ERR_NOT_FOUND' || error.code === 'ERR_CONFLICT') ? ('gone' as const) : (error as Error),
    );
    try {
      return await Promise.race([done, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
