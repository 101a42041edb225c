// SPDX-License-Identifier: Apache-2.0
/*
 * Rules that a write meets on its way into an object store: the shape that every object has, versions and uids that must be current,
 * owners of fields, and what counts for a generation. Source: Kubernetes API conventions ("Metadata", "Concurrency Control and
 * Consistency").
 */
import { invalidObject, ResourceError } from '../errors.ts';
import { copyJson, isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { apiVersionOf } from '../kinds/registry.ts';
import type { Gvk, Resource, ResourceInput } from '../types.ts';
import type { Applied } from './field-ownership.ts';
import { mistypedMetadata } from './metadata-rules.ts';
import type { ResourceType, TypeVersion } from './resource-type.ts';

/** A type, and the version of it that a caller speaks. */
export interface ResolvedType {
  readonly type: ResourceType;
  readonly version: TypeVersion;
}

/** Key of an object among those of its type. */
export function objectKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** Order by code units. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A type's plural with its group. */
export function qualified(type: ResourceType): string {
  return type.group === '' ? type.plural : `${type.plural}.${type.group}`;
}

/** ERR_NOT_FOUND for an object. */
export function notFound(type: ResourceType, name: string): ResourceError {
  return new ResourceError('ERR_NOT_FOUND', `${qualified(type)} "${name}" not found`);
}

/** Version '' and '0' mean that any state will do. */
export function hasVersion(metadata: JsonObject): boolean {
  const version = metadata['resourceVersion'];
  return version !== undefined && version !== '' && version !== '0';
}

/** Whether something still holds an object that is to be deleted. */
export function hasFinalizers(object: Resource): boolean {
  const finalizers = (object.metadata as unknown as JsonObject)['finalizers'];
  return Array.isArray(finalizers) && finalizers.length > 0;
}

/** The status of an object, where it has one. */
export function pickStatus(candidate: JsonObject): JsonObject {
  return candidate['status'] === undefined ? {} : { status: candidate['status'] };
}

/** What generations count: all but metadata, and but status where it is a subresource. */
export function specPart(object: Resource, version: TypeVersion): JsonObject {
  const { metadata: _metadata, status, ...rest } = object as unknown as JsonObject;
  return version.hasStatus ? rest : { ...rest, status };
}

/** Throws ERR_CONFLICT where an apply that is not forced takes fields from others. */
export function assertNoLosers({ losers }: Applied, { isForced = true }: { readonly isForced?: boolean }): void {
  if (isForced || losers.length === 0) return;
  const names = losers.map((name) => JSON.stringify(name)).join(', ');
  throw new ResourceError('ERR_CONFLICT', `Apply failed with conflicts with ${names}: fields are managed by others`);
}

/** Throws ERR_NOT_FOUND where a version has no status subresource. */
export function assertHasStatus({ type, version }: ResolvedType, name: string): void {
  if (!version.hasStatus) throw notFound(type, `${name}/status`);
}

/** A mutable copy of what a caller wrote, with the metadata that every object has. */
export function candidateOf({ type }: ResolvedType, gvk: Gvk, input: ResourceInput): JsonObject {
  const candidate: unknown = copyJson(input);
  if (!isJsonObject(candidate)) throw new ResourceError('ERR_INVALID', 'an object is required', { status: 400, reason: 'BadRequest' });
  if (candidate['kind'] !== gvk.kind || candidate['apiVersion'] !== apiVersionOf(gvk)) {
    throw new ResourceError(
      'ERR_INVALID',
      `the object provided is ${String(candidate['kind'])} of ${String(candidate['apiVersion'])}, expected ${gvk.kind} of ${apiVersionOf(gvk)}`,
      { status: 400, reason: 'BadRequest' },
    );
  }
  const metadata = isJsonObject(candidate['metadata']) ? candidate['metadata'] : {};
  const mistyped = mistypedMetadata(metadata);
  if (mistyped !== undefined) {
    throw new ResourceError('ERR_INVALID', `metadata.${mistyped} has the wrong type`, { status: 400, reason: 'BadRequest' });
  }
  candidate['metadata'] = metadata;
  metadata['labels'] ??= {};
  metadata['annotations'] ??= {};
  if ((metadata['namespace'] ?? '') === '') metadata['namespace'] = type.isNamespaced ? 'default' : '';
  return candidate;
}

/** Throws ERR_CONFLICT where a write names a version or a uid that the object does not have. */
export function assertCurrent(type: ResourceType, live: Resource, metadata: JsonObject): void {
  const isStale = hasVersion(metadata) && metadata['resourceVersion'] !== live.metadata.resourceVersion;
  const isOther = typeof metadata['uid'] === 'string' && metadata['uid'] !== live.metadata.uid;
  if (!isStale && !isOther) return;
  const reason = isStale
    ? 'the object has been modified; please apply your changes to the latest version and try again'
    : `Precondition failed: UID in precondition: ${String(metadata['uid'])}, UID in object meta: ${live.metadata.uid}`;
  throw new ResourceError('ERR_CONFLICT', `Operation cannot be fulfilled on ${qualified(type)} "${live.metadata.name}": ${reason}`);
}

/** Throws ERR_INVALID where a replacement must name the version that it replaces and does not. */
export function assertNamesVersion(type: ResourceType, metadata: JsonObject): void {
  if (!type.needsVersion || hasVersion(metadata)) return;
  throw invalidObject(type.kind, type.group, String(metadata['name']), [
    { path: 'metadata.resourceVersion', reason: 'FieldValueInvalid', message: 'Invalid value: 0: must be specified for an update' },
  ]);
}
