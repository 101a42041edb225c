// SPDX-License-Identifier: Apache-2.0
/*
 * Objects between the wire and this process: on the wire empty metadata is left out, here it is always there, so that readers need not
 * ask. `managedFields` are dropped on the way in, since nobody here reads them and they can be most of an object.
 */
import { freezeJson, isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { Resource } from '../types.ts';

/** An object as it is sent. */
export function toWire(object: Resource): JsonObject {
  const { namespace, labels, annotations, ...metadata } = object.metadata;
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(namespace === '' ? {} : { namespace }),
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
  };
}

/** When an object was last written, in milliseconds since the epoch, as its managed fields say. */
export function lastWrittenMs(value: unknown): number | undefined {
  const metadata = isJsonObject(value) && isJsonObject(value['metadata']) ? value['metadata'] : {};
  const entries = Array.isArray(metadata['managedFields']) ? (metadata['managedFields'] as unknown[]) : [];
  let latestMs: number | undefined;
  for (const entry of entries) {
    const ms = isJsonObject(entry) && typeof entry['time'] === 'string' ? Date.parse(entry['time']) : Number.NaN;
    if (!Number.isNaN(ms) && ms > (latestMs ?? -Infinity)) latestMs = ms;
  }
  return latestMs;
}

/** An object as it came; items of a list carry no apiVersion and kind, which are then filled in. Undefined where it is none. */
export function fromWire(value: unknown, apiVersion: string, kind: string): Resource | undefined {
  if (!isJsonObject(value) || !isJsonObject(value['metadata'])) return undefined;
  const { managedFields: _managedFields, ...metadata } = value['metadata'];
  // Reviews (TokenReview and its kin) are answered, never stored, and have no name.
  metadata['name'] ??= '';
  if (typeof metadata['name'] !== 'string') return undefined;
  metadata['namespace'] ??= '';
  metadata['labels'] ??= {};
  metadata['annotations'] ??= {};
  return freezeJson({ ...value, apiVersion, kind, metadata }) as unknown as Resource;
}
