// SPDX-License-Identifier: Apache-2.0
/*
 * Retry annotations of a Service, EgressNetwork or route (control-contract §3.3, features REL-01): any one of `limit`, `timeout` and the
 * protocol's conditions switches retries on; the limit is 1 unless given. Conditions differ between HTTP and gRPC, the rest is shared.
 */
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import { parseAnnotationDuration } from '../parse/duration.ts';

/** HTTP status codes from `start` to `end`, both included. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

/** gRPC codes by the names that the annotation uses. */
export type GrpcCondition = 'cancelled' | 'deadline-exceeded' | 'internal' | 'resource-exhausted' | 'unavailable';

export interface RetryPolicy<Condition> {
  /** Extra attempts, 1 to 65535. */
  readonly limit: number;
  /** Per attempt, until response headers. */
  readonly timeoutMs: number | undefined;
  readonly conditions: readonly Condition[];
}

export type Annotations = Readonly<Record<string, string>>;

const GRPC_CONDITIONS: ReadonlySet<string> = new Set<GrpcCondition>([
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

/** Retries of HTTP routes; undefined where no annotation asks for any. */
export function parseHttpRetry(annotations: Annotations): Parsed<RetryPolicy<StatusRange> | undefined> {
  return parseRetry(annotations, 'retry.linkerd.io/http', parseStatusRange);
}

/** Retries of gRPC routes; undefined where no annotation asks for any. */
export function parseGrpcRetry(annotations: Annotations): Parsed<RetryPolicy<GrpcCondition> | undefined> {
  return parseRetry(annotations, 'retry.linkerd.io/grpc', parseGrpcCondition);
}

function parseRetry<Condition>(
  annotations: Annotations,
  conditionsKey: string,
  parseCondition: (text: string) => Parsed<Condition>,
): Parsed<RetryPolicy<Condition> | undefined> {
  const limitText = annotations['retry.linkerd.io/limit'];
  const timeoutText = annotations['retry.linkerd.io/timeout'];
  const conditionsText = annotations[conditionsKey];
  if (limitText !== undefined && (!/^[0-9]{1,5}$/.test(limitText) || Number(limitText) > 65_535)) {
    return invalid(`invalid retry limit '${limitText}'`);
  }
  const timeout = timeoutText === undefined ? valid(0) : parseAnnotationDuration(timeoutText);
  if (!timeout.ok) return timeout;
  const conditions: Condition[] = [];
  for (const text of conditionsText?.split(',') ?? []) {
    const condition = parseCondition(text);
    if (!condition.ok) return condition;
    conditions.push(condition.value);
  }
  const limit = Number(limitText ?? 0);
  if (limit === 0 && timeout.value === 0 && conditionsText === undefined) return valid(undefined);
  return valid({ limit: limit === 0 ? 1 : limit, timeoutMs: timeout.value === 0 ? undefined : timeout.value, conditions });
}

function parseStatusRange(text: string): Parsed<StatusRange> {
  if (text === '5xx') return valid({ start: 500, end: 599 });
  if (text === 'gateway-error') return valid({ start: 502, end: 504 });
  const match = /^(?<start>[1-5][0-9]{2})(?:-(?<end>[1-5][0-9]{2}))?$/.exec(text);
  const start = Number(match?.groups?.['start']);
  const end = Number(match?.groups?.['end'] ?? start);
  return match !== null && start <= end ? valid({ start, end }) : invalid(`invalid retry condition '${text}'`);
}

function parseGrpcCondition(text: string): Parsed<GrpcCondition> {
  return GRPC_CONDITIONS.has(text) ? valid(text as GrpcCondition) : invalid(`invalid retry condition '${text}'`);
}
