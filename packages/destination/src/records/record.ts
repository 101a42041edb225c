// SPDX-License-Identifier: Apache-2.0
/*
 * Records: what discovery keeps of a Kubernetes object, computed once when the object arrives, so that whole objects need not stay in memory
 * and lookups parse nothing. Every record is immutable and knows its key and version.
 */
import type { Resource } from '@weft/resources';

/** What every record has. */
export interface ClusterRecord {
  /** `namespace/name`; the bare name for cluster-scoped kinds. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
}

/** Key of an object by its namespace ('' for cluster-scoped kinds) and name. */
export function keyOf(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}

/** The common part of a record. */
export function recordOf(resource: Resource): ClusterRecord {
  const { namespace, name, resourceVersion } = resource.metadata;
  return { key: keyOf(namespace, name), namespace, name, resourceVersion };
}
