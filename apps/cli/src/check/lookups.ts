// SPDX-License-Identifier: Apache-2.0
/*
 * What checks ask of the world. An answer, or its error, is kept until `forget`, so that forty checks cost a handful of calls and judge one
 * state.
 */
import type { ConfigMap, Pod, Resource, ResourceKind, Secret } from '@weft/resources';
import { ConfigMapKind, NamespaceKind, PodKind, SecretKind } from '@weft/resources';
import type { ClusterReader, ListQuery } from '../kube/cluster.ts';
import { CONTROL_PLANE_NS_LABEL, COMPONENT_LABEL, meshedPods, readMeshConfig } from '../kube/mesh-config.ts';
import type { MeshConfig } from '../kube/mesh-config.ts';

/** What is checked. */
export interface CheckSettings {
  readonly controlPlaneNamespace: string;
  readonly cniNamespace: string;
  /** Pods of this namespace only; '' for all. */
  readonly dataPlaneNamespace: string;
  /** Version of this program, or what the user says it is. */
  readonly cliVersion: string;
  /** With --pre: the CNI plugin is to be there, whatever an installation says. */
  readonly isCniExpected: boolean;
}

/** The outside of a run. */
export interface CheckWorld {
  readonly settings: CheckSettings;
  /** Rejects when there is no usable configuration. */
  readonly connect: () => Promise<ClusterReader>;
  /** The newest released version, or the one that the user expects. Rejects when it cannot be known. */
  readonly latestVersion: () => Promise<string>;
  readonly nowMs: () => number;
}

/** Cached questions. Every method rejects as the call behind it does. */
export class Lookups {
  readonly settings: CheckSettings;
  private readonly world: CheckWorld;
  private readonly answers = new Map<string, Promise<unknown>>();

  constructor(world: CheckWorld) {
    this.world = world;
    this.settings = world.settings;
  }

  /** Asks everything anew from here on. */
  forget(): void {
    this.answers.clear();
  }

  nowMs(): number {
    return this.world.nowMs();
  }

  cluster(): Promise<ClusterReader> {
    return this.once('cluster', () => this.world.connect());
  }

  latestVersion(): Promise<string> {
    return this.once('latest', () => this.world.latestVersion());
  }

  /** A raw GET. */
  async read(path: string): Promise<unknown> {
    const cluster = await this.cluster();
    return this.once(`read ${path}`, () => cluster.call({ method: 'GET', path }));
  }

  async get<R extends Resource>(kind: ResourceKind<R>, namespace: string, name: string): Promise<R> {
    const cluster = await this.cluster();
    return this.once(`get ${kind.group} ${kind.kind} ${namespace} ${name}`, () => cluster.get(kind, namespace, name));
  }

  async list<R extends Resource>(kind: ResourceKind<R>, query: ListQuery = {}): Promise<readonly R[]> {
    const cluster = await this.cluster();
    return this.once(`list ${kind.group} ${kind.kind} ${JSON.stringify(query)}`, () => cluster.list(kind, query));
  }

  namespace(name: string): Promise<Resource> {
    return this.get(NamespaceKind, '', name);
  }

  configMap(name: string): Promise<ConfigMap> {
    return this.get(ConfigMapKind, this.settings.controlPlaneNamespace, name);
  }

  secret(name: string): Promise<Secret> {
    return this.get(SecretKind, this.settings.controlPlaneNamespace, name);
  }

  async config(): Promise<MeshConfig> {
    const cluster = await this.cluster();
    return this.once('config', () => readMeshConfig(cluster, this.settings.controlPlaneNamespace));
  }

  /** Pods of the control plane's components, whatever their state; those of finished jobs left out. */
  async controlPlanePods(): Promise<readonly Pod[]> {
    const { controlPlaneNamespace: namespace } = this.settings;
    const pods = await this.list(PodKind, { namespace, labelSelector: `${CONTROL_PLANE_NS_LABEL}=${namespace}` });
    return pods.filter(({ metadata, status }) => metadata.labels[COMPONENT_LABEL] !== undefined && !isFinished(status?.phase));
  }

  /** Meshed pods outside the control plane, of the wanted namespace; finished ones left out. */
  async dataPlanePods(): Promise<readonly Pod[]> {
    const { controlPlaneNamespace, dataPlaneNamespace } = this.settings;
    const cluster = await this.cluster();
    const pods = await this.once('meshed', () => meshedPods(cluster, controlPlaneNamespace, dataPlaneNamespace));
    return pods.filter(({ metadata, status }) => metadata.labels[COMPONENT_LABEL] === undefined && !isFinished(status?.phase));
  }

  private once<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const known = this.answers.get(key);
    if (known !== undefined) return known as Promise<T>;
    const answer = ask();
    this.answers.set(key, answer);
    return answer;
  }
}

function isFinished(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Name as users write it: `namespace/name`. */
export function podName({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}
