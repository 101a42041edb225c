// SPDX-License-Identifier: Apache-2.0
/*
 * Discovery: which groups, versions and kinds are served, and the health paths of an API server. Source: Kubernetes API concepts,
 * "Discovery" (unaggregated).
 */
import type { JsonObject } from '../json-values.ts';
import { apiVersionOf } from '../kinds/registry.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { parseResourcePath } from './resource-path.ts';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];

function groupsOf(store: ObjectStore): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const { group, versions } of store.resourceTypes) {
    const known = groups.get(group) ?? [];
    for (const version of versions.keys()) if (!known.includes(version)) known.push(version);
    groups.set(group, known);
  }
  return groups;
}

function groupList(store: ObjectStore): JsonObject {
  const groups = [...groupsOf(store)]
    .filter(([group]) => group !== '')
    .map(([group, names]) => {
      const versions = names.map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }));
      return { name: group, versions, preferredVersion: versions.at(-1) };
    });
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

function resourceList(store: ObjectStore, group: string, version: string): JsonObject | undefined {
  const resources: JsonObject[] = [];
  for (const { group: typeGroup, kind, plural, isNamespaced, versions } of store.resourceTypes) {
    const found = typeGroup === group ? versions.get(version) : undefined;
    if (found === undefined) continue;
    resources.push({ name: plural, singularName: kind.toLowerCase(), namespaced: isNamespaced, kind, verbs: VERBS });
    if (found.hasStatus) {
      resources.push({ name: `${plural}/status`, singularName: '', namespaced: isNamespaced, kind, verbs: ['get', 'patch', 'update'] });
    }
  }
  if (resources.length === 0) return undefined;
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version }), resources };
}

/** The answer to a discovery or health path (text for the latter), or undefined where `pathname` is none. */
export function discoveryAnswer(store: ObjectStore, pathname: string): JsonObject | string | undefined {
  if (['/livez', '/readyz', '/healthz'].includes(pathname)) return 'ok';
  if (pathname === '/version') return { major: '1', minor: '37', gitVersion: 'v1.37.0-weft' };
  if (pathname === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (pathname === '/apis') return groupList(store);
  const path = parseResourcePath(pathname);
  return path === undefined || path.plural !== undefined ? undefined : resourceList(store, path.group, path.version);
}
