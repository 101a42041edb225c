// SPDX-License-Identifier: Apache-2.0
/*
 * Fills an API server with a busy cluster that does not run: nodes, ReplicaSets, meshed pods with the environment of an injected sidecar, Services
 * without selectors and their EndpointSlices. The cluster's own controllers leave it alone: nothing is selected, tolerated are all taints.
 */
import type { Resource, ResourceInput, ResourceKind, ResourceSource } from '@weft/resources';
import { EndpointSliceKind, NamespaceKind, NodeKind, PodKind, ReplicaSetKind, ServiceKind } from '@weft/resources';

/** How much of it. */
export interface Population {
  readonly namespaces: number;
  readonly nodes: number;
  readonly services: number;
  readonly podsPerService: number;
}

const MANAGER = 'weft-populate';
const PORT = 8080;
/** Writes under way at a time. */
const CONCURRENCY = 48;

const PROXY_ENV: readonly (readonly [string, string])[] = [
  ['LINKERD2_PROXY_CORES', '1'],
  ['LINKERD2_PROXY_INBOUND_LISTEN_ADDR', '0.0.0.0:4143'],
  ['LINKERD2_PROXY_ADMIN_LISTEN_ADDR', '0.0.0.0:4191'],
  ['LINKERD2_PROXY_CONTROL_LISTEN_ADDR', '0.0.0.0:4190'],
  ['LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR', '127.0.0.1:4140'],
  ['LINKERD2_PROXY_DESTINATION_SVC_ADDR', 'linkerd-dst-headless.linkerd.svc.cluster.local.:8086'],
  ['LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS', '10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8'],
  ['LINKERD2_PROXY_POLICY_SVC_ADDR', 'linkerd-policy.linkerd.svc.cluster.local.:8090'],
  ['LINKERD2_PROXY_POLICY_WORKLOAD', '{"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}'],
  ['LINKERD2_PROXY_DESTINATION_CONTEXT', '{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}'],
  [
    'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS',
    `-----BEGIN CERTIFICATE-----\n${'MIIBjTCCATOgAwIBAgIBATAKBggqhkjO\n'.repeat(18)}-----END CERTIFICATE-----`,
  ],
  ...Array.from({ length: 50 }, (_, index) => [`LINKERD2_PROXY_SETTING_NUMBER_${index}`, `value of setting ${index}`] as const),
];

/** Writes all of it; deletes nothing. */
export async function populate(source: ResourceSource, population: Population): Promise<void> {
  const { namespaces, nodes, services, podsPerService } = population;
  const apply = async (kind: ResourceKind, object: ResourceInput): Promise<Resource> => source.apply(kind, object, MANAGER);
  await each(namespaces, async (index) => {
    await apply(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespaceName(index) } });
  });
  await each(nodes, async (index) => {
    const labels = { 'topology.kubernetes.io/zone': `zone-${index % 3}`, 'kubernetes.io/os': 'linux' };
    await apply(NodeKind, { apiVersion: 'v1', kind: 'Node', metadata: { name: `fake-${index}`, labels } });
  });
  await each(services, async (index) => {
    const namespace = namespaceName(index % namespaces);
    await apply(ServiceKind, service(namespace, index));
    const { metadata } = await apply(ReplicaSetKind, replicaSet(namespace, index));
    const pods: Resource[] = [];
    for (let number = 0; number < podsPerService; number += 1) {
      const serial = index * podsPerService + number;
      const node = serial % nodes;
      const input = pod(namespace, index, serial, node, metadata.uid);
      pods.push(await apply(PodKind, input));
      const ip = podIp(serial);
      const status = {
        phase: 'Running',
        podIP: ip,
        podIPs: [{ ip }],
        hostIP: `10.8.0.${node + 1}`,
        hostIPs: [{ ip: `10.8.0.${node + 1}` }],
      };
      await source.patchStatus(PodKind, namespace, input.metadata.name, { status }, MANAGER);
    }
    await apply(EndpointSliceKind, slice(namespace, index, podsPerService, pods));
  });
}

