// SPDX-License-Identifier: Apache-2.0
/*
 * The DestinationProfile of a service (control-contract §1.8): what a ServiceProfile says, or the implicit empty one. A profile with an invalid
 * condition, response class or budget gives no message at all: clients keep what they have.
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { milliValue } from '@weft/kube-text';
import { destination, httpTypes } from '@weft/proto';
import type { ProfileRoute, ServiceProfileSpec } from '@weft/resources';

import type { ProfileRecord } from '../records/profile-record.ts';
import { parseGoDuration } from './go-duration.ts';

/** Deepest nesting of conditions; clients' decoders have such a limit too. */
export const MAX_MATCH_DEPTH = 32;

/** Largest ratio that fits the contract's 32-bit float. */
const MAX_RETRY_RATIO = 3.4e38;

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
  if (!Number.isFinite(retryRatio) || retryRatio < 0) throw new InvalidProfile(`retryBudget.retryRatio ${retryRatio} is no ratio`);
  if (!isCount(minRetriesPerSecond)) throw new InvalidProfile(`retryBudget.minRetriesPerSecond ${String(minRetriesPerSecond)} is no count`);
  return create(destination.RetryBudgetSchema, { retryRatio: Math.min(retryRatio, MAX_RETRY_RATIO), minRetriesPerSecond, ttl });
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
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
    condition: toMatch(route.condition, REQUEST_LEAVES, 0),
    responseClasses: (route.responseClasses ?? []).map(({ condition, isFailure = false }) => ({
      condition: toMatch(condition, RESPONSE_LEAVES, 0),
      isFailure,
    })),
    metricsLabels: { route: route.name },
    isRetryable: route.isRetryable ?? false,
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** Nested conditions of both kinds. The CRD leaves what is nested unchecked, so nothing is taken for granted here. */
type Fields = Readonly<Record<string, unknown>>;
type Match<Leaf> =
  | { readonly match: Leaf }
  | { readonly match: { readonly case: 'all' | 'any'; readonly value: { readonly matches: Match<Leaf>[] } } }
  | { readonly match: { readonly case: 'not'; readonly value: Match<Leaf> } };

type RequestLeaf =
  | { readonly case: 'path'; readonly value: { readonly regex: string } }
  | { readonly case: 'method'; readonly value: MessageInitShape<typeof httpTypes.HttpMethodSchema> };
type ResponseLeaf = { readonly case: 'status'; readonly value: { readonly min: number; readonly max: number } };

/** The leaves of a condition before and after its `not`, in the order in which the reference puts several together. */
interface Leaves<Leaf> {
  before(fields: Fields): readonly Leaf[];
  after(fields: Fields): readonly Leaf[];
}

const REQUEST_LEAVES: Leaves<RequestLeaf> = {
  before: (fields) => text(fields, 'method').map((method) => ({ case: 'method', value: toMethod(method) })),
  after: (fields) => text(fields, 'pathRegex').map((regex) => ({ case: 'path', value: { regex } })),
};

const RESPONSE_LEAVES: Leaves<ResponseLeaf> = {
  before: (fields) => (isAbsent(fields['status']) ? [] : [{ case: 'status', value: toStatusRange(toFields(fields['status'])) }]),
  after: () => [],
};

function toMatch<Leaf>(condition: unknown, leaves: Leaves<Leaf>, depth: number): Match<Leaf> {
  if (depth > MAX_MATCH_DEPTH) throw new InvalidProfile(`conditions are nested deeper than ${MAX_MATCH_DEPTH}`);
  const fields = toFields(condition);
  const nested = (value: unknown): Match<Leaf> => toMatch(value, leaves, depth + 1);
  const matches: Match<Leaf>[] = [];
  for (const name of ['all', 'any'] as const) {
    const list = fields[name];
    if (isAbsent(list)) continue;
    if (!Array.isArray(list)) throw new InvalidProfile(`${name} of a condition is no list`);
    matches.push({ match: { case: name, value: { matches: list.map(nested) } } });
  }
  for (const leaf of leaves.before(fields)) matches.push({ match: leaf });
  if (!isAbsent(fields['not'])) matches.push({ match: { case: 'not', value: nested(fields['not']) } });
  for (const leaf of leaves.after(fields)) matches.push({ match: leaf });
  const [first, ...others] = matches;
  if (first === undefined) throw new InvalidProfile('a condition is empty');
  return others.length === 0 ? first : { match: { case: 'all', value: { matches } } };
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function toFields(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new InvalidProfile('a condition is missing or no object');
  return value as Fields;
}

/** A text field; none when it is absent or empty. */
function text(fields: Fields, name: string): readonly string[] {
  const value = fields[name];
  if (isAbsent(value) || value === '') return [];
  if (typeof value !== 'string') throw new InvalidProfile(`${name} of a condition is no text`);
  return [value];
}

function toMethod(method: string): MessageInitShape<typeof httpTypes.HttpMethodSchema> {
  const name = method.toUpperCase();
  const registered = Object.hasOwn(httpTypes.HttpMethod_Registered, name)
    ? httpTypes.HttpMethod_Registered[name as keyof typeof httpTypes.HttpMethod_Registered]
    : undefined;
  return registered === undefined ? { type: { case: 'unregistered', value: name } } : { type: { case: 'registered', value: registered } };
}

function toStatusRange({ min = 0, max = 0 }: Fields): { readonly min: number; readonly max: number } {
  const isStatus = (status: unknown): status is number => isCount(status) && (status === 0 || (status >= 100 && status <= 599));
  if (!isStatus(min) || !isStatus(max) || (max !== 0 && max < min)) {
    throw new InvalidProfile(`status range ${String(min)} to ${String(max)} is invalid`);
  }
  return { min, max };
}
