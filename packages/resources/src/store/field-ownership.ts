// SPDX-License-Identifier: Apache-2.0
/*
 * Who set which field, as server-side apply needs it: a manager that applies an object again without a field removes it, unless another
 * manager owns it too. Leaves are scalars, lists and empty objects: a list has one owner as a whole (API servers merge some lists by
 * key; the kinds that Weft applies do not need it). Source: Kubernetes, "Server-Side Apply".
 */
import { copyJson, equalJson, isJsonObject, setOwn } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';

/** Fields of one object that each manager owns: paths as JSON arrays of keys. */
export type FieldOwners = ReadonlyMap<string, ReadonlySet<string>>;

/** Fields that no manager owns: the identity of the object and what the server itself sets. */
const UNOWNED = new Set(
  [
    ['apiVersion'],
    ['kind'],
    ['metadata', 'name'],
    ['metadata', 'namespace'],
    ['metadata', 'uid'],
    ['metadata', 'resourceVersion'],
    ['metadata', 'generation'],
    ['metadata', 'creationTimestamp'],
    ['metadata', 'deletionTimestamp'],
    ['metadata', 'managedFields'],
  ].map((path) => JSON.stringify(path)),
);

function collectLeaves(value: unknown, path: readonly string[], into: Map<string, unknown>): void {
  if (isJsonObject(value) && Object.keys(value).length > 0) {
    for (const [key, item] of Object.entries(value)) collectLeaves(item, [...path, key], into);
    return;
  }
  const key = JSON.stringify(path);
  if (path.length > 0 && !UNOWNED.has(key)) into.set(key, value);
}

function leavesOf(value: unknown): Map<string, unknown> {
  const leaves = new Map<string, unknown>();
  collectLeaves(value, [], leaves);
  return leaves;
}

/** `base` with the fields of `over` laid over it: objects merge, all else replaces, nulls too. */
function overlay(base: unknown, over: unknown): unknown {
  if (!isJsonObject(base) || !isJsonObject(over)) return copyJson(over);
  const result: JsonObject = { ...base };
  for (const [key, item] of Object.entries(over)) {
    setOwn(result, key, Object.hasOwn(result, key) ? overlay(result[key], item) : copyJson(item));
  }
  return result;
}

function removePath(target: JsonObject, path: readonly string[]): void {
  const [key, ...rest] = path;
  if (key === undefined || !Object.hasOwn(target, key)) return;
  if (rest.length === 0) {
    delete target[key];
    return;
  }
  const child = target[key];
  if (!isJsonObject(child)) return;
  removePath(child, rest);
  if (Object.keys(child).length === 0) delete target[key];
}

/** What an apply gives: the merged object, not yet defaulted or validated, and the owners after it. */
export interface Applied {
  readonly object: JsonObject;
  readonly owners: FieldOwners;
  /** Managers that lose fields by it. */
  readonly losers: readonly string[];
}

/** Applies `configuration` by `manager` to `live`. Other managers lose the fields whose values change; an unforced apply must not have losers. */
export function applyFields(live: JsonObject, owners: FieldOwners, configuration: JsonObject, manager: string): Applied {
  const wanted = leavesOf(configuration);
  const before = leavesOf(live);
  const after = new Map<string, ReadonlySet<string>>();
  const ownedByOthers = new Set<string>();
  const losers: string[] = [];
  for (const [other, paths] of owners) {
    if (other === manager) continue;
    const kept = new Set<string>();
    for (const path of paths) {
      if (!wanted.has(path) || equalJson(wanted.get(path), before.get(path))) kept.add(path);
    }
    for (const path of kept) ownedByOthers.add(path);
    if (kept.size < paths.size) losers.push(other);
    if (kept.size > 0) after.set(other, kept);
  }
  const base = copyJson(live);
  for (const path of owners.get(manager) ?? []) {
    if (!wanted.has(path) && !ownedByOthers.has(path)) removePath(base, JSON.parse(path) as string[]);
  }
  after.set(manager, new Set(wanted.keys()));
  return { object: overlay(base, configuration) as JsonObject, owners: after, losers };
}

/** Owners after `manager` changed `before` to `after` by an update or a patch: it takes the changed fields from all others. */
export function reownChangedFields(owners: FieldOwners, before: JsonObject, after: JsonObject, manager: string): FieldOwners {
  const old = leavesOf(before);
  const now = leavesOf(after);
  const changed = new Set<string>();
  for (const [path, value] of now) {
    if (!old.has(path) || !equalJson(old.get(path), value)) changed.add(path);
  }
  const result = new Map<string, ReadonlySet<string>>();
  for (const [other, paths] of owners) {
    const kept = new Set<string>();
    for (const path of paths) {
      if (now.has(path) && (other === manager || !changed.has(path))) kept.add(path);
    }
    if (kept.size > 0) result.set(other, kept);
  }
  if (changed.size > 0) result.set(manager, new Set([...(result.get(manager) ?? []), ...changed]));
  return result;
}
