// SPDX-License-Identifier: Apache-2.0
/*
 * The world in memory: objects of many kinds with the write rules of a Kubernetes API server (uid, resourceVersion, generation, status
 * subresource, conflicts, server-side apply) and a log of changes from which watches resume. Synchronous and free of I/O: the memory and
 * directory sources and the HTTP face all stand on it. Source: Kubernetes API conventions ("Metadata", "Concurrency Control and
 * Consistency", "Efficient detection of changes").
 */
import { invalidObject, ResourceError } from '../errors.ts';
import { copyJson, equalJson, freezeJson, mergePatch } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { apiVersionOf, parseApiVersion } from '../kinds/registry.ts';
import type { Gvk, Resource, ResourceInput, Selector } from '../types.ts';
import { matchesSelector } from '../selectors.ts';
import { applyFields, reownChangedFields } from './field-ownership.ts';
import type { FieldOwners } from './field-ownership.ts';
import { ChangeLog } from './change-log.ts';
import type { Change } from './change-log.ts';
import { metadataErrors } from './metadata-rules.ts';
import { typeKey } from './resource-type.ts';
import type { ResourceType } from './resource-type.ts';
import {
  assertCurrent,
  assertHasStatus,
  assertNamesVersion,
  assertNoLosers,
  candidateOf,
  compareText,
  hasFinalizers,
  hasVersion,
  notFound,
  objectKey,
  pickStatus,
  qualified,
  specPart,
} from './write-rules.ts';
import type { ResolvedType } from './write-rules.ts';

/** The verdict of an admission rule. */
export type Admission = { readonly allowed: true } | { readonly allowed: false; readonly message: string };

/** Decides on an object that passed its schema; `old` is set for a change. Called for every write but of status. */
export type AdmissionRule = (object: Resource, old: Resource | undefined) => Admission;

/** What a store is made of. */
export interface ObjectStoreOptions {
  readonly types: readonly ResourceType[];
  /** Milliseconds since the epoch: creation times, and the first resourceVersion, so that versions grow over restarts. */
  readonly nowMs: () => number;
  readonly newUid: () => string;
  /** Consulted last, in order; the first refusal counts. */
  readonly admit?: readonly AdmissionRule[];
  /** Changes kept for watches to resume from. */
  readonly maxLoggedChanges: number;
  /** A write into a namespace that does not exist creates it, instead of being refused as an API server does. */
  readonly createsMissingNamespaces: boolean;
}

/** How a write came in. */
export interface WriteOptions {
  readonly fieldManager?: string;
  /** Runs all checks, stores nothing. */
  readonly isDryRun?: boolean;
  /** An apply may take fields from other managers; true unless told otherwise. */
  readonly isForced?: boolean;
  /** Age of a new object, instead of now (RFC 3339). */
  readonly creationTimestamp?: string;
}

interface Entry {
  readonly object: Resource;
  readonly owners: FieldOwners;
}

const NO_OWNERS: FieldOwners = new Map();

/** Objects by kind and name, with the rules of an API server. All methods throw ResourceError. */
export class ObjectStore {
  readonly log: ChangeLog;
  private readonly options: ObjectStoreOptions;
  private readonly types = new Map<string, ResourceType>();
  private readonly entries = new Map<string, Map<string, Entry>>();
  private readonly listeners = new Set<(change: Change) => void>();
  private readonly views = new WeakMap<Resource, Map<string, Resource>>();

  constructor(options: ObjectStoreOptions) {
    this.options = options;
    this.log = new ChangeLog(Math.max(1, Math.floor(options.nowMs())), options.maxLoggedChanges);
    for (const type of options.types) this.types.set(typeKey(type), type);
  }

  /** Every type that the store serves. */
  get resourceTypes(): Iterable<ResourceType> {
    return this.types.values();
  }

  /** The type behind a kind, or undefined when the kind or the version is not served. */
  find(gvk: Gvk): ResourceType | undefined {
    const type = this.types.get(typeKey(gvk));
    return type?.versions.has(gvk.version) === true ? type : undefined;
  }

