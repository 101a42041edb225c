// SPDX-License-Identifier: Apache-2.0
/*
 * Circuit breaking annotations of a Service or EgressNetwork (control-contract §3.3, features REL-09, REL-11, REL-12). `consecutive` counts
 * failures in a row, `unified` watches the success rate too. One bad value switches the whole breaker off.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { outbound } from '@weft/proto';
import { durationOf, parseAnnotationDuration } from '../parse/duration.ts';
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import type { Annotations } from './retry-annotations.ts';

export type FailureAccrualInit = MessageInitShape<typeof outbound.FailureAccrualSchema>;

const MODE = 'balancer.linkerd.io/failure-accrual';
const CONSECUTIVE = 'balancer.linkerd.io/failure-accrual-consecutive';
const SUCCESS_RATE = 'balancer.alpha.linkerd.io/failure-accrual-success-rate';
const HONOR_RETRY_AFTER = 'balancer.alpha.linkerd.io/failure-accrual-honor-retry-after';

const MAX_JITTER_RATIO = 100;
/** Shortest success-rate window that a proxy accepts (proxy-contract §6.4). */
const MIN_WINDOW_MS = 10;
const MAX_MIN_REQUESTS = 1_000_000;

/** The breaker that annotations ask for, undefined where they ask for none. */
export function parseFailureAccrual(annotations: Annotations): Parsed<FailureAccrualInit | undefined> {
  const mode = annotations[MODE];
  if (mode === undefined) return valid(undefined);
  if (mode !== 'consecutive' && mode !== 'unified') return invalid(`unsupported failure accrual mode '${mode}'`);
  const maxFailures = parseCount(annotations[`${CONSECUTIVE}-max-failures`], 7);
  if (!maxFailures.ok) return maxFailures;
  const backoff = parseBackoff(annotations);
  if (!backoff.ok) return backoff;
  if (mode === 'unified') return parseUnified(annotations, maxFailures.value, backoff.value);
  return valid({ kind: { case: 'consecutiveFailures', value: { maxFailures: maxFailures.value, backoff: backoff.value } } });
}

type BackoffInit = MessageInitShape<typeof outbound.ExponentialBackoffSchema>;

function parseBackoff(annotations: Annotations): Parsed<BackoffInit> {
  const min = parseAnnotationDuration(annotations[`${CONSECUTIVE}-min-penalty`] ?? '1s');
  if (!min.ok) return min;
  const max = parseAnnotationDuration(annotations[`${CONSECUTIVE}-max-penalty`] ?? '1m');
  if (!max.ok) return max;
  const jitter = parseRatio(annotations[`${CONSECUTIVE}-jitter-ratio`], 0.5, MAX_JITTER_RATIO);
  if (!jitter.ok) return jitter;
  if (max.value === 0 || min.value > max.value) return invalid('the minimum penalty exceeds the maximum');
  return valid({ minBackoff: durationOf(min.value), maxBackoff: durationOf(max.value), jitterRatio: jitter.value });
}

function parseUnified(annotations: Annotations, maxFailures: number, backoff: BackoffInit): Parsed<FailureAccrualInit> {
  const threshold = parseRatio(annotations[`${SUCCESS_RATE}-threshold`], 0.8, 1);
  if (!threshold.ok) return threshold;
  const window = parseAnnotationDuration(annotations[`${SUCCESS_RATE}-window`] ?? '10s');
  if (!window.ok) return window;
  const minRequests = parseCount(annotations[`${SUCCESS_RATE}-min-requests`], 5);
  if (!minRequests.ok) return minRequests;
  const isRateUsed = threshold.value !== 0;
  if (isRateUsed && window.value < MIN_WINDOW_MS) return invalid('the success rate window is too short');
  if (isRateUsed && minRequests.value > MAX_MIN_REQUESTS) return invalid('too many minimum requests');
  return valid({
    kind: {
      case: 'unified',
      value: {
        successRateThreshold: threshold.value,
        decay: durationOf(window.value),
        minRequests: minRequests.value,
        maxConsecutiveFailures: maxFailures,
        backoff: { ...backoff, respectRetryAfterHint: annotations[HONOR_RETRY_AFTER]?.trim() === 'true' },
      },
    },
  });
}

function parseCount(text: string | undefined, fallback: number): Parsed<number> {
  if (text === undefined) return valid(fallback);
  return /^[0-9]{1,10}$/.test(text) && Number(text) <= 0xffff_ffff ? valid(Number(text)) : invalid(`invalid count '${text}'`);
}

function parseRatio(text: string | undefined, fallback: number, max: number): Parsed<number> {
  if (text === undefined) return valid(fallback);
  const ratio = /^[0-9]*\.?[0-9]+$|^[0-9]+\.$/.test(text) ? Number(text) : Number.NaN;
  return ratio >= 0 && ratio <= max ? valid(ratio) : invalid(`invalid ratio '${text}'`);
}
