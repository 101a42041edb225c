// SPDX-License-Identifier: Apache-2.0
/*
 * All kinds that Weft reads or writes, and how to find one. The built-in kinds are served by every API server; the others exist where
 * their CustomResourceDefinitions are installed (control-contract §5).
 */
import type { Gvk, ResourceKind } from '../types.ts';
import { MutatingWebhookConfigurationKind, ValidatingWebhookConfigurationKind } from './admission.ts';
import { ConfigMapKind, EndpointsKind, EventKind, NamespaceKind, NodeKind, SecretKind, ServiceAccountKind, ServiceKind } from './core.ts';
import { EndpointSliceKind } from './discovery.ts';
import { ExternalWorkloadKind } from './external-workload.ts';
import { PodKind } from './pods.ts';
import {
  AuthorizationPolicyKind,
  EgressNetworkKind,
  HTTPLocalRateLimitPolicyKind,
  MeshTLSAuthenticationKind,
  NetworkAuthenticationKind,
  ServerAuthorizationKind,
  ServerKind,
} from './policy.ts';
import { GRPCRouteKind, HTTPRouteKind, PolicyHTTPRouteKind, TCPRouteKind, TLSRouteKind } from './routes.ts';
import { ServiceProfileKind } from './service-profile.ts';
import {
  CronJobKind,
  DaemonSetKind,
  DeploymentKind,
  JobKind,
  LeaseKind,
  ReplicaSetKind,
  ReplicationControllerKind,
  StatefulSetKind,
} from './workloads.ts';

/** Kinds that come with the API server. */
export const builtInKinds: readonly ResourceKind[] = [
  NamespaceKind,
  PodKind,
  ServiceKind,
  EndpointsKind,
  NodeKind,
  SecretKind,
  ConfigMapKind,
  ServiceAccountKind,
  EventKind,
  DeploymentKind,
  ReplicaSetKind,
  ReplicationControllerKind,
  StatefulSetKind,
  DaemonSetKind,
  JobKind,
  CronJobKind,
  EndpointSliceKind,
  LeaseKind,
  MutatingWebhookConfigurationKind,
  ValidatingWebhookConfigurationKind,
];

/** Kinds that come with a CustomResourceDefinition, in the version that Weft reads. */
export const customKinds: readonly ResourceKind[] = [
  ServiceProfileKind,
  ServerKind,
  ServerAuthorizationKind,
  AuthorizationPolicyKind,
  MeshTLSAuthenticationKind,
  NetworkAuthenticationKind,
  HTTPLocalRateLimitPolicyKind,
  EgressNetworkKind,
  PolicyHTTPRouteKind,
  HTTPRouteKind,
  GRPCRouteKind,
  TLSRouteKind,
  TCPRouteKind,
  ExternalWorkloadKind,
];

/** Every kind that Weft reads or writes. */
export const allKinds: readonly ResourceKind[] = [...builtInKinds, ...customKinds];

/** `v1` for the core group, `group/version` otherwise. */
export function apiVersionOf(gvk: Pick<Gvk, 'group' | 'version'>): string {
  return gvk.group === '' ? gvk.version : `${gvk.group}/${gvk.version}`;
}

/** The two halves of an `apiVersion`; the group of `v1` is ''. */
export function parseApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? { group: '', version: apiVersion } : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** The registered kind of an object, or undefined. Exact in group, version and kind. */
export function kindOf(object: { readonly apiVersion: string; readonly kind: string }): ResourceKind | undefined {
  const { group, version } = parseApiVersion(object.apiVersion);
  return allKinds.find((kind) => kind.kind === object.kind && kind.group === group && kind.version === version);
}
