// SPDX-License-Identifier: Apache-2.0
/*
 * What every controller of a run does with the world: list, find the pods of an owner, make a pod from a template (injected and put on this node),
 * write a status that has changed. All of it goes through the store of the resource source, like the writes of any component.
 */
import {
  NamespaceKind,
  type Namespace,
  type ObjectMeta,
  type ObjectStore,
  type OwnerReference,
  type Pod,
  PodKind,
  type PodTemplate,
  type Resource,
  type ResourceInput,
  type ResourceKind,
} from '@weft/resources';
import { type ControlPlaneComponent, meshPod } from '../pod/mesh-pod.ts';
import { CONTROL_NAMESPACE, type ProxySettings } from '../pod/proxy-settings.ts';
import { canonicalJson } from './template-hash.ts';

/** Field manager of what a run writes. */
export const RUN_MANAGER = 'weft-run';
/** Keeps a deleted pod visible as terminating until its processes have ended. */
export const POD_FINALIZER = 'weft.dev/processes';

export interface WorkloadOptions {
  readonly store: ObjectStore;
  readonly nodeName: string;
  readonly proxy: ProxySettings;
  readonly random: () => number;
  /** A write that was refused: a defect, or a manifest that only fails now. */
  onRefused(message: string): void;
}

/** What a pod has besides its template. */
export interface PodExtras {
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** The world as controllers use it. */
export class WorldWriter {
  readonly store: ObjectStore;
  readonly options: WorkloadOptions;

  constructor(options: WorkloadOptions) {
    this.options = options;
    this.store = options.store;
  }

  list<R extends Resource>(kind: ResourceKind<R>): R[] {
    return this.store.list(kind) as R[];
  }

  /** Pods that an owner controls; those that are going only where asked for. */
  podsOf(ownerUid: string, withDeleted = false): Pod[] {
    return this.list<Pod>(PodKind).filter(
      (pod) => controllerOf(pod)?.uid === ownerUid && (withDeleted || pod.metadata.deletionTimestamp === undefined),
    );
  }

  namespace(name: string): Namespace | undefined {
    return this.store.has(NamespaceKind, '', name) ? (this.store.get(NamespaceKind, '', name) as Namespace) : undefined;
  }

  writeStatus(kind: ResourceKind, object: Resource, status: Readonly<Record<string, unknown>>): void {
    const old = (object.status ?? {}) as Readonly<Record<string, unknown>>;
    if (Object.entries(status).every(([key, value]) => canonicalJson(old[key]) === canonicalJson(value))) return;
    const { namespace, name } = object.metadata;
    this.store.patchStatus(kind, namespace, name, { status }, { fieldManager: RUN_MANAGER });
  }

  /** Makes a pod of an owner. */
  createPod(owner: Resource, template: PodTemplate, name: string, extras: PodExtras = {}): void {
    const { namespace } = owner.metadata;
    const workload = owner.kind === 'ReplicaSet' ? controllerOf(owner) : undefined;
    const labels = { ...template.metadata?.labels, ...extras.labels };
    const draft = meshPod(
      {
        labels,
        annotations: template.metadata?.annotations ?? {},
        spec: { nodeName: this.options.nodeName, ...(template.spec ?? { containers: [] }), ...extras.spec },
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
}

/** The owner that controls an object. */
export function controllerOf(object: { readonly metadata: ObjectMeta }): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

/** How a controlled object names its owner. */
export function ownerReference(owner: Resource): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion: owner.apiVersion, kind: owner.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** Which component of the control plane a pod is, by its labels. */
export function componentOf(namespace: string, labels: Readonly<Record<string, string>>): ControlPlaneComponent | undefined {
  const component = labels['linkerd.io/control-plane-component'];
  return namespace === CONTROL_NAMESPACE && (component === 'identity' || component === 'destination') ? component : undefined;
}
