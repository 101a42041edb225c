// SPDX-License-Identifier: Apache-2.0
/*
 * The one interface through which the control plane knows and changes the world. Behind it stands a Kubernetes API server or a
 * directory of manifests; no component can tell which (one conformance suite runs against both).
 */

/** Group, version and kind; `group` is '' for the core API. */
export interface Gvk {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name: string;
  /** '' for cluster-scoped kinds. */
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** RFC 3339, seconds. */
  readonly creationTimestamp: string;
  readonly generation?: number;
  readonly deletionTimestamp?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** Any object; `spec` and `status` are typed by the kind (kinds/*.ts). Objects handed out are frozen in spirit: never change one. */
export interface Resource<Spec = unknown, Status = unknown> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly spec?: Spec;
  readonly status?: Status;
  /** Other top-level fields (`data`, `endpoints`, `ports`, `addressType`, `type`, `subjects`, …). */
  readonly [field: string]: unknown;
}

/** A kind's static description; the registry in kinds/ holds one per kind that Weft reads or writes. */
export interface ResourceKind<R extends Resource = Resource> extends Gvk {
  readonly plural: string;
  readonly isNamespaced: boolean;
  /** Reads and watches may leave out everything but metadata: an API server then sends no more (`PartialObjectMetadata`). */
  readonly isMetadataOnly?: boolean;
  /** Answered and never stored (TokenReview and its kin): a creation that was cut may be made again. */
  readonly isReview?: boolean;
  /** Phantom, for inference. */
  readonly resource?: R;
}

export interface Selector {
  readonly namespace?: string;
  /** Equality-based label selector, all must hold. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Labels that must be there, with whatever value. */
  readonly hasLabels?: readonly string[];
  /** Exact name. */
  readonly name?: string;
  /** `spec.nodeName`; for pods only, where an API server serves this field selector. */
  readonly nodeName?: string;
}

/** How an object is deleted (meta/v1 DeleteOptions). */
export interface DeleteOptions {
  /** Delete only this very object, not a later one of the same name; otherwise the call rejects with ERR_CONFLICT. */
  readonly uid?: string;
  /** Of pods; 0 ends them at once. Default: the pod's own. */
  readonly gracePeriodSeconds?: number;
}

export type WatchEvent<R extends Resource> =
  | { readonly type: 'added' | 'modified'; readonly object: R }
  /**
   * `object` is the last state, where the source still has it; where a deletion shows only by its absence from a later list it is its
   * metadata with name, namespace, uid and version, and no labels or annotations.
   */
  | { readonly type: 'deleted'; readonly object: R }
  /** All `added` events of the initial list have been delivered. */
  | { readonly type: 'synced' };

export interface Watch {
  /** Stops the events; no handler call comes after it. */
  close(): void;
}

/** New object or patch as a caller writes it: metadata needs only what is set. */
export interface ResourceInput {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly OwnerReference[];
    readonly resourceVersion?: string;
  };
  readonly [field: string]: unknown;
}

/** Why a call failed; match on `code`. `status` is the HTTP status an API server would give. */
export type ResourceErrorCode =
  | 'ERR_NOT_FOUND'
  | 'ERR_ALREADY_EXISTS'
  | 'ERR_CONFLICT'
  | 'ERR_INVALID'
  | 'ERR_FORBIDDEN'
  | 'ERR_UNAVAILABLE';

/** Where resources come from and go to. Every method may reject with ResourceError. */
export interface ResourceSource {
  /** Whether this source serves the kind (its CRD is installed). */
  supports(kind: ResourceKind): Promise<boolean>;
  get<R extends Resource>(kind: ResourceKind<R>, namespace: string, name: string): Promise<R>;
  list<R extends Resource>(kind: ResourceKind<R>, selector?: Selector): Promise<readonly R[]>;
  /**
   * Initial `added` events, then `synced`, then changes, in order per object, for ever (re-listing inside when needed: then
   * differences come as ordinary events). Handler calls are synchronous and never overlap.
   */
  watch<R extends Resource>(kind: ResourceKind<R>, selector: Selector | undefined, handler: (event: WatchEvent<R>) => void): Watch;
  create<R extends Resource>(kind: ResourceKind<R>, object: ResourceInput): Promise<R>;
  /** Replaces; `metadata.resourceVersion`, where given, must match. Custom kinds and Leases need it. */
  update<R extends Resource>(kind: ResourceKind<R>, object: ResourceInput): Promise<R>;
  /** Server-side apply, create or merge, by this field manager. */
  apply<R extends Resource>(kind: ResourceKind<R>, object: ResourceInput, fieldManager: string): Promise<R>;
  /** JSON merge patch (RFC 7386). */
  patch<R extends Resource>(
    kind: ResourceKind<R>,
    namespace: string,
    name: string,
    patch: Readonly<Record<string, unknown>>,
    fieldManager: string,
  ): Promise<R>;
  /** JSON merge patch of the status subresource. */
  patchStatus<R extends Resource>(
    kind: ResourceKind<R>,
    namespace: string,
    name: string,
    patch: Readonly<Record<string, unknown>>,
    fieldManager: string,
  ): Promise<R>;
  delete(kind: ResourceKind, namespace: string, name: string, options?: DeleteOptions): Promise<void>;
  /** Version of the API server behind it, such as `v1.37.2`; a source without one has no such method. */
  serverVersion?(): Promise<string | undefined>;
  close(): Promise<void>;
}
