// SPDX-License-Identifier: Apache-2.0
/*
 * The wire form that every resource-backed authorization has (control-contract §3.2): its networks, its authentication, and its name twice,
 * as metadata and as labels.
 */
import type { AuthnInit, AuthzInit } from './default-policy.ts';

export const POLICY_GROUP = 'policy.linkerd.io';

/** An authorization that a policy.linkerd.io object grants; `kind` in lower case, as the reference spells it. */
export function resourceAuthz(kind: string, name: string, networks: AuthzInit['networks'], authentication: AuthnInit): AuthzInit {
  return {
    ...(networks === undefined ? {} : { networks }),
    authentication,
    labels: { group: POLICY_GROUP, kind, name },
    metadata: { kind: { case: 'resource', value: { group: POLICY_GROUP, kind, name } } },
  };
}
