// SPDX-License-Identifier: Apache-2.0
/* What discovery keeps of a ServiceProfile, a ReplicaSet or Job (owners only) and a Node (its zone): control-contract §1.5, §1.8. */
import type { OwnerReference, Resource, ServiceProfile, ServiceProfileSpec } from '@weft/resources';

import { ZONE_LABEL } from './annotations.ts';
import { recordOf, type ClusterRecord } from './record.ts';

/** A ServiceProfile. */
export interface ProfileRecord extends ClusterRecord {
  readonly spec: ServiceProfileSpec;
}

/** An object that owns pods and may itself be owned. */
export interface OwnerRecord extends ClusterRecord {
  readonly owners: readonly OwnerReference[];
}

/** A node; `zone` '' when it has none. */
export interface NodeRecord extends ClusterRecord {
  readonly zone: string;
}

/** Projects a ServiceProfile. */
export function profileRecord(profile: ServiceProfile): ProfileRecord {
  return { ...recordOf(profile), spec: profile.spec ?? {} };
}

/** Projects a ReplicaSet or Job. */
export function ownerRecord(resource: Resource): OwnerRecord {
  return { ...recordOf(resource), owners: resource.metadata.ownerReferences ?? [] };
}

/** Projects a Node. */
export function nodeRecord(node: Resource): NodeRecord {
  return { ...recordOf(node), zone: node.metadata.labels[ZONE_LABEL] ?? '' };
}