  /** One object in the version of `gvk`. */
  get(gvk: Gvk, namespace: string, name: string): Resource {
    const resolved = this.resolve(gvk);
    const entry = this.entry(resolved.type, namespace, name);
    if (entry === undefined) throw notFound(resolved.type, name);
    return this.view(resolved, entry.object);
  }

  /** Whether an object of a served kind is there. */
  has(gvk: Gvk, namespace: string, name: string): boolean {
    const type = this.find(gvk);
    return type !== undefined && this.entry(type, namespace, name) !== undefined;
  }

  /** All selected objects in the version of `gvk`, by namespace and name. */
  list(gvk: Gvk, selector?: Selector): Resource[] {
    const resolved = this.resolve(gvk);
    const found: Resource[] = [];
    for (const { object } of this.entries.get(typeKey(resolved.type))?.values() ?? []) {
      if (matchesSelector(object, selector)) found.push(this.view(resolved, object));
    }
    return found.sort((a, b) => compareText(a.metadata.namespace, b.metadata.namespace) || compareText(a.metadata.name, b.metadata.name));
  }

  /** Converts a stored object to a served version: unknown fields go, defaults come (conversion strategy None). */
  viewAs(gvk: Gvk, object: Resource): Resource {
    return this.view(this.resolve(gvk), object);
  }

