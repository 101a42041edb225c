// SPDX-License-Identifier: Apache-2.0
/*
 * The load that a balancer weighs endpoints by (control-contract §3.3): plain peak EWMA, or one that penalises failures where a Service's
 * annotations ask for it. A bad value means plain.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { outbound } from '@weft/proto';
import { durationOf, parseAnnotationDuration } from '../parse/duration.ts';
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import type { Annotations } from './retry-annotations.ts';

export type LoadInit = NonNullable<MessageInitShape<typeof outbound.Backend_BalanceP2cSchema>['load']>;

const DEFAULT_RTT_MS = 30;
const DECAY_MS = 10_000;
const PENALTY_DECAY_MS = 10_000;

const TRUE_WORDS: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const FALSE_WORDS: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Peak EWMA with the mesh's constants. */
export const PLAIN_LOAD: LoadInit = {
  case: 'peakEwma',
  value: { defaultRtt: durationOf(DEFAULT_RTT_MS), decay: durationOf(DECAY_MS) },
};

/** The load of a Service's balancers. */
export function parseLoad(annotations: Annotations): Parsed<LoadInit> {
  const text = annotations['balancer.alpha.linkerd.io/penalize-failures']?.trim();
  if (text === undefined || FALSE_WORDS.has(text)) return valid(PLAIN_LOAD);
  if (!TRUE_WORDS.has(text)) return invalid(`'${text}' is neither true nor false`);
  const penalty = parseMs(annotations['balancer.alpha.linkerd.io/load-biaser-penalty'], '5s');
  if (!penalty.ok) return penalty;
  const maxRetryAfter = parseMs(annotations['balancer.alpha.linkerd.io/load-biaser-max-retry-after'], '300s');
  if (!maxRetryAfter.ok) return maxRetryAfter;
  return valid({
    case: 'penaltyPeakEwma',
    value: {
      defaultRtt: durationOf(DEFAULT_RTT_MS),
      decay: durationOf(DECAY_MS),
      penalty: durationOf(penalty.value),
      maxRetryAfter: durationOf(maxRetryAfter.value),
      penaltyDecay: durationOf(PENALTY_DECAY_MS),
    },
  });
}

function parseMs(text: string | undefined, fallback: string): Parsed<number> {
  const parsed = parseAnnotationDuration(text ?? fallback);
  return parsed.ok && parsed.value > 0xffff_ffff ? invalid(`duration '${text ?? fallback}' is too long`) : parsed;
}
