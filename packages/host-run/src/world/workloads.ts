// SPDX-License-Identifier: Apache-2.0
/*
 * The controllers of a run: Deployments become ReplicaSets, ReplicaSets, StatefulSets, DaemonSets and Jobs become pods, services become EndpointSlices, what lost its owner
 * goes, services get the default opaque ports. One pass looks at everything and writes what differs; every change of the world asks for
 * another pass. All writes go through the store of the resource source, like those of any component.
 */
import {
  type DaemonSet,
  DaemonSetKind,
  DeploymentKind,
  type Job,
  JobKind,
  EndpointSliceKind,
  isResourceError,
  type ObjectStore,
  type Deployment,
  type EndpointSlice,
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
import { meshPod } from '../pod/mesh-pod.ts';
import { defaultOpaquePortsOfService, OPAQUE_PORTS } from '../pod/opaque-ports.ts';
import { endpointSlicesOf, isPodFinished, isPodReady } from './endpoint-slices.ts';
import { planRollout, resolveCount, type ReplicaSetState } from './rollout.ts';
import { reconcileDaemonSet, reconcileJob } from './jobs-and-daemons.ts';
import { reconcileStatefulSet } from './stateful-sets.ts';
import { canonicalJson, randomSuffix, templateHash } from './template-hash.ts';
import {
  componentOf,
  controllerOf,
  ownerReference,
  POD_FINALIZER,
  RUN_MANAGER,
  type WorkloadOptions,
  WorldWriter,
} from './world-writer.ts';

const HASH = 'pod-template-hash';
/** Kinds whose objects a run makes others for. */
const OWNERS: ReadonlySet<string> = new Set(['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'Service']);

/** The controllers. `reconcile` runs them once. */
export class WorkloadControllers {
  private readonly options: WorkloadOptions;
  private readonly store: ObjectStore;
  private readonly world: WorldWriter;

  constructor(options: WorkloadOptions) {
    this.options = options;
    this.store = options.store;
    this.world = new WorldWriter(options);
  }

  /** One pass. Returns whether anything was written, hence whether another pass may find more to do. */
  reconcile(): boolean {
    const before = this.store.log.revision;
    this.collectOrphans();
    for (const service of this.world.list<Service>(ServiceKind)) this.guard(service, () => this.defaultOpaquePorts(service));
    for (const deployment of this.world.list<Deployment>(DeploymentKind)) this.guard(deployment, () => this.deployment(deployment));
    for (const set of this.world.list<ReplicaSet>(ReplicaSetKind)) this.guard(set, () => this.replicaSet(set));
    for (const set of this.world.list<StatefulSet>(StatefulSetKind)) this.guard(set, () => reconcileStatefulSet(this.world, set));
    for (const set of this.world.list<DaemonSet>(DaemonSetKind)) this.guard(set, () => reconcileDaemonSet(this.world, set));
    for (const job of this.world.list<Job>(JobKind)) this.guard(job, () => reconcileJob(this.world, job));
    for (const pod of this.world.list<Pod>(PodKind)) this.guard(pod, () => this.adopt(pod));
    const pods = this.world.list<Pod>(PodKind);
    for (const service of this.world.list<Service>(ServiceKind)) this.guard(service, () => this.endpoints(service, pods));
    return this.store.log.revision !== before;
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
    for (const kind of [DeploymentKind, ReplicaSetKind, StatefulSetKind, DaemonSetKind, JobKind, ServiceKind] as ResourceKind[]) {
      for (const { metadata } of this.world.list(kind)) owners.add(metadata.uid);
    }
    for (const kind of kinds) {
      for (const object of this.world.list(kind)) {
        const owner = controllerOf(object);
        const isOurs = owner !== undefined && OWNERS.has(owner.kind);
        if (!isOurs || owners.has(owner.uid) || object.metadata.deletionTimestamp !== undefined) continue;
        this.store.delete(kind, object.metadata.namespace, object.metadata.name);
      }
    }
  }

  private defaultOpaquePorts(service: Service): void {
    if (service.metadata.annotations[OPAQUE_PORTS] !== undefined) return;
    const value = defaultOpaquePortsOfService(service, this.world.namespace(service.metadata.namespace));
    if (value === undefined) return;
    const { namespace, name } = service.metadata;
    this.store.patch(ServiceKind, namespace, name, { metadata: { annotations: { [OPAQUE_PORTS]: value } } }, { fieldManager: RUN_MANAGER });
  }

  private deployment(deployment: Deployment): void {
    const { metadata, spec } = deployment;
    const template = spec?.template;
    if (template === undefined) return;
    const hash = templateHash(template);
    const own = this.world
      .list<ReplicaSet>(ReplicaSetKind)
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
    const spent = old.filter((set) => wanted.get(set.metadata.name) === 0 && this.world.podsOf(set.metadata.uid).length === 0);
    const limit = Number(spec?.['revisionHistoryLimit'] ?? 10);
    for (const set of spent.slice(0, Math.max(0, spent.length - limit))) {
      this.store.delete(ReplicaSetKind, metadata.namespace, set.metadata.name);
    }
    const pods = own.concat(own.includes(current) ? [] : [current]).flatMap((set) => this.world.podsOf(set.metadata.uid));
    const ready = pods.filter((pod) => isPodReady(pod)).length;
    const updated = pods.filter((pod) => pod.metadata.labels[HASH] === hash).length;
    this.world.writeStatus(DeploymentKind, deployment, {
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
    const pods = this.world.podsOf(set.metadata.uid);
    return {
      name: set.metadata.name,
      replicas: set.spec?.replicas ?? 0,
      pods: pods.length,
      available: pods.filter((pod) => isPodReady(pod)).length,
    };
  }

  private replicaSet(set: ReplicaSet): void {
    const desired = set.spec?.replicas ?? 1;
    const pods = this.world.podsOf(set.metadata.uid).filter((pod) => !isPodFinished(pod));
    for (let missing = desired - pods.length; missing > 0; missing--) {
      this.world.createPod(set, set.spec?.template ?? {}, `${set.metadata.name}-${randomSuffix(this.options.random)}`);
    }
    const surplus = pods.length - desired;
    if (surplus > 0) {
      // Those that serve nobody first, then the youngest (ReplicaSet, "Pod deletion cost" aside).
      const order = [...pods].sort((a, b) => Number(isPodReady(a)) - Number(isPodReady(b)) || age(b) - age(a));
      for (const pod of order.slice(0, surplus)) this.store.delete(PodKind, pod.metadata.namespace, pod.metadata.name);
    }
    const ready = pods.filter((pod) => isPodReady(pod)).length;
    this.world.writeStatus(ReplicaSetKind, set, { replicas: pods.length, readyReplicas: ready, availableReplicas: ready });
  }

  /** A pod that a manifest states itself is injected and put on this node. */
  private adopt(pod: Pod): void {
    const finalizers = (pod.metadata as unknown as { readonly finalizers?: readonly string[] }).finalizers ?? [];
    if (finalizers.includes(POD_FINALIZER) || pod.metadata.deletionTimestamp !== undefined || pod.spec === undefined) return;
    const { namespace, name, labels, annotations } = pod.metadata;
    const draft = meshPod(
      { labels, annotations, spec: pod.spec },
      this.world.namespace(namespace),
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
    const own = this.world.list<EndpointSlice>(EndpointSliceKind).filter((slice) => controllerOf(slice)?.uid === uid);
    const wanted = new Map(endpointSlicesOf(service, pods).map((slice) => [slice.metadata.name, slice]));
    for (const slice of own) {
      const next = wanted.get(slice.metadata.name);
      if (next === undefined) this.store.delete(EndpointSliceKind, namespace, slice.metadata.name);
      else if (!isSameSlice(slice, next)) this.store.update(EndpointSliceKind, next, { fieldManager: RUN_MANAGER });
      wanted.delete(slice.metadata.name);
    }
    for (const slice of wanted.values()) this.store.create(EndpointSliceKind, slice, { fieldManager: RUN_MANAGER });
  }
}

function isSameSlice(slice: EndpointSlice, next: ResourceInput): boolean {
  const pick = (value: { readonly [field: string]: unknown; readonly metadata: { readonly labels?: unknown } }): unknown => ({
    labels: value.metadata.labels,
    ports: value['ports'],
    endpoints: value['endpoints'],
  });
  return canonicalJson(pick(slice)) === canonicalJson(pick(next));
}

function age(pod: Pod): number {
  return Date.parse(pod.metadata.creationTimestamp);
}
