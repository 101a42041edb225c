// SPDX-License-Identifier: Apache-2.0
/* Setting and removing members of an object's metadata. The given objects are not changed. */
import { objectOf, type JsonObject } from '../json-object.ts';

/** The object with these annotations, over those that it has. */
export function withAnnotations(object: JsonObject, annotations: Readonly<Record<string, string>>): JsonObject {
  if (Object.keys(annotations).length === 0) return object;
  const metadata = objectOf(object['metadata']);
  return { ...object, metadata: { ...metadata, annotations: { ...objectOf(metadata['annotations']), ...annotations } } };
}

/** The object without the annotations and labels that match; maps that become empty go as well. */
export function withoutMetadata(object: JsonObject, isAnnotation: (key: string) => boolean, isLabel: (key: string) => boolean): JsonObject {
  let metadata = objectOf(object['metadata']);
  for (const [section, isMatch] of [
    ['annotations', isAnnotation],
    ['labels', isLabel],
  ] as const) {
    const members = Object.entries(objectOf(metadata[section]));
    const kept = members.filter(([key]) => !isMatch(key));
    if (kept.length === members.length) continue;
    const { [section]: _removed, ...rest } = metadata;
    metadata = kept.length === 0 ? rest : { ...metadata, [section]: Object.fromEntries(kept) };
  }
  return metadata === objectOf(object['metadata']) ? object : { ...object, metadata };
}
