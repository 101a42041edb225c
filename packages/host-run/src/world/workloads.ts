// SPDX-License-Identifier: Apache-2.0
/*
 * The controllers of a run: Deployments become ReplicaSets, ReplicaSets and StatefulSets become pods, services become EndpointSlices, what lost its owner
 * goes, services get the default opaque ports. One pass looks at everything and writes what differs; every change of the world asks for
 * another pass. All writes go through the store of the resource source, like those of any component.
 */
import {
  DeploymentKind,
  EndpointSliceKind,
  isResourceError,
  NamespaceKind,
  type ObjectStore,
  type Deployment,
  type EndpointSlice,
  type Namespace,
  type ObjectMeta,
  type OwnerReference,
  type Pod,
  PodKind,
  type PodTemplate,
  type ReplicaSet,
  ReplicaSetKind,
  type Resource,
  type ResourceInput,
  type ResourceKind,
  type Service,
  ServiceKind,
  type StatefulSet,
  StatefulSetKind,
} from '@weft/resources';
import { meshPod, type ControlPlaneComponent } from '../pod/mesh-pod.ts';
import { defaultOpaquePortsOfService, OPAQUE_PORTS } from '../pod/opaque-ports.ts';
import { CONTROL_NAMESPACE, type ProxySettings } from '../pod/proxy-settings.ts';
import { endpointSlicesOf, isPodFinished, isPodReady } from './endpoint-slices.ts';
import { planRollout, resolveCount, type ReplicaSetState } from './rollout.ts';
import { canonicalJson, randomSuffix, templateHash } from './template-hash.ts';

/** Field manager of what a run writes. */
export const RUN_MANAGER = 'weft-run';
/** Keeps a deleted pod visible as terminating until its processes have ended. */
export const POD_FINALIZER = 'weft.dev/processes';
/** On pods of a StatefulSet: which template they were made from. */
const REVISION = 'controller-revision-hash';
const HASH = 'pod-template-hash';

export interface WorkloadOptions {
  readonly store: ObjectStore;
  readonly nodeName: string;
  readonly proxy: ProxySettings;
  readonly random: () => number;
  /** A write that was refused: a defect, or a manifest that only fails now. */
  onRefused(message: string): void;
}

/** The controllers. `reconcile` runs them once. */
export class WorkloadControllers {
  private readonly options: WorkloadOptions;
  private readonly store: ObjectStore;

  constructor(options: WorkloadOptions) {
    this.options = options;
    this.store = options.store;
  }

  /** One pass. Returns whether anything was written, hence whether another pass may find more to do. */
  reconcile(): boolean {
    const before = this.store.log.revision;
    this.collectOrphans();
    for (const service of this.list<Service>(ServiceKind)) this.guard(service, () => this.defaultOpaquePorts(service));
    for (const deployment of this.list<Deployment>(DeploymentKind)) this.guard(deployment, () => this.deployment(deployment));
    for (const set of this.list<ReplicaSet>(ReplicaSetKind)) this.guard(set, () => this.replicaSet(set));
    for (const set of this.list<StatefulSet>(StatefulSetKind)) this.guard(set, () => this.statefulSet(set));
    for (const pod of this.list<Pod>(PodKind)) this.guard(pod, () => this.adopt(pod));
    const pods = this.list<Pod>(PodKind);
    for (const service of this.list<Service>(ServiceKind)) this.guard(service, () => this.endpoints(service, pods));
    return this.store.log.revision !== before;
  }

  private list<R extends Resource>(kind: ResourceKind<R>): R[] {
    return this.store.list(kind) as R[];
  }