  /** Calls back after each change, in order, until the returned function is called. Listeners must not throw or write. */
  subscribe(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  create(gvk: Gvk, input: ResourceInput, options: WriteOptions = {}): Resource {
    const resolved = this.resolve(gvk);
    const candidate = candidateOf(resolved, gvk, input);
    const metadata = candidate['metadata'] as JsonObject;
    if (hasVersion(metadata)) {
      throw new ResourceError('ERR_INVALID', 'resourceVersion should not be set on objects to be created', {
        status: 400,
        reason: 'BadRequest',
      });
    }
    this.assertNameIsFree(resolved.type, metadata);
    const owners = options.fieldManager === undefined ? NO_OWNERS : reownChangedFields(NO_OWNERS, {}, candidate, options.fieldManager);
    return this.write(resolved, undefined, candidate, false, owners, options);
  }

  update(gvk: Gvk, input: ResourceInput, options: WriteOptions = {}): Resource {
    return this.replace(gvk, input, false, options);
  }

  updateStatus(gvk: Gvk, input: ResourceInput, options: WriteOptions = {}): Resource {
    return this.replace(gvk, input, true, options);
  }

  patch(gvk: Gvk, namespace: string, name: string, patch: Readonly<Record<string, unknown>>, options: WriteOptions = {}): Resource {
    return this.mergeInto(gvk, namespace, name, patch, false, options);
  }

  patchStatus(gvk: Gvk, namespace: string, name: string, patch: Readonly<Record<string, unknown>>, options: WriteOptions = {}): Resource {
    return this.mergeInto(gvk, namespace, name, patch, true, options);
  }

  /** Server-side apply: the applier takes fields from others, unless it is not forced. Creates the object where it is missing. */
  apply(gvk: Gvk, input: ResourceInput, fieldManager: string, options: WriteOptions = {}): Resource {
    const resolved = this.resolve(gvk);
    const configuration = candidateOf(resolved, gvk, input);
    const metadata = configuration['metadata'] as JsonObject;
    const old = this.entry(resolved.type, String(metadata['namespace']), String(metadata['name']));
    if (old === undefined) {
      if (hasVersion(metadata)) throw notFound(resolved.type, String(metadata['name']));
      delete metadata['resourceVersion'];
      const { owners } = applyFields({}, NO_OWNERS, configuration, fieldManager);
      return this.write(resolved, undefined, configuration, false, owners, options);
    }
    assertCurrent(resolved.type, old.object, metadata);
    const live = this.view(resolved, old.object) as unknown as JsonObject;
    if (resolved.version.hasStatus) delete configuration['status'];
    const applied = applyFields(live, old.owners, configuration, fieldManager);
    assertNoLosers(applied, options);
    return this.write(resolved, old, applied.object, false, applied.owners, options);
  }

  /** Server-side apply of the status of an object that exists; other fields of `input` do not count. */
  applyStatus(gvk: Gvk, input: ResourceInput, fieldManager: string, options: WriteOptions = {}): Resource {
    const resolved = this.resolve(gvk);
    assertHasStatus(resolved, input.metadata.name);
    const { metadata, status } = candidateOf(resolved, gvk, input) as { metadata: JsonObject; status?: unknown };
    const old = this.entry(resolved.type, String(metadata['namespace']), String(metadata['name']));
    if (old === undefined) throw notFound(resolved.type, String(metadata['name']));
    const live = this.view(resolved, old.object) as unknown as JsonObject;
    const applied = applyFields(live, old.owners, status === undefined ? {} : { status }, fieldManager);
    assertNoLosers(applied, options);
    return this.write(resolved, old, applied.object, true, applied.owners, options);
  }

  /** Removes an object. One with finalizers is only marked, and goes when the last of them does. */
  delete(gvk: Gvk, namespace: string, name: string): Resource {
    const { type } = this.resolve(gvk);
    const entry = this.entry(type, namespace, name);
    if (entry === undefined) throw notFound(type, name);
    const finalizers = (entry.object.metadata as unknown as JsonObject)['finalizers'];
    if (Array.isArray(finalizers) && finalizers.length > 0) {
      if (entry.object.metadata.deletionTimestamp !== undefined) return entry.object;
      return this.commit(
        type,
        entry,
        { ...entry.object, metadata: { ...entry.object.metadata, deletionTimestamp: this.now() } },
        entry.owners,
      );
    }
    return this.remove(type, entry);
  }

  /**
   * Puts an object as it stood elsewhere: its uid, creationTimestamp, generation and status are kept. Schema rules apply, admission does
   * not. Replaces what was there.
   */
  seed(input: ResourceInput, options: Pick<WriteOptions, 'isDryRun'> = {}): Resource {
    const { group, version } = parseApiVersion(input.apiVersion);
    const gvk = { group, version, kind: input.kind };
    const resolved = this.resolve(gvk);
    const candidate = candidateOf(resolved, gvk, input);
    resolved.version.rules.normalise(candidate, undefined);
    this.assertValid(resolved, candidate, undefined);
    const metadata = candidate['metadata'] as JsonObject;
    const old = this.entry(resolved.type, String(metadata['namespace']), String(metadata['name']));
    metadata['uid'] ??= old?.object.metadata.uid ?? this.options.newUid();
    metadata['creationTimestamp'] ??= old?.object.metadata.creationTimestamp ?? this.now();
    if (resolved.type.hasGeneration) metadata['generation'] ??= 1;
    if (options.isDryRun === true) return candidate as unknown as Resource;
    this.ensureNamespace(resolved.type, metadata);
    return this.commit(resolved.type, old, this.toStorage(resolved, candidate), NO_OWNERS);
  }

  private resolve(gvk: Gvk): ResolvedType {
    const type = this.types.get(typeKey(gvk));
    const version = type?.versions.get(gvk.version);
    if (type === undefined || version === undefined) {
      throw new ResourceError('ERR_NOT_FOUND', `the server could not find the requested resource (${gvk.kind} in ${apiVersionOf(gvk)})`);
    }
    return { type, version };
  }

  private entry(type: ResourceType, namespace: string, name: string): Entry | undefined {
    return this.entries.get(typeKey(type))?.get(objectKey(type.isNamespaced ? namespace : '', name));
  }

  private view({ type, version }: ResolvedType, object: Resource): Resource {
    if (version.name === type.storageVersion) return object;
    let byVersion = this.views.get(object);
    if (byVersion === undefined) this.views.set(object, (byVersion = new Map()));
    let view = byVersion.get(version.name);
    if (view === undefined) {
      const copy = copyJson(object) as unknown as JsonObject;
      copy['apiVersion'] = apiVersionOf({ group: type.group, version: version.name });
      version.rules.normalise(copy, undefined);
      byVersion.set(version.name, (view = freezeJson(copy) as unknown as Resource));
    }
    return view;
  }

  private replace(gvk: Gvk, input: ResourceInput, isStatus: boolean, options: WriteOptions): Resource {
    const resolved = this.resolve(gvk);
    if (isStatus) assertHasStatus(resolved, input.metadata.name);
    const candidate = candidateOf(resolved, gvk, input);
    const metadata = candidate['metadata'] as JsonObject;
    const old = this.entry(resolved.type, String(metadata['namespace']), String(metadata['name']));
    if (old === undefined) throw notFound(resolved.type, String(metadata['name']));
    assertNamesVersion(resolved.type, metadata);
    assertCurrent(resolved.type, old.object, metadata);
    return this.rewrite(resolved, old, candidate, isStatus, options);
  }

  private mergeInto(
    gvk: Gvk,
    namespace: string,
    name: string,
    patch: Readonly<Record<string, unknown>>,
    isStatus: boolean,
    options: WriteOptions,
  ): Resource {
    const resolved = this.resolve(gvk);
    if (isStatus) assertHasStatus(resolved, name);
    const old = this.entry(resolved.type, namespace, name);
    if (old === undefined) throw notFound(resolved.type, name);
    const live = this.view(resolved, old.object);
    const patched = mergePatch(live, patch) as ResourceInput;
    const candidate = candidateOf(resolved, gvk, patched);
    const metadata = candidate['metadata'] as JsonObject;
    if (metadata['name'] !== live.metadata.name || metadata['namespace'] !== live.metadata.namespace) {
      throw new ResourceError('ERR_INVALID', 'the name of the object does not match the name in the request', {
        status: 400,
        reason: 'BadRequest',
      });
    }
    assertCurrent(resolved.type, old.object, metadata);
    return this.rewrite(resolved, old, candidate, isStatus, options);
  }

  private rewrite(resolved: ResolvedType, old: Entry, candidate: JsonObject, isStatus: boolean, options: WriteOptions): Resource {
    const live = this.view(resolved, old.object) as unknown as JsonObject;
    const next = isStatus ? { ...copyJson(live), ...pickStatus(candidate) } : candidate;
    const owners =
      old.owners.size === 0 && options.fieldManager === undefined
        ? NO_OWNERS
        : reownChangedFields(old.owners, live, next, options.fieldManager ?? 'unknown');
    return this.write(resolved, old, next, isStatus, owners, options);
  }

  /** The one way in for every write: server fields, normalising, checks, admission, then the change. */
  private write(
    resolved: ResolvedType,
    old: Entry | undefined,
    candidate: JsonObject,
    isStatus: boolean,
    owners: FieldOwners,
    options: WriteOptions,
  ): Resource {
    const { type, version } = resolved;
    const live = old === undefined ? undefined : (this.view(resolved, old.object) as unknown as JsonObject);
    if (version.hasStatus && !isStatus) {
      delete candidate['status'];
      const status = live === undefined ? version.initialStatus : live['status'];
      if (status !== undefined) candidate['status'] = copyJson(status);
    }
    const metadata = candidate['metadata'] as JsonObject;
    this.setServerFields(type, metadata, old?.object, options.creationTimestamp ?? this.now());
    version.rules.normalise(candidate, live);
    this.assertValid(resolved, candidate, live);
    const stored = this.toStorage(resolved, candidate);
    if (!isStatus) this.assertAdmitted(stored, old?.object);
    if (old !== undefined && equalJson(stored, old.object)) {
      if (options.isDryRun !== true) this.put(type, { object: old.object, owners });
      return this.view(resolved, old.object);
    }
    if (type.hasGeneration && old !== undefined && !equalJson(specPart(stored, version), specPart(old.object, version))) {
      (stored as unknown as { metadata: { generation: number } }).metadata.generation = (old.object.metadata.generation ?? 0) + 1;
    }
    if (options.isDryRun === true) return this.view(resolved, freezeJson(stored));
    if (old === undefined) this.ensureNamespace(type, metadata);
    const isFinished = old?.object.metadata.deletionTimestamp !== undefined && !hasFinalizers(stored);
    return this.view(resolved, isFinished ? this.remove(type, { object: stored, owners }) : this.commit(type, old, stored, owners));
  }

  private setServerFields(type: ResourceType, metadata: JsonObject, old: Resource | undefined, createdAt: string): void {
    delete metadata['managedFields'];
    metadata['uid'] = old?.metadata.uid ?? this.options.newUid();
    metadata['creationTimestamp'] = old?.metadata.creationTimestamp ?? createdAt;
    if (old === undefined) delete metadata['resourceVersion'];
    else metadata['resourceVersion'] = old.metadata.resourceVersion;
    if (old?.metadata.deletionTimestamp === undefined) delete metadata['deletionTimestamp'];
    else metadata['deletionTimestamp'] = old.metadata.deletionTimestamp;
    if (type.hasGeneration) metadata['generation'] = old?.metadata.generation ?? 1;
    else delete metadata['generation'];
  }

  private toStorage({ type, version }: ResolvedType, candidate: JsonObject): Resource {
    if (version.name !== type.storageVersion) {
      candidate['apiVersion'] = apiVersionOf({ group: type.group, version: type.storageVersion });
      type.versions.get(type.storageVersion)?.rules.normalise(candidate, undefined);
    }
    return candidate as unknown as Resource;
  }

  private assertValid({ type, version }: ResolvedType, candidate: JsonObject, live: JsonObject | undefined): void {
    const metadata = candidate['metadata'] as JsonObject;
    const errors = [...metadataErrors(metadata, type.isNamespaced, type.nameStyle), ...version.rules.validate(candidate, live)];
    if (errors.length > 0) throw invalidObject(type.kind, type.group, String(metadata['name']), errors);
  }

  private assertAdmitted(object: Resource, old: Resource | undefined): void {
    for (const rule of this.options.admit ?? []) {
      const verdict = rule(object, old);
      if (!verdict.allowed) throw new ResourceError('ERR_FORBIDDEN', `admission denied the request: ${verdict.message}`);
    }
  }

  private assertNameIsFree(type: ResourceType, metadata: JsonObject): void {
    if (this.entry(type, String(metadata['namespace']), String(metadata['name'])) === undefined) return;
    throw new ResourceError('ERR_ALREADY_EXISTS', `${qualified(type)} "${String(metadata['name'])}" already exists`);
  }

  private ensureNamespace(type: ResourceType, metadata: JsonObject): void {
    const gvk = { group: '', version: 'v1', kind: 'Namespace' };
    const namespaces = this.find(gvk);
    const name = String(metadata['namespace']);
    if (!type.isNamespaced || namespaces === undefined || this.entry(namespaces, '', name) !== undefined) return;
    if (!this.options.createsMissingNamespaces) throw new ResourceError('ERR_NOT_FOUND', `namespaces "${name}" not found`);
    this.create(gvk, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }

  private now(): string {
    return `${new Date(this.options.nowMs()).toISOString().slice(0, 19)}Z`;
  }

  private put(type: ResourceType, entry: Entry): void {
    let objects = this.entries.get(typeKey(type));
    if (objects === undefined) this.entries.set(typeKey(type), (objects = new Map()));
    objects.set(objectKey(entry.object.metadata.namespace, entry.object.metadata.name), entry);
  }

  private commit(type: ResourceType, old: Entry | undefined, object: Resource, owners: FieldOwners): Resource {
    const revision = this.log.nextRevision();
    const stored = freezeJson({ ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } });
    this.put(type, { object: stored, owners });
    this.announce({ revision, type, object: stored, previous: old?.object });
    return stored;
  }

  private remove(type: ResourceType, entry: Entry): Resource {
    const { metadata } = entry.object;
    if (type.group === '' && type.kind === 'Namespace') this.removeContents(metadata.name);
    this.entries.get(typeKey(type))?.delete(objectKey(metadata.namespace, metadata.name));
    const revision = this.log.nextRevision();
    const last = freezeJson({ ...entry.object, metadata: { ...metadata, resourceVersion: String(revision) } });
    this.announce({ revision, type, object: undefined, previous: last });
    return last;
  }

  private removeContents(namespace: string): void {
    for (const [key, type] of this.types) {
      if (!type.isNamespaced) continue;
      for (const entry of this.entries.get(key)?.values() ?? []) {
        if (entry.object.metadata.namespace === namespace) this.remove(type, entry);
      }
    }
  }

  private announce(change: Change): void {
    this.log.add(change);
    for (const listener of this.listeners) listener(change);
  }
}
