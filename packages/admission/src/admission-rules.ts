// SPDX-License-Identifier: Apache-2.0
/*
 * The reviews as admission rules of a source of resources, so that a directory of manifests refuses what a cluster's webhooks refuse
 * (design §2: no component can tell the two apart).
 */
import { type Admission, type AdmissionRule, parseApiVersion, type Resource } from '@weft/resources';
import { GATEWAY_GROUP, POLICY_GROUP } from './policy/object-ref.ts';
import { reviewPolicy, reviewServiceProfile } from './review.ts';
import type { ReviewAnswer, ReviewRequest } from './types.ts';

/** Gateway API kinds that are reviewed; the others of that group belong to ingress controllers. */
const GATEWAY_KINDS: readonly string[] = ['HTTPRoute', 'GRPCRoute', 'TLSRoute', 'TCPRoute'];

/** Called with what is admitted but will not do what its author wants. */
export type OnWarning = (object: Resource, warning: string) => void;

/** The rules for policies, routes and ServiceProfiles; all other kinds are admitted. */
export function admissionRules(onWarning: OnWarning = () => undefined): AdmissionRule[] {
  return [
    (object, old): Admission => {
      const { group, version } = parseApiVersion(object.apiVersion);
      const review = reviewOf(group, object.kind);
      if (review === undefined) return { allowed: true };
      const answer = review({
        kind: { group, version, kind: object.kind },
        operation: old === undefined ? 'CREATE' : 'UPDATE',
        namespace: object.metadata.namespace,
        object,
      });
      for (const warning of answer.warnings ?? []) onWarning(object, warning);
      return answer.allowed ? { allowed: true } : { allowed: false, message: answer.message ?? 'refused' };
    },
  ];
}

function reviewOf(group: string, kind: string): ((request: ReviewRequest) => ReviewAnswer) | undefined {
  if (group === 'linkerd.io' && kind === 'ServiceProfile') return reviewServiceProfile;
  // EgressNetwork, Server and the like; a kind of that group that is not known is refused by the store, which has no type for it.
  if (group === POLICY_GROUP) return reviewPolicy;
  return group === GATEWAY_GROUP && GATEWAY_KINDS.includes(kind) ? reviewPolicy : undefined;
}
