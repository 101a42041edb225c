// SPDX-License-Identifier: Apache-2.0
/*
 * The six default inbound policies (control-contract §3.2, features AZ-07, AZ-09): what a port admits when no Server selects it, or when a
 * Server names one as its access policy.
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { inbound } from '@weft/proto';
import { ALL_NETWORKS, type IpNetwork, networkMessage } from '../parse/ip-network.ts';

/** Their names. */
export const DEFAULT_POLICY_NAMES = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
] as const;

export type DefaultPolicy = (typeof DEFAULT_POLICY_NAMES)[number];

export type AuthzInit = MessageInitShape<typeof inbound.AuthzSchema>;

/** Kind `default` with a name, as a server's or authorization's labels spell it. */
export function defaultLabels(name: string): Record<string, string> {
  return { group: '', kind: 'default', name };
}

/** The policy of that name, or undefined. */
export function parseDefaultPolicy(text: string | undefined): DefaultPolicy | undefined {
  return DEFAULT_POLICY_NAMES.find((name) => name === text);
}

/** The same reach with identity required; deny and audit stay what they are. */
export function requireIdentity(policy: DefaultPolicy): DefaultPolicy {
  if (policy === 'all-unauthenticated') return 'all-authenticated';
  return policy === 'cluster-unauthenticated' ? 'cluster-authenticated' : policy;
}

/** The authorizations that a default policy stands for: one, or none for `deny`. */
export function defaultAuthorizations(policy: DefaultPolicy, clusterNetworks: readonly IpNetwork[]): AuthzInit[] {
  if (policy === 'deny') return [];
  const isCluster = policy === 'cluster-unauthenticated' || policy === 'cluster-authenticated';
  const isAuthenticated = policy === 'all-authenticated' || policy === 'cluster-authenticated';
  return [
    {
      networks: (isCluster ? clusterNetworks : ALL_NETWORKS).map((network) => ({ net: networkMessage(network) })),
      authentication: isAuthenticated ? anyIdentity() : unauthenticated(),
      labels: defaultLabels(policy),
      metadata: { kind: { case: 'default', value: policy } },
    },
  ];
}

export type AuthnInit = MessageInitShape<typeof inbound.AuthnSchema>;

/** No identity asked for. */
export function unauthenticated(): AuthnInit {
  return { permit: { case: 'unauthenticated', value: {} } };
}

function anyIdentity(): AuthnInit {
  return {
    permit: { case: 'meshTLS', value: { clients: { case: 'identities', value: { suffixes: [{ parts: [] }] } } } },
  };
}
