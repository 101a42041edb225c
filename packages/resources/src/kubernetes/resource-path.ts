// SPDX-License-Identifier: Apache-2.0
/*
 * Paths of the Kubernetes REST API: `/api/v1/…` for the core group, `/apis/GROUP/VERSION/…` for the others, then the namespace, the
 * plural, the name and a subresource. Source: Kubernetes API concepts, "Resource URIs".
 */
import type { ResourceKind } from '../types.ts';

/** What a path names. Without `plural` it is a group and version; without `name` a collection, over all namespaces if `namespace` is ''. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string;
  readonly plural?: string;
  readonly name?: string;
  readonly subresource?: string;
}

/** The path of a group and version. */
export function versionPath(kind: Pick<ResourceKind, 'group' | 'version'>): string {
  return kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
}

/** The path of a collection; a namespace of undefined or '' means all namespaces. */
export function collectionPath(kind: ResourceKind, namespace: string | undefined): string {
  const scope = kind.isNamespaced && namespace !== undefined && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${versionPath(kind)}${scope}/${kind.plural}`;
}

/** The path of an object. */
export function objectPath(kind: ResourceKind, namespace: string, name: string): string {
  return `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}`;
}

/** The media type to ask for, for a kind of which only metadata is wanted (Kubernetes API concepts, "Metadata-only"). */
export function acceptOf(kind: ResourceKind, what: 'object' | 'list'): { readonly accept?: string } {
  if (kind.isMetadataOnly !== true) return {};
  const type = what === 'list' ? 'PartialObjectMetadataList' : 'PartialObjectMetadata';
  // The second choice is for a server that cannot, such as our own HTTP face.
  return { accept: `application/json;as=${type};g=meta.k8s.io;v=v1,application/json` };
}

function decodeStep(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

/** What `pathname` names, or undefined where it is none of these. */
export function parseResourcePath(pathname: string): ResourcePath | undefined {
  const steps = pathname
    .split('/')
    .filter((step) => step !== '')
    .map((step) => decodeStep(step));
  const [root, second, third] = steps;
  const isCore = root === 'api';
  if (!isCore && root !== 'apis') return undefined;
  const group = isCore ? '' : second;
  const version = isCore ? second : third;
  if (group === undefined || version === undefined) return undefined;
  const rest = steps.slice(isCore ? 2 : 3);
  // `/namespaces/NAME` itself is an object of the kind Namespace; with a plural after it, it is a scope.
  const isScoped = rest[0] === 'namespaces' && rest.length > 2 && !(rest.length === 3 && rest[2] === 'status');
  const [plural, name, subresource, ...extra] = isScoped ? rest.slice(2) : rest;
  if (extra.length > 0) return undefined;
  return {
    group,
    version,
    namespace: isScoped ? (rest[1] ?? '') : '',
    ...(plural === undefined ? {} : { plural }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}
