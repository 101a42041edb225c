// SPDX-License-Identifier: Apache-2.0
/*
 * Timeouts of a route rule (control-contract §3.3, features REL-04, REL-05): the annotations of the route, then the rule's own request
 * timeout, and the parent's annotations as a block where the rule ends up with none at all.
 */
import { type Parsed, valid } from '../parse/parsed.ts';
import { parseAnnotationDuration, parseGoDuration } from '../parse/duration.ts';
import type { Annotations } from './retry-annotations.ts';

/** In milliseconds; undefined is no timeout. */
export interface Timeouts {
  readonly requestMs: number | undefined;
  readonly responseMs: number | undefined;
  readonly idleMs: number | undefined;
}

export const NO_TIMEOUTS: Timeouts = { requestMs: undefined, responseMs: undefined, idleMs: undefined };

/** Timeouts that annotations set; 0 sets none. */
export function parseTimeouts(annotations: Annotations): Parsed<Timeouts> {
  const request = parseTimeout(annotations['timeout.linkerd.io/request']);
  if (!request.ok) return request;
  const response = parseTimeout(annotations['timeout.linkerd.io/response']);
  if (!response.ok) return response;
  const idle = parseTimeout(annotations['timeout.linkerd.io/idle']);
  if (!idle.ok) return idle;
  return valid({ requestMs: request.value, responseMs: response.value, idleMs: idle.value });
}

/** A rule's `timeouts.request`; `backendRequest` has no counterpart in the proxy API. */
export function parseRuleTimeout(timeouts: { readonly request?: string } | undefined): Parsed<number | undefined> {
  const request = timeouts?.request;
  if (request === undefined) return valid(undefined);
  const parsed = parseGoDuration(request);
  return parsed.ok ? valid(parsed.value === 0 ? undefined : parsed.value) : parsed;
}

/** What holds for a rule. */
export function ruleTimeouts(route: Timeouts, ruleRequestMs: number | undefined, parent: Timeouts): Timeouts {
  const own: Timeouts = { ...route, requestMs: route.requestMs ?? ruleRequestMs };
  const isEmpty = own.requestMs === undefined && own.responseMs === undefined && own.idleMs === undefined;
  return isEmpty ? parent : own;
}

function parseTimeout(text: string | undefined): Parsed<number | undefined> {
  if (text === undefined) return valid(undefined);
  const parsed = parseAnnotationDuration(text);
  return parsed.ok ? valid(parsed.value === 0 ? undefined : parsed.value) : parsed;
}
