// SPDX-License-Identifier: Apache-2.0
/* Names of the annotations and labels that discovery reads (control-contract §1.4 to §1.8). They are part of users' manifests. */

export const OPAQUE_PORTS_ANNOTATION = 'config.linkerd.io/opaque-ports';
export const SKIP_INBOUND_PORTS_ANNOTATION = 'config.linkerd.io/skip-inbound-ports';
export const CONTROL_PLANE_NS_LABEL = 'linkerd.io/control-plane-ns';
export const POD_TEMPLATE_HASH_LABEL = 'pod-template-hash';
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by';
export const HEADLESS_LABEL = 'service.kubernetes.io/headless';
export const ZONE_LABEL = 'topology.kubernetes.io/zone';
export const REMOTE_GATEWAY_IDENTITY_ANNOTATION = 'mirror.linkerd.io/remote-gateway-identity';
export const REMOTE_SERVICE_FQ_NAME_ANNOTATION = 'mirror.linkerd.io/remote-svc-fq-name';
export const MIRROR_CLUSTER_NAME_LABEL = 'mirror.linkerd.io/cluster-name';
/** As annotation: a federated service. As label: a service whose endpoints live in another cluster. */
export const REMOTE_DISCOVERY = 'multicluster.linkerd.io/remote-discovery';
export const LOCAL_DISCOVERY_ANNOTATION = 'multicluster.linkerd.io/local-discovery';
export const REMOTE_SERVICE_LABEL = 'multicluster.linkerd.io/remote-service';
/** Services in there are Kubernetes' own, and get no external endpoints (control-contract §1.12). */
export const SYSTEM_NAMESPACE = 'kube-system';
