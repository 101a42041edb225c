// SPDX-License-Identifier: Apache-2.0
/*
 * Writes the status of routes, rate limits and EgressNetworks (control-contract §3.4, features RT-14): only while this process leads, on every
 * change that alters a verdict, and for all of them every ten seconds and on becoming leader, since a patch may have failed. Patches wait in a
 * bounded queue that holds each object once; what is written is what is right when its turn comes.
 */
import type { MetricFactory } from '@weft/grpc-server';
import { type ResourceSource, isResourceError } from '@weft/resources';
import type { Observation } from '../index/dependency-graph.ts';
import type { PolicyIndex, StatusSubject } from '../index/policy-index.ts';
import { CONTROLLER_NAME } from '../route/route-acceptance.ts';
import type { PolicyClock, PolicyLog } from '../types.ts';
import { conditionTime } from './conditions.ts';
import { PatchQueue } from './patch-queue.ts';
import { type StatusMetrics, createStatusMetrics } from './status-metrics.ts';
import { type StatusPatch, kindOfSubject, statusDerivation, subjectKey } from './status-subject.ts';

/** Objects of one namespace that may wait for a patch; more are dropped until the next reconciliation. */
export const MAX_QUEUED_PATCHES = 10_000;
/** Patches under way at a time. */
export const MAX_CONCURRENT_PATCHES = 4;
/** Milliseconds between reconciliations of everything. */
export const RECONCILE_INTERVAL_MS = 10_000;

export interface StatusControllerParts {
  readonly index: PolicyIndex;
  readonly source: ResourceSource;
  readonly log: PolicyLog;
  readonly metrics: MetricFactory | undefined;
  readonly clock: PolicyClock;
  /** In milliseconds. */
  readonly patchTimeoutMs: number;
}

interface Subject {
  readonly subject: StatusSubject;
  readonly observation: Observation<StatusPatch | undefined>;
}

/** The writer of statuses. */
export class StatusController {
  private readonly parts: StatusControllerParts;
  private readonly metrics: StatusMetrics;
  private readonly subjects = new Map<string, Subject>();
  private readonly queue = new PatchQueue(MAX_QUEUED_PATCHES);
  private readonly inFlight = new Set<string>();
  private isLeading = false;
  private stopReconciling: (() => void) | undefined;
  private stopListening: (() => void) | undefined;
  private idleWaiters: (() => void)[] = [];

  constructor(parts: StatusControllerParts) {
    this.parts = parts;
    this.metrics = createStatusMetrics(parts.metrics);
  }

  /** Begins to follow the index, which must be complete by now. */
  start(): void {
    this.stopListening = this.parts.index.onStatusSubject((subject, isPresent) => {
      if (isPresent) this.open(subject);
      else this.drop(subject);
    });
    for (const subject of this.parts.index.statusSubjects()) this.open(subject);
  }

  /** Tells the controller whether it may write. */
  lead(isLeading: boolean): void {
    if (isLeading === this.isLeading) return;
    this.isLeading = isLeading;
    if (isLeading) {
      this.reconcile();
      return;
    }
    this.stopReconciling?.();
    this.stopReconciling = undefined;
    this.queue.clear();
  }

  get isLeader(): boolean {
    return this.isLeading;
  }

  /** Resolves once nothing is queued or under way. For tests and shutdown. */
  whenIdle(): Promise<void> {
    if (this.queue.size === 0 && this.inFlight.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  close(): void {
    this.lead(false);
    this.stopListening?.();
    for (const { observation } of this.subjects.values()) observation.close();
    this.subjects.clear();
  }

  private open(subject: StatusSubject): void {
    const key = subjectKey(subject);
    if (this.subjects.has(key)) return;
    const { index } = this.parts;
    const observation = index.graph.observe(`status/${key}`, statusDerivation(index, subject), () => this.enqueue(key));
    this.subjects.set(key, { subject, observation });
    this.enqueue(key);
  }

  private drop(subject: StatusSubject): void {
    const key = subjectKey(subject);
    this.subjects.get(key)?.observation.close();
    this.subjects.delete(key);
    this.queue.delete(subject.namespace, key);
  }

  private reconcile(): void {
    for (const key of this.subjects.keys()) this.enqueue(key);
    this.stopReconciling = this.parts.clock.setTimer(() => this.reconcile(), RECONCILE_INTERVAL_MS);
  }

  private enqueue(key: string): void {
    const entry = this.subjects.get(key);
    if (entry?.observation.value === undefined) return;
    const { namespace } = entry.subject;
    if (this.queue.has(namespace, key)) return;
    if (!this.isLeading) {
      this.metrics.drops.inc({});
      return;
    }
    if (!this.queue.add(namespace, key)) {
      this.metrics.enqueueOverflows.inc({});
      return;
    }
    this.metrics.enqueues.inc({});
    this.drain();
  }

  /** Starts what may start. Never two patches of one object at a time: the second would be made from what the first is replacing. */
  private drain(): void {
    while (this.inFlight.size < MAX_CONCURRENT_PATCHES) {
      const key = this.queue.take((candidate) => !this.inFlight.has(candidate));
      if (key === undefined) return;
      this.metrics.dequeues.inc({});
      this.inFlight.add(key);
      // Never rejects: failures are counted and logged inside.
      void this.patch(key).then(() => {
        this.inFlight.delete(key);
        this.drain();
        this.reportIdle();
      });
    }
  }

  private async patch(key: string): Promise<void> {
    const entry = this.subjects.get(key);
    const patch = entry?.observation.value;
    if (entry === undefined || patch === undefined) return;
    const { source, clock, log, patchTimeoutMs } = this.parts;
    const { subject } = entry;
    const startedMs = clock.now();
    let cancelTimer = (): void => undefined;
    const timeout = new Promise<'timeout'>((resolve) => {
      cancelTimer = clock.setTimer(() => resolve('timeout'), patchTimeoutMs);
    });
    try {
      const body = patch.body(conditionTime(startedMs));
      const written = source.patchStatus(kindOfSubject(subject), subject.namespace, subject.name, body, CONTROLLER_NAME);
      const outcome = await Promise.race([written, timeout]);
      if (outcome === 'timeout') {
        this.metrics.timeouts.inc({});
        log.warn('a status patch timed out', { object: key });
        // Its late failure has been reported as a timeout.
        written.catch(() => undefined);
        return;
      }
      this.metrics.patches.inc({});
      this.metrics.durationSeconds.observe({}, (clock.now() - startedMs) / 1000);
    } catch (error) {
      this.metrics.apiErrors.inc({});
      // Gone, or changed meanwhile: the watch brings the news, and with it the next attempt.
      if (isResourceError(error, 'ERR_NOT_FOUND') || isResourceError(error, 'ERR_CONFLICT')) return;
      log.warn('a status patch failed', { object: key, error: error instanceof Error ? error.message : String(error) });
    } finally {
      cancelTimer();
    }
  }

  private reportIdle(): void {
    if (this.queue.size > 0 || this.inFlight.size > 0) return;
    const waiters = this.idleWaiters;
    this.idleWaiters = [];
    for (const waiter of waiters) waiter();
  }
}
