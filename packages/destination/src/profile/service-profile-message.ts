// SPDX-License-Identifier: Apache-2.0
/*
 * The DestinationProfile of a service (control-contract §1.8): what a ServiceProfile says, or the implicit empty one. A profile with an invalid
 * condition, response class or budget gives no message at all: clients keep what they have.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { destination, httpTypes } from '@weft/proto';
import type { ProfileRoute, RequestMatch, ResponseMatch, ServiceProfileSpec } from '@weft/resources';

import type { ProfileRecord } from '../records/profile-record.ts';
import { parseGoDuration } from './go-duration.ts';
import { milliValue } from './quantity.ts';

/** Deepest nesting of conditions; clients' decoders have such a limit too. */
export const MAX_MATCH_DEPTH = 32;

/** Largest weight that the contract carries. */
const MAX_WEIGHT = 0xffff_ffff;

/** A service port that a profile is about. */
export interface ProfileSubject {
  /** As the client asked for it, or as its IP resolved. */
  readonly fullyQualifiedName: string;
  readonly service: string;
  readonly namespace: string;
  readonly port: number;
}

/** Why a ServiceProfile cannot be sent. */
class InvalidProfile extends Error {}

type RouteInit = MessageInitShape<typeof destination.RouteSchema>;
type RequestMatchInit = MessageInitShape<typeof destination.RequestMatchSchema>;
type ResponseMatchInit = MessageInitShape<typeof destination.ResponseMatchSchema>;

/** The budget where no profile sets one. */
export function defaultRetryBudget(): destination.RetryBudget {
  return create(destination.RetryBudgetSchema, { retryRatio: 0.2, minRetriesPerSecond: 10, ttl: durationFromMs(10_000) });
}

/** The message, or why the profile is invalid. `profile` undefined: the implicit one. */
export function serviceProfileMessage(
  subject: ProfileSubject,
  profile: ProfileRecord | undefined,
  isOpaque: boolean,
): destination.DestinationProfile | { readonly invalid: string } {
  const spec: ServiceProfileSpec = profile?.spec ?? {};
  try {
    return create(destination.DestinationProfileSchema, {
      routes: (spec.routes ?? []).map((route) => toRoute(route)),
      retryBudget: retryBudget(spec),
      dstOverrides: dstOverrides(spec, subject.port),
      opaqueProtocol: isOpaque,
      fullyQualifiedName: subject.fullyQualifiedName,
      parentRef: {
        kind: {
          case: 'resource',
          value: { group: 'core', kind: 'Service', name: subject.service, namespace: subject.namespace, port: subject.port },
        },
      },
      // The kind stays empty even for a real profile, as the reference leaves it.
      profileRef: {
        kind: { case: 'resource', value: { group: 'linkerd.io', name: profile?.name ?? '', namespace: profile?.namespace ?? '' } },
      },
    });
  } catch (error) {
    if (error instanceof InvalidProfile) return { invalid: error.message };
    throw error;
  }
}

function retryBudget(spec: ServiceProfileSpec): destination.RetryBudget {
  if (spec.retryBudget === undefined) return defaultRetryBudget();
  const { retryRatio, minRetriesPerSecond, ttl: text } = spec.retryBudget;
  const ttl = parseGoDuration(text);
  if (ttl === undefined) throw new InvalidProfile(`retryBudget.ttl ${text} is no duration`);
  return create(destination.RetryBudgetSchema, { retryRatio, minRetriesPerSecond, ttl });
}

function dstOverrides(spec: ServiceProfileSpec, port: number): MessageInitShape<typeof destination.WeightedDstSchema>[] {
  return (spec.dstOverrides ?? []).map(({ authority = '', weight: quantity = 0 }) => {
    const thousandths = milliValue(quantity);
    if (thousandths === undefined) throw new InvalidProfile(`weight ${quantity} of ${authority} is no quantity`);
    const weight = Math.min(Math.max(thousandths * 10, 0), MAX_WEIGHT);
    return { authority: authority.includes(':') ? authority : `${authority}:${port}`, weight };
  });
}

