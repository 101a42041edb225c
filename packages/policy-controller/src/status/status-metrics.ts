// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of the status writer, `resource_status_*` (control-contract §3.1).
 */
import type { LabelledCounter, LabelledHistogram, MetricFactory } from '@weft/grpc-server';

export interface StatusMetrics {
  readonly patches: LabelledCounter;
  readonly apiErrors: LabelledCounter;
  readonly timeouts: LabelledCounter;
  readonly durationSeconds: LabelledHistogram;
  readonly enqueues: LabelledCounter;
  readonly dequeues: LabelledCounter;
  readonly drops: LabelledCounter;
  readonly enqueueOverflows: LabelledCounter;
}

/** From a local API server's millisecond to the patch timeout. */
const DURATION_BUCKETS_SECONDS: readonly number[] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const NO_FACTORY: MetricFactory = {
  counter: () => ({ inc: () => undefined }),
  gauge: () => ({ inc: () => undefined, dec: () => undefined, set: () => undefined, remove: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
};

/** The families in `factory`'s registry, or ones that count nothing. */
export function createStatusMetrics(factory: MetricFactory | undefined): StatusMetrics {
  const counter = (name: string, help: string): LabelledCounter =>
    (factory ?? NO_FACTORY).counter(`resource_status_${name}_total`, help, []);
  return {
    patches: counter('patches', 'Count of successful status patches'),
    apiErrors: counter('patch_api_errors', 'Count of status patches that the API refused'),
    timeouts: counter('patch_timeouts', 'Count of status patches that timed out'),
    durationSeconds: (factory ?? NO_FACTORY).histogram(
      'resource_status_patch_duration_seconds',
      'Time that status patches take',
      [],
      DURATION_BUCKETS_SECONDS,
    ),
    enqueues: counter('patch_enqueues', 'Count of status patches queued'),
    dequeues: counter('patch_dequeues', 'Count of status patches taken from the queue'),
    drops: counter('patch_drops', 'Count of status patches left to the leader'),
    enqueueOverflows: counter('patch_enqueue_overflows', 'Count of status patches dropped because the queue was full'),
  };
}
