// SPDX-License-Identifier: Apache-2.0
/*
 * What an API server does to a custom object before it looks at it: fields that the schema does not name are pruned, nulls that it does
 * not allow go, defaults come, all in depth. Source: Kubernetes, "Field pruning", "Defaulting and Nullable".
 */
import { copyJson, isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { StructuralSchema } from './structural-schema.ts';

/** Fields of every object that no schema prunes or defaults. */
const ENVELOPE = new Set(['apiVersion', 'kind', 'metadata']);

/** Prunes and defaults `object` in place by the schema of its kind. */
export function normaliseObject(schema: StructuralSchema, object: JsonObject): void {
  normaliseFields(schema, object, ENVELOPE);
}

function normaliseValue(schema: StructuralSchema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items === undefined) return;
    for (const [index, item] of value.entries()) {
      if (item === null && !schema.items.nullable && schema.items.default !== undefined) value[index] = copyJson(schema.items.default);
      normaliseValue(schema.items, value[index]);
    }
  } else if (isJsonObject(value)) normaliseFields(schema, value, undefined);
}

function normaliseFields(schema: StructuralSchema, object: JsonObject, kept: ReadonlySet<string> | undefined): void {
  for (const key of Object.keys(object)) {
    if (kept?.has(key) === true) continue;
    const child = schema.properties.get(key) ?? schema.additional;
    if (child === undefined) {
      if (!schema.preservesUnknown) delete object[key];
    } else if (object[key] === null && !child.nullable) delete object[key];
  }
  for (const [key, child] of schema.properties) {
    if (kept?.has(key) === true) continue;
    if (child.default !== undefined && !Object.hasOwn(object, key)) object[key] = copyJson(child.default);
    if (Object.hasOwn(object, key)) normaliseValue(child, object[key]);
  }
  if (schema.additional === undefined) return;
  for (const [key, value] of Object.entries(object)) {
    if (!schema.properties.has(key) && kept?.has(key) !== true) normaliseValue(schema.additional, value);
  }
}