function toRoute(route: ProfileRoute): RouteInit {
  const timeout = route.timeout === undefined || route.timeout === '' ? undefined : parseGoDuration(route.timeout);
  return {
    condition: toRequestMatch(route.condition, 0),
    responseClasses: (route.responseClasses ?? []).map(({ condition, isFailure = false }) => ({
      condition: toResponseMatch(condition, 0),
      isFailure,
    })),
    metricsLabels: { route: route.name },
    isRetryable: route.isRetryable ?? false,
    ...(timeout === undefined ? {} : { timeout }),
  };
}

function toRequestMatch(condition: RequestMatch | null | undefined, depth: number): RequestMatchInit {
  if (condition === null || condition === undefined) throw new InvalidProfile('a route or match has no condition');
  if (depth > MAX_MATCH_DEPTH) throw new InvalidProfile(`conditions are nested deeper than ${MAX_MATCH_DEPTH}`);
  const nested = (match: RequestMatch): RequestMatchInit => toRequestMatch(match, depth + 1);
  const matches: RequestMatchInit[] = [];
  if (condition.all !== undefined) matches.push({ match: { case: 'all', value: { matches: condition.all.map(nested) } } });
  if (condition.any !== undefined) matches.push({ match: { case: 'any', value: { matches: condition.any.map(nested) } } });
  if (condition.method !== undefined && condition.method !== '') {
    matches.push({ match: { case: 'method', value: toMethod(condition.method) } });
  }
  if (condition.not !== undefined) matches.push({ match: { case: 'not', value: nested(condition.not) } });
  if (condition.pathRegex !== undefined && condition.pathRegex !== '') {
    matches.push({ match: { case: 'path', value: { regex: condition.pathRegex } } });
  }
  const [first, ...others] = matches;
  if (first === undefined) throw new InvalidProfile('a condition of a route is empty');
  return others.length === 0 ? first : { match: { case: 'all', value: { matches } } };
}

function toMethod(method: string): MessageInitShape<typeof httpTypes.HttpMethodSchema> {
  const name = method.toUpperCase();
  const registered = Object.hasOwn(httpTypes.HttpMethod_Registered, name)
    ? httpTypes.HttpMethod_Registered[name as keyof typeof httpTypes.HttpMethod_Registered]
    : undefined;
  return registered === undefined ? { type: { case: 'unregistered', value: name } } : { type: { case: 'registered', value: registered } };
}

function toResponseMatch(condition: ResponseMatch | null | undefined, depth: number): ResponseMatchInit {
  if (condition === null || condition === undefined) throw new InvalidProfile('a response class or match has no condition');
  if (depth > MAX_MATCH_DEPTH) throw new InvalidProfile(`conditions are nested deeper than ${MAX_MATCH_DEPTH}`);
  const nested = (match: ResponseMatch): ResponseMatchInit => toResponseMatch(match, depth + 1);
  const matches: ResponseMatchInit[] = [];
  if (condition.all !== undefined) matches.push({ match: { case: 'all', value: { matches: condition.all.map(nested) } } });
  if (condition.any !== undefined) matches.push({ match: { case: 'any', value: { matches: condition.any.map(nested) } } });
  if (condition.status !== undefined) matches.push({ match: { case: 'status', value: toStatusRange(condition.status) } });
  if (condition.not !== undefined) matches.push({ match: { case: 'not', value: nested(condition.not) } });
  const [first, ...others] = matches;
  if (first === undefined) throw new InvalidProfile('a condition of a response class is empty');
  return others.length === 0 ? first : { match: { case: 'all', value: { matches } } };
}

function toStatusRange({ min = 0, max = 0 }: { readonly min?: number; readonly max?: number }): {
  readonly min: number;
  readonly max: number;
} {
  const isBad = (status: number): boolean => status !== 0 && (status < 100 || status > 599);
  if (isBad(min) || isBad(max) || (max !== 0 && max < min)) throw new InvalidProfile(`status range ${min} to ${max} is invalid`);
  return { min, max };
}
