// SPDX-License-Identifier: Apache-2.0
/*
 * The conditions that this controller writes (control-contract §3.4, features RT-08, RT-13, RT-14, REL-17, EG-02), and how a condition that is
 * already there compares with one that should be: times do not count.
 */
import type { Condition } from '@weft/resources';

/** A condition without its time. */
export interface Verdict {
  readonly type: 'Accepted' | 'ResolvedRefs';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export const ACCEPTED: Verdict = { type: 'Accepted', status: 'True', reason: 'Accepted', message: '' };
export const RESOLVED_REFS: Verdict = { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '' };

/** Accepted=False. */
export function notAccepted(reason: string, message = ''): Verdict {
  return { type: 'Accepted', status: 'False', reason, message };
}

/** ResolvedRefs=False. */
export function unresolvedRefs(reason: string, message = ''): Verdict {
  return { type: 'ResolvedRefs', status: 'False', reason, message };
}

/** Whether the conditions say the same as the verdicts, in the same order. */
export function sameConditions(conditions: readonly Condition[] | undefined, verdicts: readonly Verdict[]): boolean {
  const current = conditions ?? [];
  return current.length === verdicts.length && verdicts.every((verdict, i) => sameCondition(current[i], verdict));
}

/** The verdicts with times: that of the condition before, where the status has not changed since, else `now` (RFC 3339, seconds). */
export function timedConditions(verdicts: readonly Verdict[], before: readonly Condition[] | undefined, now: string): Condition[] {
  return verdicts.map((verdict) => {
    const old = before?.find(({ type }) => type === verdict.type);
    const lastTransitionTime = old?.status === verdict.status ? (old.lastTransitionTime ?? now) : now;
    return { ...verdict, lastTransitionTime };
  });
}

/** A time as conditions carry it. */
export function conditionTime(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
}

function sameCondition(condition: Condition | undefined, verdict: Verdict): boolean {
  return (
    condition?.type === verdict.type &&
    condition.status === verdict.status &&
    condition.reason === verdict.reason &&
    (condition.message ?? '') === verdict.message
  );
}
