// SPDX-License-Identifier: Apache-2.0
/*
 * Shapes that many kinds share: label selectors, conditions, object references, and the constructor of a kind's static description.
 * Field names and meanings are those of the Kubernetes API (meta/v1); only the fields that Weft reads or writes are typed. An object
 * carries its other fields untyped.
 */
import type { Resource, ResourceKind } from '../types.ts';

/** One clause of a set-based label selector. `values` is empty for Exists and DoesNotExist. */
export interface LabelSelectorRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

/** Selects objects by labels; all clauses must hold. An empty selector selects everything, an absent one nothing. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly LabelSelectorRequirement[];
}

/** A status condition (meta/v1 Condition). */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  /** RFC 3339, seconds. */
  readonly lastTransitionTime?: string;
  readonly observedGeneration?: number;
}

/** A reference to an object, as in endpoints and events (core/v1 ObjectReference). */
export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
}

/** A number, or the name of a port. */
export type IntOrString = number | string;

/** Describes a namespaced kind. */
export function namespacedKind<R extends Resource>(group: string, version: string, kind: string, plural: string): ResourceKind<R> {
  return { group, version, kind, plural, isNamespaced: true };
}

/** Describes a cluster-scoped kind. */
export function clusterKind<R extends Resource>(group: string, version: string, kind: string, plural: string): ResourceKind<R> {
  return { group, version, kind, plural, isNamespaced: false };
}

/** The same kind, of which only metadata is wanted: a source may leave out everything else. */
export function metadataOnly(kind: ResourceKind): ResourceKind {
  const { group, version, plural, isNamespaced } = kind;
  return { group, version, kind: kind.kind, plural, isNamespaced, isMetadataOnly: true };
}
