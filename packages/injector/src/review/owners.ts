// SPDX-License-Identifier: Apache-2.0
/*
 * Whose pod it is (control-contract §4.2, §4.4 item 2): the controller in its owner references, and for a ReplicaSet the Deployment behind
 * it. ReplicaSets are asked of the API server, metadata only, and remembered: a watch would not know yet the one that makes its first pod.
 */
import { DeploymentKind, isResourceError, metadataOnly, ReplicaSetKind, type OwnerReference, type ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import { objectOf, objectsOf, textOf, type JsonObject } from '../json-object.ts';

/** A workload, as events name it. */
export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** ReplicaSets remembered; the oldest is forgotten first. */
export const MAX_REMEMBERED_OWNERS = 4096;
/** A pod waits no longer for the name of its Deployment. */
export const OWNER_TIMEOUT_MS = 2_000;

/** Finds owners. */
export class OwnerLookup {
  private readonly source: ResourceSource;
  private readonly logger: Logger;
  private readonly timeoutMs: number;
  /** By uid of the ReplicaSet: a uid never gets another Deployment. */
  private readonly deployments = new Map<string, Owner>();

  constructor(source: ResourceSource, logger: Logger, timeoutMs: number = OWNER_TIMEOUT_MS) {
    this.source = source;
    this.logger = logger;
    this.timeoutMs = timeoutMs;
  }

  /** The outermost owner that can be named; undefined for a pod on its own. Never rejects. */
  async ownerOf(pod: JsonObject, namespace: string): Promise<Owner | undefined> {
    const reference = controllerOf(objectsOf(objectOf(pod['metadata'])['ownerReferences']));
    if (reference === undefined || reference.kind !== 'ReplicaSet' || !reference.apiVersion.startsWith('apps/')) return reference;
    const known = this.deployments.get(reference.uid);
    if (known !== undefined) return known;
    const deployment = await this.deploymentOf(reference, namespace);
    if (deployment === undefined) return reference;
    this.deployments.set(reference.uid, deployment);
    const [oldest] = this.deployments.keys();
    if (this.deployments.size > MAX_REMEMBERED_OWNERS && oldest !== undefined) this.deployments.delete(oldest);
    return deployment;
  }

  private async deploymentOf({ name }: Owner, namespace: string): Promise<Owner | undefined> {
    const { promise: tooLate, resolve } = Promise.withResolvers<'too late'>();
    const timer = setTimeout(() => resolve('too late'), this.timeoutMs);
    try {
      const found = await Promise.race([this.source.get(metadataOnly(ReplicaSetKind), namespace, name), tooLate]);
      if (found === 'too late') throw new Error(`no answer within ${this.timeoutMs} ms`);
      const owner = controllerOf((found.metadata.ownerReferences ?? []) as readonly (OwnerReference & JsonObject)[]);
      return owner?.kind === DeploymentKind.kind ? owner : undefined;
    } catch (error) {
      // The pod is meshed all the same, under its ReplicaSet's name.
      if (!isResourceError(error, 'ERR_NOT_FOUND')) {
        this.logger.warn('Owner of a ReplicaSet not found', { namespace, name, error: (error as Error).message });
      }
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The controller among owner references, else the first that is complete. */
function controllerOf(references: readonly JsonObject[]): Owner | undefined {
  const owners = references
    .map((reference) => ({
      apiVersion: textOf(reference['apiVersion']),
      kind: textOf(reference['kind']),
      name: textOf(reference['name']),
      uid: textOf(reference['uid']),
      isController: reference['controller'] === true,
    }))
    .filter(({ kind, name }) => kind !== '' && name !== '');
  const owner = owners.find(({ isController }) => isController) ?? owners[0];
  return owner === undefined ? undefined : { apiVersion: owner.apiVersion, kind: owner.kind, name: owner.name, uid: owner.uid };
}
