// SPDX-License-Identifier: Apache-2.0
/* Objects of a made-up cluster, with only what discovery reads. */
import type { ResourceInput } from '@weft/resources';

import { proxyContainer } from './mini-cluster.ts';

export const NAMESPACE = 'ns';

interface PodInput {
  readonly ip?: string;
  readonly ips?: readonly string[];
  readonly uid?: string;
  readonly node?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Namespace of the control plane that injected it; '' for an unmeshed pod. Default linkerd. */
  readonly mesh?: string;
  readonly hasProxy?: boolean;
  readonly phase?: string;
  readonly owner?: readonly [kind: string, name: string];
  readonly ports?: readonly object[];
  readonly hostNetwork?: boolean;
  readonly hostIp?: string;
  readonly createdAt?: string;
}

/** A running pod, meshed unless said otherwise. */
export function pod(name: string, input: PodInput = {}): ResourceInput {
  const { ip = '10.0.0.1', ips = [ip], mesh = 'linkerd', hasProxy = mesh !== '', hostIp = '10.99.0.1' } = input;
  const metadata = {
    name,
    namespace: NAMESPACE,
    labels: { app: 'web', ...(mesh === '' ? {} : { 'linkerd.io/control-plane-ns': mesh }), ...input.labels },
    annotations: input.annotations ?? {},
    ...(input.owner === undefined
      ? {}
      : { ownerReferences: [{ apiVersion: 'v1', kind: input.owner[0], name: input.owner[1], uid: 'owner', controller: true }] }),
    ...(input.uid === undefined ? {} : { uid: input.uid }),
    ...(input.createdAt === undefined ? {} : { creationTimestamp: input.createdAt }),
  };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      serviceAccountName: 'sa',
      nodeName: input.node ?? 'node-a',
      ...(input.hostNetwork === true ? { hostNetwork: true } : {}),
      containers: [{ name: 'app', ports: input.ports ?? [{ containerPort: 8080, name: 'http' }] }],
      initContainers: hasProxy ? [proxyContainer()] : [],
    },
    status: {
      phase: input.phase ?? 'Running',
      podIP: ips[0],
      podIPs: ips.map((address) => ({ ip: address })),
      hostIP: hostIp,
      hostIPs: [{ ip: hostIp }],
    },
  };
}

/** A Service with the port http, 80 to 8080, unless `spec` says otherwise. */
export function service(name: string, spec: object = {}, annotations: Readonly<Record<string, string>> = {}): ResourceInput {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: NAMESPACE, annotations },
    spec: { clusterIP: 'None', ports: [{ name: 'http', port: 80, targetPort: 8080 }], ...spec },
  };
}

export interface EndpointInput {
  readonly ip?: string;
  readonly pod?: string;
  readonly uid?: string;
  readonly workload?: string;
  readonly zone?: string;
  readonly hints?: readonly string[];
  readonly hostname?: string;
  readonly ready?: boolean | null;
}

/** An EndpointSlice `<service>-<suffix>` with the port http, 8080, unless `fields` says otherwise. */
export function slice(serviceName: string, suffix: string, endpoints: readonly EndpointInput[], fields: object = {}): ResourceInput {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${serviceName}-${suffix}`, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': serviceName } },
    addressType: 'IPv4',
    endpoints: endpoints.map(({ ip = '10.0.0.1', ...endpoint }) => ({
      addresses: [ip],
      conditions: { ready: endpoint.ready ?? true },
      ...(endpoint.pod === undefined
        ? {}
        : { targetRef: { kind: 'Pod', name: endpoint.pod, namespace: NAMESPACE, ...(endpoint.uid === undefined ? {} : { uid: endpoint.uid }) } }),
      ...(endpoint.workload === undefined ? {} : { targetRef: { kind: 'ExternalWorkload', name: endpoint.workload, namespace: NAMESPACE } }),
      ...(endpoint.zone === undefined ? {} : { zone: endpoint.zone }),
      ...(endpoint.hints === undefined ? {} : { hints: { forZones: endpoint.hints.map((zone) => ({ name: zone })) } }),
      ...(endpoint.hostname === undefined ? {} : { hostname: endpoint.hostname }),
    })),
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    ...fields,
  };
}

/** A node in a zone. */
export function node(name: string, zone: string): ResourceInput {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } } };
}

/** An owner of pods: a ReplicaSet or Job, itself owned. */
export function owner(kind: 'ReplicaSet' | 'Job', name: string, parent: readonly [kind: string, name: string]): ResourceInput {
  return {
    apiVersion: kind === 'Job' ? 'batch/v1' : 'apps/v1',
    kind,
    metadata: {
      name,
      namespace: NAMESPACE,
      ownerReferences: [{ apiVersion: 'v1', kind: parent[0], name: parent[1], uid: 'parent', controller: true }],
    },
    spec: { selector: { matchLabels: { app: 'web' } }, template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'app' }] } } },
  };
}

/** A Server of all pods `app: web`. */
export function server(name: string, port: number | string, proxyProtocol: string): ResourceInput {
  return {
    apiVersion: 'policy.linkerd.io/v1beta3',
    kind: 'Server',
    metadata: { name, namespace: NAMESPACE },
    spec: { podSelector: { matchLabels: { app: 'web' } }, port, proxyProtocol },
  };
}

/** A ServiceProfile of a service of `NAMESPACE`, in any namespace. */
export function profile(serviceName: string, namespace: string, spec: object): ResourceInput {
  return {
    apiVersion: 'linkerd.io/v1alpha2',
    kind: 'ServiceProfile',
    metadata: { name: `${serviceName}.${NAMESPACE}.svc.cluster.local`, namespace },
    spec,
  };
}
