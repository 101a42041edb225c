// SPDX-License-Identifier: Apache-2.0
export type * from './types.ts';
export { invalidObject, isResourceError, ResourceError } from './errors.ts';
export type { FieldError, ResourceErrorDetails } from './errors.ts';
export { hasLabels, matchesLabelSelector, matchesSelector } from './selectors.ts';
export { createIndex, createStore, storeKey } from './resource-store.ts';
export type { ResourceStore, StoreEvent, StoreIndex } from './resource-store.ts';
export { createMemorySource, createObjectStore, DEFAULT_MAX_LOGGED_CHANGES } from './memory-source.ts';
export type { LocalSourceOptions, MemorySourceOptions } from './memory-source.ts';
export type { LocalSource } from './local-source.ts';
export { ObjectStore } from './store/object-store.ts';
export type { Admission, AdmissionRule, ObjectStoreOptions, WriteOptions } from './store/object-store.ts';
export type { Change } from './store/change-log.ts';
export type { ObjectRules, ResourceType, TypeVersion } from './store/resource-type.ts';
export { createDirectorySource, DIRECTORY_DEFAULTS } from './directory/directory-source.ts';
export type { DirectoryLog, DirectorySource, DirectorySourceOptions } from './directory/directory-source.ts';
export type { ManifestProblem } from './directory/manifest-set.ts';
export { createKubernetesSource, createRemoteSource, KUBERNETES_DEFAULTS } from './kubernetes/kubernetes-source.ts';
export type { KubernetesSourceOptions } from './kubernetes/kubernetes-source.ts';
export { inClusterConnection, kubeconfigConnection, SERVICE_ACCOUNT_DIRECTORY } from './kubernetes/connection.ts';
export type { KubernetesConnection } from './kubernetes/connection.ts';
export { API_SERVER_DEFAULTS, serveKubernetesApi } from './kubernetes/api-server.ts';
export type { ApiServer, ApiServerOptions } from './kubernetes/api-server.ts';
export { untilAvailable } from './until-available.ts';
export type { Patience } from './until-available.ts';
export { LEASE_TIMING, LeaseElection } from './lease/lease-election.ts';
export type { LeaseClock, LeaseElectionOptions, LeaseLog, LeaseTiming } from './lease/lease-election.ts';
export { customTypes } from './schema/custom-types.ts';
export type { CustomTypes } from './schema/custom-types.ts';
export { readCustomTypes } from './schema/custom-type-files.ts';
export { clusterIpsFrom } from './builtin/cluster-ips.ts';
export type { ClusterIpAllocator } from './builtin/cluster-ips.ts';
export { allKinds, apiVersionOf, builtInKinds, customKinds, kindOf, parseApiVersion } from './kinds/registry.ts';
export { metadataOnly } from './kinds/meta.ts';
export type { Condition, IntOrString, LabelSelector, LabelSelectorRequirement, ObjectReference } from './kinds/meta.ts';
export { MutatingWebhookConfigurationKind, ValidatingWebhookConfigurationKind } from './kinds/admission.ts';
export type { Webhook, WebhookConfiguration } from './kinds/admission.ts';
export { PodKind } from './kinds/pods.ts';
export type { Container, ContainerPort, ContainerStatus, EnvVar, Pod, PodSpec, PodStatus, PodTemplate, Probe } from './kinds/pods.ts';
export {
  ConfigMapKind,
  EndpointsKind,
  EventKind,
  NamespaceKind,
  NodeKind,
  SecretKind,
  ServiceAccountKind,
  ServiceKind,
} from './kinds/core.ts';
export type {
  ConfigMap,
  EndpointAddress,
  Endpoints,
  EndpointSubset,
  Event,
  Namespace,
  Node,
  NodeStatus,
  Secret,
  Service,
  ServiceAccount,
  ServicePort,
  ServiceSpec,
} from './kinds/core.ts';
export {
  CronJobKind,
  DaemonSetKind,
  DeploymentKind,
  JobKind,
  LeaseKind,
  ReplicaSetKind,
  ReplicationControllerKind,
  StatefulSetKind,
} from './kinds/workloads.ts';
export type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  JobSpec,
  JobStatus,
  Lease,
  LeaseSpec,
  ReplicaSet,
  ReplicatedSpec,
  ReplicatedStatus,
  ReplicationController,
  StatefulSet,
} from './kinds/workloads.ts';
export { EndpointSliceKind } from './kinds/discovery.ts';
export type { Endpoint, EndpointPort, EndpointSlice } from './kinds/discovery.ts';
export { ServiceProfileKind } from './kinds/service-profile.ts';
export type { ProfileRoute, RequestMatch, ResponseMatch, ServiceProfile, ServiceProfileSpec } from './kinds/service-profile.ts';
export {
  AuthorizationPolicyKind,
  EgressNetworkKind,
  HTTPLocalRateLimitPolicyKind,
  MeshTLSAuthenticationKind,
  NetworkAuthenticationKind,
  ServerAuthorizationKind,
  ServerKind,
} from './kinds/policy.ts';
export type {
  AuthorizationPolicy,
  AuthorizationPolicySpec,
  EgressNetwork,
  EgressNetworkSpec,
  HTTPLocalRateLimitPolicy,
  HTTPLocalRateLimitPolicySpec,
  HTTPLocalRateLimitPolicyStatus,
  LocalTargetRef,
  MeshTLSAuthentication,
  MeshTLSAuthenticationSpec,
  NamespacedTargetRef,
  NetworkAuthentication,
  NetworkSpec,
  Server,
  ServerAuthorization,
  ServerAuthorizationSpec,
  ServerSpec,
} from './kinds/policy.ts';
export { GRPCRouteKind, HTTPRouteKind, PolicyHTTPRouteKind, TCPRouteKind, TLSRouteKind } from './kinds/routes.ts';
export type {
  BackendRef,
  ConnectionRouteSpec,
  GRPCRoute,
  GRPCRouteMatch,
  GRPCRouteRule,
  GRPCRouteSpec,
  HeaderModifier,
  HTTPRoute,
  HTTPRouteMatch,
  HTTPRouteRule,
  HTTPRouteSpec,
  ParentRef,
  PathModifier,
  RequestRedirect,
  RouteFilter,
  RouteParentStatus,
  RouteSpec,
  RouteStatus,
  TCPRoute,
  TLSRoute,
  ValueMatch,
} from './kinds/routes.ts';
export { ExternalWorkloadKind } from './kinds/external-workload.ts';
export type { ExternalWorkload, ExternalWorkloadSpec } from './kinds/external-workload.ts';