/** Namespace of the service of this number. */
export function serviceNamespace(index: number, { namespaces }: Population): string {
  return namespaceName(index % namespaces);
}

function namespaceName(index: number): string {
  return `busy-${index}`;
}

/** Address of the pod of this number: inside 10.128.0.0/9. */
function podIp(serial: number): string {
  return `10.${128 + (serial >> 16)}.${(serial >> 8) & 255}.${serial & 255}`;
}

async function each(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const run = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await work(next - 1);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, count) }, run));
}

function service(namespace: string, index: number): ResourceInput {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: `svc-${index}`, namespace, labels: { app: `app-${index}` } },
    spec: { ports: [{ name: 'http', port: 80, targetPort: PORT, protocol: 'TCP' }] },
  };
}

function replicaSet(namespace: string, index: number): ResourceInput {
  const labels = { app: `app-${index}`, never: 'matched' };
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: `app-${index}-5d4f8c7b9`, namespace, labels },
    spec: {
      replicas: 0,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'localhost/app:1' }] } },
    },
  };
}

function pod(namespace: string, index: number, serial: number, node: number, ownerUid: string): ResourceInput {
  const mounts = [{ name: 'identity', mountPath: '/var/run/linkerd/identity/end-entity' }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `app-${index}-5d4f8c7b9-${serial}`,
      namespace,
      labels: {
        app: `app-${index}`,
        'pod-template-hash': '5d4f8c7b9',
        'linkerd.io/control-plane-ns': 'linkerd',
        'linkerd.io/workload-ns': namespace,
      },
      annotations: { 'linkerd.io/inject': 'enabled', 'linkerd.io/proxy-version': '0.1.0', 'linkerd.io/trust-root-sha256': 'a'.repeat(64) },
      ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `app-${index}-5d4f8c7b9`, uid: ownerUid }],
    },
    spec: {
      nodeName: `fake-${node}`,
      tolerations: [{ operator: 'Exists' }],
      automountServiceAccountToken: false,
      initContainers: [
        {
          name: 'linkerd-init',
          image: 'ghcr.io/weft-mesh/proxy:0.1.0',
          args: ['--incoming-proxy-port', '4143', '--outgoing-proxy-port', '4140'],
        },
        {
          name: 'linkerd-proxy',
          image: 'ghcr.io/weft-mesh/proxy:0.1.0',
          restartPolicy: 'Always',
          env: PROXY_ENV.map(([name, value]) => ({ name, value })),
          ports: [
            { name: 'linkerd-proxy', containerPort: 4143 },
            { name: 'linkerd-admin', containerPort: 4191 },
          ],
          volumeMounts: mounts,
        },
      ],
      containers: [
        {
          name: 'app',
          image: 'localhost/app:1',
          ports: [{ name: 'http', containerPort: PORT }],
          env: Array.from({ length: 10 }, (_, variable) => ({ name: `APP_SETTING_${variable}`, value: `value of ${variable}` })),
        },
      ],
      volumes: [{ name: 'identity', emptyDir: { medium: 'Memory' } }],
    },
  };
}

function slice(namespace: string, index: number, podsPerService: number, pods: readonly Resource[]): ResourceInput {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `svc-${index}-abcde`,
      namespace,
      labels: { 'kubernetes.io/service-name': `svc-${index}`, 'endpointslice.kubernetes.io/managed-by': MANAGER },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: PORT, protocol: 'TCP' }],
    endpoints: pods.map(({ metadata, spec }, number) => ({
      addresses: [podIp(index * podsPerService + number)],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: (spec as { readonly nodeName: string }).nodeName,
      zone: `zone-${number % 3}`,
      targetRef: { kind: 'Pod', namespace, name: metadata.name, uid: metadata.uid },
    })),
  };
}
