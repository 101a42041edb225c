// SPDX-License-Identifier: Apache-2.0
/*
 * Pods that count as running on nodes that do not exist: their status is written as a kubelet would, so that the cluster's own controllers
 * make EndpointSlices of them, with host names and topology hints.
 */
import { NodeKind, PodKind, type Pod, type ResourceInput, type ResourceSource } from '@weft/resources';

const MANAGER = 'weft-e2e';

/** What differs from pod to pod. */
export interface RunningPod {
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  /** Its IPv6 address, where it has one. */
  readonly ip6?: string;
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** With a sidecar of the control plane in `linkerd`. Default true. */
  readonly isMeshed?: boolean;
  readonly hostname?: string;
  readonly subdomain?: string;
  readonly hostPort?: number;
}

/** Makes a node in a zone. */
export async function addNode(source: ResourceSource, name: string, zone: string): Promise<void> {
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } } };
  await source.apply(NodeKind, node, MANAGER);
  const status = {
    allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
    capacity: { cpu: '4', memory: '8Gi', pods: '110' },
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady' }],
  };
  await source.patchStatus(NodeKind, '', name, { status }, MANAGER);
}

/** Makes a pod and its status. */
export async function addPod(source: ResourceSource, pod: RunningPod): Promise<Pod> {
  const { namespace, name, hostname, subdomain } = pod;
  const meshed = pod.isMeshed ?? true;
  const input: ResourceInput = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: { ...pod.labels, ...(meshed ? { 'linkerd.io/control-plane-ns': 'linkerd' } : {}) },
      annotations: pod.annotations ?? {},
    },
    spec: {
      nodeName: pod.node,
      tolerations: [{ operator: 'Exists' }],
      automountServiceAccountToken: false,
      ...(hostname === undefined ? {} : { hostname }),
      ...(subdomain === undefined ? {} : { subdomain }),
      ...(meshed ? { initContainers: [proxyContainer()] } : {}),
      containers: [
        {
          name: 'app',
          image: 'localhost/app:1',
          ports: [{ name: 'http', containerPort: 8080, ...(pod.hostPort === undefined ? {} : { hostPort: pod.hostPort }) }],
        },
      ],
    },
  };
  await source.create(PodKind, input);
  await setReady(source, pod, true);
  return source.get(PodKind, namespace, name);
}

/** Writes whether a pod is ready. */
export async function setReady(source: ResourceSource, { namespace, name, ip, ip6 }: RunningPod, isReady: boolean): Promise<void> {
  const now = new Date().toISOString();
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
    type,
    status: isReady || !type.endsWith('Ready') ? 'True' : 'False',
    lastTransitionTime: now,
  }));
  const status = {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }, ...(ip6 === undefined ? [] : [{ ip: ip6 }])],
    hostIP: '10.200.0.1',
    hostIPs: [{ ip: '10.200.0.1' }],
    conditions,
  };
  await source.patchStatus(PodKind, namespace, name, { status }, MANAGER);
}

function proxyContainer(): object {
  const env = { INBOUND: '0.0.0.0:4143', ADMIN: '0.0.0.0:4191', CONTROL: '0.0.0.0:4190' };
  return {
    name: 'linkerd-proxy',
    image: 'localhost/proxy:1',
    restartPolicy: 'Always',
    env: Object.entries(env).map(([which, value]) => ({ name: `LINKERD2_PROXY_${which}_LISTEN_ADDR`, value })),
  };
}
