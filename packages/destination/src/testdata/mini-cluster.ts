// SPDX-License-Identifier: Apache-2.0
/*
 * As much of a cluster as the captured sequences need: it gives pods addresses and sidecars, keeps one EndpointSlice per Service, and takes the
 * few kubectl commands of `steps.json`. For tests only.
 */
import {
  createMemorySource,
  EndpointSliceKind,
  hasLabels,
  kindOf,
  PodKind,
  ServerKind,
  ServiceKind,
  ServiceProfileKind,
  type Container,
  type Pod,
  type Resource,
  type ResourceInput,
  type ResourceKind,
  type Service,
} from '@weft/resources';
import { parseAllDocuments } from 'yaml';

/** One step of a sequence. */
export interface Step {
  readonly step: number;
  readonly manifest?: string;
  readonly kubectl?: string;
}

const KINDS: Readonly<Record<string, ResourceKind>> = {
  pod: PodKind,
  svc: ServiceKind,
  server: ServerKind,
  serviceprofile: ServiceProfileKind,
};

/** The sidecar of a pod, as far as discovery reads it. */
export function proxyContainer(inboundPort = 4143, adminPort = 4191): Container {
  return {
    name: 'linkerd-proxy',
    restartPolicy: 'Always',
    env: [
      { name: 'LINKERD2_PROXY_INBOUND_LISTEN_ADDR', value: `0.0.0.0:${inboundPort}` },
      { name: 'LINKERD2_PROXY_ADMIN_LISTEN_ADDR', value: `0.0.0.0:${adminPort}` },
      { name: 'LINKERD2_PROXY_CONTROL_LISTEN_ADDR', value: '0.0.0.0:4190' },
    ],
    ports: [
      { containerPort: inboundPort, name: 'linkerd-proxy' },
      { containerPort: adminPort, name: 'linkerd-admin' },
    ],
  };
}

/** A cluster in memory with a controller for endpoint slices. */
export class MiniCluster {
  readonly source: ReturnType<typeof createMemorySource> = createMemorySource();
  private readonly podIps: Readonly<Record<string, string>>;
  private readonly clusterIps: Readonly<Record<string, string>>;

  /** Addresses by the name of the pod or Service. */
  constructor(podIps: Readonly<Record<string, string>>, clusterIps: Readonly<Record<string, string>>) {
    this.podIps = podIps;
    this.clusterIps = clusterIps;
  }

  /** Applies manifests, then lets the controller work. */
  async apply(yaml: string): Promise<void> {
    for (const document of parseAllDocuments(yaml)) {
      const object = document.toJS() as ResourceInput | null;
      if (object === null || object.kind === 'Namespace') continue;
      const kind = kindOf(object);
      if (kind === undefined) throw new Error(`unknown kind ${object.kind}`);
      await this.source.apply(kind, this.completed(object), 'test');
      if (object.kind === 'Pod') await this.startPod(object);
    }
    await this.syncSlices();
  }

  /** Takes a step. */
  async take(step: Step): Promise<void> {
    if (step.manifest !== undefined) await this.apply(step.manifest);
    else await this.kubectl((step.kubectl ?? '').split(' '));
  }

  private async kubectl([, namespace = '', verb = '', kindName = '', name = '', change = '']: string[]): Promise<void> {
    const kind = KINDS[kindName];
    if (kind === undefined) throw new Error(`unknown kind ${kindName}`);
    switch (verb) {
      case 'delete':
        await this.source.delete(kind, namespace, name);
        break;
      case 'label':
      case 'annotate': {
        const [key = '', value] = change.split('=', 2);
        const field = verb === 'label' ? 'labels' : 'annotations';
        const patch = { metadata: { [field]: value === undefined ? { [key.slice(0, -1)]: null } : { [key]: value } } };
        await this.source.patch(kind, namespace, name, patch, 'test');
        break;
      }
      default:
        throw new Error(`unknown verb ${verb}`);
    }
    await this.syncSlices();
  }

  private completed(object: ResourceInput): ResourceInput {
    if (object.kind === 'Service') {
      const clusterIP = this.clusterIps[object.metadata.name];
      return clusterIP === undefined ? object : { ...object, spec: { ...(object['spec'] as object), clusterIP } };
    }
    if (object.metadata.annotations?.['linkerd.io/inject'] !== 'enabled') return object;
    return {
      ...object,
      metadata: { ...object.metadata, labels: { ...object.metadata.labels, 'linkerd.io/control-plane-ns': 'linkerd' } },
      spec: { ...(object['spec'] as object), initContainers: [proxyContainer()] },
    };
  }

  private async startPod({ metadata: { namespace = 'default', name } }: ResourceInput): Promise<void> {
    const ip = this.podIps[name] ?? '';
    const status = { phase: 'Running', podIP: ip, podIPs: [{ ip }], hostIP: '10.99.0.2', hostIPs: [{ ip: '10.99.0.2' }] };
    await this.source.patchStatus(PodKind, namespace, name, { status }, 'test');
  }

  private async syncSlices(): Promise<void> {
    const services = await this.source.list(ServiceKind);
    const pods = await this.source.list(PodKind);
    const wanted = new Map(services.map((service) => [`${service.metadata.name}-slice`, this.slice(service, pods)]));
    for (const slice of await this.source.list(EndpointSliceKind)) {
      if (!wanted.has(slice.metadata.name)) await this.source.delete(EndpointSliceKind, slice.metadata.namespace, slice.metadata.name);
      else if (JSON.stringify(slice.endpoints) === JSON.stringify(wanted.get(slice.metadata.name)?.['endpoints'])) wanted.delete(slice.metadata.name);
    }
    for (const slice of wanted.values()) await this.source.apply(EndpointSliceKind, slice, 'test');
  }

  private slice(service: Service, pods: readonly Pod[]): ResourceInput {
    const { name, namespace } = service.metadata;
    const selected = pods.filter((pod) => hasLabels(pod.metadata.labels, service.spec?.selector ?? {}));
    return {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${name}-slice`, namespace, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: selected.map((pod) => ({ addresses: [pod.status?.podIP ?? ''], conditions: { ready: true }, targetRef: reference(pod) })),
      ports: (service.spec?.ports ?? []).map(({ name: portName = '', targetPort }) => ({ name: portName, port: targetPort, protocol: 'TCP' })),
    };
  }
}

function reference({ metadata: { name, namespace, uid } }: Resource): { kind: string; name: string; namespace: string; uid: string } {
  return { kind: 'Pod', name, namespace, uid };
}
