// SPDX-License-Identifier: Apache-2.0
/*
 * HTTPLocalRateLimitPolicies as the proxy gets them (control-contract §3.2, features REL-15, REL-17): totals, per-identity limits and
 * overrides for named ServiceAccounts. Only one whose status says Accepted takes effect.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inbound } from '@weft/proto';
import type { HTTPLocalRateLimitPolicy } from '@weft/resources';
import { readConditions } from '../parse/conditions.ts';
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import { refersTo } from './authorization-policy.ts';
import { POLICY_GROUP } from './authz-message.ts';
import { type IdentityDomain, serviceAccountIdentity } from './identity-match.ts';

export interface RateLimitInfo {
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339, seconds. */
  readonly creationTimestamp: string;
  readonly serverName: string;
  readonly isAccepted: boolean;
  readonly status: HTTPLocalRateLimitPolicy['status'];
  readonly message: MessageInitShape<typeof inbound.HttpLocalRateLimitSchema>;
}

/** Reads a rate limit policy; one that targets no Server is invalid, hence ignored. */
export function rateLimitInfo(object: HTTPLocalRateLimitPolicy, domain: IdentityDomain): Parsed<RateLimitInfo> {
  const { namespace, name, creationTimestamp } = object.metadata;
  const spec = object.spec;
  if (spec === undefined || !refersTo(spec.targetRef, POLICY_GROUP, 'Server')) return invalid('the target is not a Server');
  const conditions = readConditions(object.status?.conditions);
  return valid({
    namespace,
    name,
    creationTimestamp,
    serverName: spec.targetRef.name,
    status: object.status === undefined ? undefined : { ...object.status, conditions },
    isAccepted: conditions.some(({ type, status }) => type === 'Accepted' && status === 'True'),
    message: {
      metadata: { kind: { case: 'resource', value: { group: POLICY_GROUP, kind: 'HTTPLocalRateLimitPolicy', name } } },
      ...(spec.total === undefined ? {} : { total: limit(spec.total) }),
      ...(spec.identity === undefined ? {} : { identity: limit(spec.identity) }),
      overrides: (spec.overrides ?? []).map((override) => ({
        limit: limit(override),
        clients: {
          identities: override.clientRefs
            .filter((ref) => refersTo(ref, 'core', 'ServiceAccount'))
            .map((ref) => ({ name: serviceAccountIdentity(ref.name, ref.namespace ?? namespace, domain) })),
        },
      })),
    },
  });
}

/** The wire has 32 bits for a rate. */
function limit({ requestsPerSecond }: { readonly requestsPerSecond: number }): { requestsPerSecond: number } {
  return { requestsPerSecond: Math.min(Math.max(Math.trunc(requestsPerSecond), 0), 0xffff_ffff) };
}
