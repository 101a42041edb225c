// SPDX-License-Identifier: Apache-2.0
/*
 * The EndpointSlices of a service, as Kubernetes' controller writes them (discovery.k8s.io/v1): which pods, ready or not, at which ports.
 * What discovery reads of them: control-contract §1.5. Pure; the controller writes what comes out.
 */
import type { Endpoint, EndpointPort, Pod, ResourceInput, Service } from '@weft/resources';
import { hasLabels } from '@weft/resources';
import { canonicalJson, fnv32 } from './template-hash.ts';

/** Endpoints in one slice, as Kubernetes' default. */
export const MAX_ENDPOINTS_PER_SLICE = 100;

/** Whether a pod's Ready condition is true. */
export function isPodReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

/** Whether a pod has ended for good. */
export function isPodFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** The number that a service port means in this pod; undefined when it names a port that the pod lacks. */
export function targetPortOf(port: { readonly port: number; readonly targetPort?: number | string }, pod: Pod): number | undefined {
  const { targetPort = port.port } = port;
  if (typeof targetPort === 'number') return targetPort;
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always')];
  return containers.flatMap((container) => container.ports ?? []).find(({ name }) => name === targetPort)?.containerPort;
}

/** The slices of a service with a selector, by name; none for a service without. `pods` may be those of all namespaces. */
export function endpointSlicesOf(service: Service, pods: readonly Pod[]): ResourceInput[] {
  const { spec, metadata } = service;
  const selector = spec?.selector;
  if (selector === undefined || Object.keys(selector).length === 0 || spec?.type === 'ExternalName') return [];
  const groups = new Map<string, { ports: EndpointPort[]; endpoints: Endpoint[] }>();
  for (const pod of pods) {
    const address = pod.status?.podIP ?? '';
    if (pod.metadata.namespace !== metadata.namespace || address === '' || isPodFinished(pod)) continue;
    if (!hasLabels(pod.metadata.labels, selector)) continue;
    const ports = portsFor(service, pod);
    const key = canonicalJson(ports);
    let group = groups.get(key);
    if (group === undefined) groups.set(key, (group = { ports, endpoints: [] }));
    group.endpoints.push(endpointOf(service, pod, address));
  }
  const slices: ResourceInput[] = [];
  for (const [key, { ports, endpoints }] of groups) {
    for (let start = 0; start < endpoints.length; start += MAX_ENDPOINTS_PER_SLICE) {
      slices.push(sliceOf(service, `${key}/${start}`, ports, endpoints.slice(start, start + MAX_ENDPOINTS_PER_SLICE)));
    }
  }
  return slices;
}

function portsFor(service: Service, pod: Pod): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const port of service.spec?.ports ?? []) {
    const number = targetPortOf(port, pod);
    if (number === undefined) continue;
    ports.push({
      name: port.name ?? '',
      port: number,
      protocol: port.protocol ?? 'TCP',
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

function endpointOf(service: Service, pod: Pod, address: string): Endpoint {
  const { name, namespace, uid } = pod.metadata;
  const isTerminating = pod.metadata.deletionTimestamp !== undefined;
  const isServing = isPodReady(pod);
  const isPublished = service.spec?.publishNotReadyAddresses === true;
  const { nodeName, hostname, subdomain } = pod.spec ?? {};
  return {
    addresses: [address],
    conditions: { ready: isPublished || (isServing && !isTerminating), serving: isServing, terminating: isTerminating },
    ...(hostname !== undefined && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}

function sliceOf(service: Service, key: string, ports: readonly EndpointPort[], endpoints: readonly Endpoint[]): ResourceInput {
  const { name, namespace, uid, labels } = service.metadata;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${name}-${fnv32(key).toString(36)}`,
      namespace,
      labels: {
        ...labels,
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        ...(service.spec?.clusterIP === 'None' ? { 'service.kubernetes.io/headless': '' } : {}),
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true }],
    },
    addressType: 'IPv4',
    ports,
    endpoints,
  };
}
