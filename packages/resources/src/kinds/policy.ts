// SPDX-License-Identifier: Apache-2.0
/*
 * The policy.linkerd.io kinds besides routes: who may speak to which port, how fast, and what may leave the cluster
 * (control-contract §3.2, §3.3, §3.5, §5). Versions are those that the reference stores.
 */
import type { Resource, ResourceKind } from '../types.ts';
import { namespacedKind } from './meta.ts';
import type { Condition, IntOrString, LabelSelector } from './meta.ts';

/** A reference to an object of the same namespace. */
export interface LocalTargetRef {
  readonly group?: string;
  readonly kind: string;
  readonly name: string;
}

/** A reference to an object, in the referrer's namespace unless it says another. */
export interface NamespacedTargetRef extends LocalTargetRef {
  readonly namespace?: string;
}

/** A network without the `except` parts; a bare address counts as a whole-length prefix. */
export interface NetworkSpec {
  readonly cidr: string;
  readonly except?: readonly string[];
}

export interface ServerSpec {
  readonly podSelector?: LabelSelector;
  readonly externalWorkloadSelector?: LabelSelector;
  readonly port: IntOrString;
  /** unknown, HTTP/1, HTTP/2, gRPC, opaque or TLS. */
  readonly proxyProtocol?: string;
  /** One of the default policy names; `deny` unless set. */
  readonly accessPolicy?: string;
}

export type Server = Resource<ServerSpec>;

export interface ServerAuthorizationSpec {
  readonly server: { readonly name?: string; readonly selector?: LabelSelector };
  readonly client: {
    readonly networks?: readonly NetworkSpec[];
    readonly unauthenticated?: boolean;
    readonly meshTLS?: {
      readonly unauthenticatedTLS?: boolean;
      readonly identities?: readonly string[];
      readonly serviceAccounts?: readonly { readonly name: string; readonly namespace?: string }[];
    };
  };
}

export type ServerAuthorization = Resource<ServerAuthorizationSpec>;

export interface AuthorizationPolicySpec {
  readonly targetRef: LocalTargetRef;
  readonly requiredAuthenticationRefs: readonly NamespacedTargetRef[];
}

export type AuthorizationPolicy = Resource<AuthorizationPolicySpec>;

export interface MeshTLSAuthenticationSpec {
  readonly identities?: readonly string[];
  readonly identityRefs?: readonly {
    readonly group?: string;
    readonly kind: string;
    readonly name?: string;
    readonly namespace?: string;
  }[];
}

export type MeshTLSAuthentication = Resource<MeshTLSAuthenticationSpec>;

export type NetworkAuthentication = Resource<{ readonly networks: readonly NetworkSpec[] }>;

export interface HTTPLocalRateLimitPolicySpec {
  readonly targetRef: LocalTargetRef;
  readonly total?: { readonly requestsPerSecond: number };
  readonly identity?: { readonly requestsPerSecond: number };
  readonly overrides?: readonly { readonly requestsPerSecond: number; readonly clientRefs: readonly NamespacedTargetRef[] }[];
}

export interface HTTPLocalRateLimitPolicyStatus {
  readonly conditions?: readonly Condition[];
  readonly targetRef?: LocalTargetRef;
}

export type HTTPLocalRateLimitPolicy = Resource<HTTPLocalRateLimitPolicySpec, HTTPLocalRateLimitPolicyStatus>;

export interface EgressNetworkSpec {
  readonly trafficPolicy: 'Allow' | 'Deny';
  readonly networks?: readonly NetworkSpec[];
}

export type EgressNetwork = Resource<EgressNetworkSpec, { readonly conditions?: readonly Condition[] }>;

const GROUP = 'policy.linkerd.io';

/** policy.linkerd.io/v1beta3 Server. */
export const ServerKind: ResourceKind<Server> = namespacedKind(GROUP, 'v1beta3', 'Server', 'servers');
/** policy.linkerd.io/v1beta1 ServerAuthorization. */
export const ServerAuthorizationKind: ResourceKind<ServerAuthorization> = namespacedKind(
  GROUP,
  'v1beta1',
  'ServerAuthorization',
  'serverauthorizations',
);
/** policy.linkerd.io/v1alpha1 AuthorizationPolicy. */
export const AuthorizationPolicyKind: ResourceKind<AuthorizationPolicy> = namespacedKind(
  GROUP,
  'v1alpha1',
  'AuthorizationPolicy',
  'authorizationpolicies',
);
/** policy.linkerd.io/v1alpha1 MeshTLSAuthentication. */
export const MeshTLSAuthenticationKind: ResourceKind<MeshTLSAuthentication> = namespacedKind(
  GROUP,
  'v1alpha1',
  'MeshTLSAuthentication',
  'meshtlsauthentications',
);
/** policy.linkerd.io/v1alpha1 NetworkAuthentication. */
export const NetworkAuthenticationKind: ResourceKind<NetworkAuthentication> = namespacedKind(
  GROUP,
  'v1alpha1',
  'NetworkAuthentication',
  'networkauthentications',
);
/** policy.linkerd.io/v1alpha1 HTTPLocalRateLimitPolicy. */
export const HTTPLocalRateLimitPolicyKind: ResourceKind<HTTPLocalRateLimitPolicy> = namespacedKind(
  GROUP,
  'v1alpha1',
  'HTTPLocalRateLimitPolicy',
  'httplocalratelimitpolicies',
);
/** policy.linkerd.io/v1alpha1 EgressNetwork. */
export const EgressNetworkKind: ResourceKind<EgressNetwork> = namespacedKind(GROUP, 'v1alpha1', 'EgressNetwork', 'egressnetworks');
