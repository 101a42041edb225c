// SPDX-License-Identifier: Apache-2.0
/*
 * AuthorizationPolicies (control-contract §3.2, features AZ-03): a target, and authentications that must all hold: at most one that names
 * identities and one that names networks. References may cross namespaces; an unresolved one voids the policy. An empty list admits all.
 */
import type { AuthorizationPolicy, LocalTargetRef, NamespacedTargetRef } from '@weft/resources';
import { ALL_NETWORKS, type NetworkMatch, networkMessage } from '../parse/ip-network.ts';
import { type Parsed, invalid, valid } from '../parse/parsed.ts';
import { POLICY_GROUP, resourceAuthz } from './authz-message.ts';
import { type AuthzInit, unauthenticated } from './default-policy.ts';
import { type IdentityDomain, type IdentityMatch, identitiesAuthentication, serviceAccountMatch } from './identity-match.ts';

/** What a policy applies to, in its own namespace. */
export type PolicyTarget =
  | { readonly kind: 'namespace' }
  | { readonly kind: 'server'; readonly name: string }
  | { readonly kind: 'route'; readonly group: string; readonly routeKind: string; readonly name: string };

type IdentityRequirement =
  | { readonly kind: 'mesh-tls'; readonly namespace: string; readonly name: string }
  | { readonly kind: 'service-account'; readonly identity: IdentityMatch };

export interface AuthorizationPolicyInfo {
  readonly name: string;
  readonly target: PolicyTarget;
  readonly identities: IdentityRequirement | undefined;
  readonly networks: { readonly namespace: string; readonly name: string } | undefined;
}

/** Where a policy's references are looked up. */
export interface AuthenticationLookup {
  meshTls(namespace: string, name: string): readonly IdentityMatch[] | undefined;
  networks(namespace: string, name: string): readonly NetworkMatch[] | undefined;
}

/** Reads an AuthorizationPolicy; unsupported targets and references make it invalid, hence ignored. */
export function authorizationPolicyInfo(object: AuthorizationPolicy, domain: IdentityDomain): Parsed<AuthorizationPolicyInfo> {
  const { namespace, name } = object.metadata;
  const spec = object.spec;
  if (spec === undefined) return invalid('no spec');
  const target = policyTarget(spec.targetRef, namespace);
  if (target === undefined) return invalid(`unsupported target ${spec.targetRef.kind}`);
  let identities: IdentityRequirement | undefined;
  let networks: AuthorizationPolicyInfo['networks'];
  for (const ref of spec.requiredAuthenticationRefs) {
    const refNamespace = ref.namespace ?? namespace;
    if (refersTo(ref, POLICY_GROUP, 'MeshTLSAuthentication') && identities === undefined) {
      identities = { kind: 'mesh-tls', namespace: refNamespace, name: ref.name };
    } else if (refersTo(ref, 'core', 'ServiceAccount') && identities === undefined) {
      identities = { kind: 'service-account', identity: serviceAccountMatch(ref.name, refNamespace, domain) };
    } else if (refersTo(ref, POLICY_GROUP, 'NetworkAuthentication') && networks === undefined) {
      networks = { namespace: refNamespace, name: ref.name };
    } else {
      return invalid(`unsupported or repeated authentication ${ref.kind}`);
    }
  }
  return valid({ name, target, identities, networks });
}

/** The authorization that a policy grants now, or undefined while one of its references cannot be resolved. */
export function resolvePolicy(policy: AuthorizationPolicyInfo, lookup: AuthenticationLookup): AuthzInit | undefined {
  let authentication = unauthenticated();
  if (policy.identities !== undefined) {
    const identities = requiredIdentities(policy.identities, lookup);
    if (identities === undefined) return undefined;
    authentication = identitiesAuthentication(identities);
  }
  let networks: readonly NetworkMatch[] = ALL_NETWORKS.map((network) => ({ network, except: [] }));
  if (policy.networks !== undefined) {
    const required = lookup.networks(policy.networks.namespace, policy.networks.name);
    if (required === undefined) return undefined;
    networks = required;
  }
  return resourceAuthz(
    'authorizationpolicy',
    policy.name,
    networks.map(({ network, except }) => ({ net: networkMessage(network), except: except.map(networkMessage) })),
    authentication,
  );
}

/** Whether a reference is to this kind; names compare without case, no group means the core group. */
export function refersTo(ref: Pick<LocalTargetRef | NamespacedTargetRef, 'group' | 'kind'>, group: string, kind: string): boolean {
  const refGroup = ref.group === undefined || ref.group === '' ? 'core' : ref.group.toLowerCase();
  return refGroup === group && ref.kind.toLowerCase() === kind.toLowerCase();
}

function requiredIdentities(required: IdentityRequirement, lookup: AuthenticationLookup): readonly IdentityMatch[] | undefined {
  return required.kind === 'service-account' ? [required.identity] : lookup.meshTls(required.namespace, required.name);
}

function policyTarget(ref: LocalTargetRef, namespace: string): PolicyTarget | undefined {
  if (refersTo(ref, POLICY_GROUP, 'Server')) return { kind: 'server', name: ref.name };
  if (refersTo(ref, 'core', 'Namespace')) return ref.name === namespace ? { kind: 'namespace' } : undefined;
  for (const [group, kind] of ROUTE_KINDS) {
    if (refersTo(ref, group, kind)) return { kind: 'route', group, routeKind: kind, name: ref.name };
  }
  return undefined;
}

const ROUTE_KINDS = [
  [POLICY_GROUP, 'HTTPRoute'],
  ['gateway.networking.k8s.io', 'HTTPRoute'],
  ['gateway.networking.k8s.io', 'GRPCRoute'],
] as const;