  private guard(object: Resource, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isResourceError(error)) throw error;
      this.options.onRefused(`${object.kind} ${object.metadata.namespace}/${object.metadata.name}: ${error.message}`);
    }
  }

  /** What a run has made for an owner that is gone. */
  private collectOrphans(): void {
    const kinds: ResourceKind[] = [ReplicaSetKind, PodKind, EndpointSliceKind];
    const owners = new Set<string>();
    for (const kind of [DeploymentKind, ReplicaSetKind, StatefulSetKind, ServiceKind] as ResourceKind[]) {
      for (const { metadata } of this.list(kind)) owners.add(metadata.uid);
    }
    for (const kind of kinds) {
      for (const object of this.list(kind)) {
        const owner = controllerOf(object);
        const isOurs = owner !== undefined && ['Deployment', 'ReplicaSet', 'StatefulSet', 'Service'].includes(owner.kind);
        if (!isOurs || owners.has(owner.uid) || object.metadata.deletionTimestamp !== undefined) continue;
        this.store.delete(kind, object.metadata.namespace, object.metadata.name);
      }
    }
  }

  private defaultOpaquePorts(service: Service): void {
    if (service.metadata.annotations[OPAQUE_PORTS] !== undefined) return;
    const value = defaultOpaquePortsOfService(service, this.namespace(service.metadata.namespace));
    if (value === undefined) return;
    const { namespace, name } = service.metadata;
    this.store.patch(ServiceKind, namespace, name, { metadata: { annotations: { [OPAQUE_PORTS]: value } } }, { fieldManager: RUN_MANAGER });
  }

  private deployment(deployment: Deployment): void {
    const { metadata, spec } = deployment;
    const template = spec?.template;
    if (template === undefined) return;
    const hash = templateHash(template);
    const own = this.list<ReplicaSet>(ReplicaSetKind)
      .filter((set) => controllerOf(set)?.uid === metadata.uid)
      .sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? -1 : 1));
    const current =
      own.find((set) => set.metadata.labels[HASH] === hash) ?? this.createReplicaSet(deployment, template, hash, own.length === 0);
    const desired = spec?.replicas ?? 1;
    const strategy = spec?.['strategy'] as { readonly type?: string; readonly rollingUpdate?: Record<string, unknown> } | undefined;
    const old = own.filter((set) => set !== current);
    const wanted = planRollout({
      desired,
      maxSurge: resolveCount(strategy?.rollingUpdate?.['maxSurge'], desired, 1, 'up'),
      maxUnavailable: resolveCount(strategy?.rollingUpdate?.['maxUnavailable'], desired, 0, 'down'),
      isRecreate: strategy?.type === 'Recreate',
      current: this.stateOf(current),
      old: old.map((set) => this.stateOf(set)),
    });
    for (const [name, replicas] of wanted) {
      this.store.patch(ReplicaSetKind, metadata.namespace, name, { spec: { replicas } }, { fieldManager: RUN_MANAGER });
    }
    const spent = old.filter((set) => wanted.get(set.metadata.name) === 0 && this.podsOf(set.metadata.uid).length === 0);
    const limit = Number(spec?.['revisionHistoryLimit'] ?? 10);
    for (const set of spent.slice(0, Math.max(0, spent.length - limit))) {
      this.store.delete(ReplicaSetKind, metadata.namespace, set.metadata.name);
    }
    const pods = own.concat(own.includes(current) ? [] : [current]).flatMap((set) => this.podsOf(set.metadata.uid));
    const ready = pods.filter((pod) => isPodReady(pod)).length;
    const updated = pods.filter((pod) => pod.metadata.labels[HASH] === hash).length;
    this.writeStatus(DeploymentKind, deployment, {
      observedGeneration: metadata.generation ?? 1,
      replicas: pods.length,
      updatedReplicas: updated,
      readyReplicas: ready,
      availableReplicas: ready,
      unavailableReplicas: Math.max(0, desired - ready),
    });
  }

  private createReplicaSet(deployment: Deployment, template: PodTemplate, hash: string, isFirst: boolean): ReplicaSet {
    const { name, namespace } = deployment.metadata;
    const labels = { ...template.metadata?.labels, [HASH]: hash };
    return this.store.create(
      ReplicaSetKind,
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: { name: `${name}-${hash}`, namespace, labels, ownerReferences: [ownerReference(deployment)] },
        spec: {
          replicas: isFirst ? (deployment.spec?.replicas ?? 1) : 0,
          selector: { matchLabels: { ...deployment.spec?.selector?.matchLabels, [HASH]: hash } },
          template: { ...template, metadata: { ...template.metadata, labels } },
        },
      },
      { fieldManager: RUN_MANAGER },
    ) as ReplicaSet;
  }

  private stateOf(set: ReplicaSet): ReplicaSetState {
    const pods = this.podsOf(set.metadata.uid);
    return {
      name: set.metadata.name,
      replicas: set.spec?.replicas ?? 0,
      pods: pods.length,
      available: pods.filter((pod) => isPodReady(pod)).length,
    };
  }

  private replicaSet(set: ReplicaSet): void {
    const desired = set.spec?.replicas ?? 1;
    const pods = this.podsOf(set.metadata.uid).filter((pod) => !isPodFinished(pod));
    for (let missing = desired - pods.length; missing > 0; missing--) {
      this.createPod(set, set.spec?.template ?? {}, `${set.metadata.name}-${randomSuffix(this.options.random)}`, {});
    }
    const surplus = pods.length - desired;
    if (surplus > 0) {
      // Those that serve nobody first, then the youngest (ReplicaSet, "Pod deletion cost" aside).
      const order = [...pods].sort((a, b) => Number(isPodReady(a)) - Number(isPodReady(b)) || age(b) - age(a));
      for (const pod of order.slice(0, surplus)) this.store.delete(PodKind, pod.metadata.namespace, pod.metadata.name);
    }
    const ready = pods.filter((pod) => isPodReady(pod)).length;
    this.writeStatus(ReplicaSetKind, set, { replicas: pods.length, readyReplicas: ready, availableReplicas: ready });
  }

  /** One pod after the other, by ordinal; an update goes from the last to the first. */
  private statefulSet(set: StatefulSet): void {
    const { metadata, spec } = set;
    const desired = spec?.replicas ?? 1;
    const hash = templateHash(spec?.template);
    const all = this.podsOf(metadata.uid, true);
    const byName = new Map(all.map((pod) => [pod.metadata.name, pod]));
    const isParallel = spec?.['podManagementPolicy'] === 'Parallel';
    for (let ordinal = 0; ordinal < desired; ordinal++) {
      const name = `${metadata.name}-${ordinal}`;
      const pod = byName.get(name);
      if (pod === undefined) {
        this.createPod(
          set,
          spec?.template ?? {},
          name,
          { [REVISION]: hash, 'statefulset.kubernetes.io/pod-name': name, 'apps.kubernetes.io/pod-index': String(ordinal) },
          { hostname: name, ...(spec?.serviceName === undefined ? {} : { subdomain: spec.serviceName }) },
        );
      }
      if (!isParallel && (pod === undefined || !isPodReady(pod) || pod.metadata.deletionTimestamp !== undefined)) break;
    }
    const live = all.filter((pod) => pod.metadata.deletionTimestamp === undefined);
    const surplus = live.filter((pod) => ordinalOf(pod) >= desired).sort((a, b) => ordinalOf(b) - ordinalOf(a));
    const isSettled = live.length === all.length && live.every((pod) => isPodReady(pod));
    const outdated = live.filter((pod) => pod.metadata.labels[REVISION] !== hash).sort((a, b) => ordinalOf(b) - ordinalOf(a));
    const victim = surplus[0] ?? (isSettled && live.length === desired ? outdated[0] : undefined);
    if (victim !== undefined) this.store.delete(PodKind, metadata.namespace, victim.metadata.name);
    const ready = live.filter((pod) => isPodReady(pod)).length;
    this.writeStatus(StatefulSetKind, set, {
      observedGeneration: metadata.generation ?? 1,
      replicas: live.length,
      readyReplicas: ready,
      availableReplicas: ready,
      updatedReplicas: live.length - outdated.length,
    });
  }

  private createPod(
    owner: ReplicaSet | StatefulSet,
    template: PodTemplate,
    name: string,
    extraLabels: Readonly<Record<string, string>>,
    extraSpec: Readonly<Record<string, unknown>> = {},
  ): void {
    const { namespace } = owner.metadata;
    const workload = owner.kind === 'ReplicaSet' ? controllerOf(owner) : undefined;
    const labels = { ...template.metadata?.labels, ...extraLabels };
    const draft = meshPod(
      {
        labels,
        annotations: template.metadata?.annotations ?? {},
        spec: { nodeName: this.options.nodeName, ...(template.spec ?? { containers: [] }), ...extraSpec },
        owner: { kind: workload?.kind ?? owner.kind, name: workload?.name ?? owner.metadata.name },
      },
      this.namespace(namespace),
      this.options.proxy,
      componentOf(namespace, labels),
    );
    this.store.create(
      PodKind,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: {
          name,
          namespace,
          labels: draft.labels,
          annotations: draft.annotations,
          ownerReferences: [ownerReference(owner)],
          finalizers: [POD_FINALIZER],
        },
        spec: draft.spec,
      } as unknown as ResourceInput,
      { fieldManager: RUN_MANAGER },
    );
  }

  /** A pod that a manifest states itself is injected and put on this node. */
  private adopt(pod: Pod): void {
    const finalizers = (pod.metadata as unknown as { readonly finalizers?: readonly string[] }).finalizers ?? [];
    if (finalizers.includes(POD_FINALIZER) || pod.metadata.deletionTimestamp !== undefined || pod.spec === undefined) return;
    const { namespace, name, labels, annotations } = pod.metadata;
    const draft = meshPod(
      { labels, annotations, spec: pod.spec },
      this.namespace(namespace),
      this.options.proxy,
      componentOf(namespace, labels),
    );
    this.store.patch(
      PodKind,
      namespace,
      name,
      {
        metadata: { labels: draft.labels, annotations: draft.annotations, finalizers: [...finalizers, POD_FINALIZER] },
        spec: { nodeName: this.options.nodeName, initContainers: draft.spec.initContainers ?? [] },
      },
      { fieldManager: RUN_MANAGER },
    );
  }

  private endpoints(service: Service, pods: readonly Pod[]): void {
    const { namespace, uid } = service.metadata;
    const own = this.list<EndpointSlice>(EndpointSliceKind).filter((slice) => controllerOf(slice)?.uid === uid);
    const wanted = new Map(endpointSlicesOf(service, pods).map((slice) => [slice.metadata.name, slice]));
    for (const slice of own) {
      const next = wanted.get(slice.metadata.name);
      if (next === undefined) this.store.delete(EndpointSliceKind, namespace, slice.metadata.name);
      else if (!isSameSlice(slice, next)) this.store.update(EndpointSliceKind, next, { fieldManager: RUN_MANAGER });
      wanted.delete(slice.metadata.name);
    }
    for (const slice of wanted.values()) this.store.create(EndpointSliceKind, slice, { fieldManager: RUN_MANAGER });
  }

  private podsOf(ownerUid: string, withDeleted = false): Pod[] {
    return this.list<Pod>(PodKind).filter(
      (pod) => controllerOf(pod)?.uid === ownerUid && (withDeleted || pod.metadata.deletionTimestamp === undefined),
    );
  }

  private namespace(name: string): Namespace | undefined {
    return this.store.has(NamespaceKind, '', name) ? (this.store.get(NamespaceKind, '', name) as Namespace) : undefined;
  }

  private writeStatus(kind: ResourceKind, object: Resource, status: Readonly<Record<string, unknown>>): void {
    const old = (object.status ?? {}) as Readonly<Record<string, unknown>>;
    if (Object.entries(status).every(([key, value]) => canonicalJson(old[key]) === canonicalJson(value))) return;
    const { namespace, name } = object.metadata;
    this.store.patchStatus(kind, namespace, name, { status }, { fieldManager: RUN_MANAGER });
  }
}

/** The owner that controls an object. */
export function controllerOf(object: { readonly metadata: ObjectMeta }): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

function ownerReference(owner: Resource): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

function componentOf(namespace: string, labels: Readonly<Record<string, string>>): ControlPlaneComponent | undefined {
  const component = labels['linkerd.io/control-plane-component'];
  return namespace === CONTROL_NAMESPACE && (component === 'identity' || component === 'destination') ? component : undefined;
}

function isSameSlice(slice: EndpointSlice, next: ResourceInput): boolean {
  const pick = (value: { readonly [field: string]: unknown; readonly metadata: { readonly labels?: unknown } }): unknown => ({
    labels: value.metadata.labels,
    ports: value['ports'],
    endpoints: value['endpoints'],
  });
  return canonicalJson(pick(slice)) === canonicalJson(pick(next));
}

function ordinalOf(pod: Pod): number {
  return Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? 0);
}

function age(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp);
}
