// SPDX-License-Identifier: Apache-2.0
/* A cluster that is a list of objects, for tests of what reads one. */
import { ResourceError } from '@weft/resources';
import type { Resource } from '@weft/resources';
import type { ClusterReader } from '../cluster.ts';

/** An object as a manifest writes it. */
export interface PlainObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly deletionTimestamp?: string;
    readonly uid?: string;
  };
  readonly [field: string]: unknown;
}

/** How the cluster answers what is no object. */
export interface MemoryCluster {
  readonly objects: readonly PlainObject[];
  /** Answers by path; a missing one is ERR_NOT_FOUND. */
  readonly answers?: Readonly<Record<string, unknown>>;
  /** Verb and plural that are refused to the user, as `create deployments`. */
  readonly refused?: readonly string[];
}

/** Reads `cluster` at the moment of each call. */
export function memoryReader(cluster: () => MemoryCluster): ClusterReader {
  const objectsOf = (kind: { readonly group: string; readonly version: string; readonly kind: string }): readonly Resource[] => {
    const apiVersion = kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
    return cluster()
      .objects.filter((object) => object.apiVersion === apiVersion && object.kind === kind.kind)
      .map(
        (object) =>
          ({
            ...object,
            metadata: {
              namespace: '',
              uid: '',
              resourceVersion: '1',
              creationTimestamp: '2026-01-01T00:00:00Z',
              ...object.metadata,
              labels: object.metadata.labels ?? {},
              annotations: object.metadata.annotations ?? {},
            },
          }) as Resource,
      );
  };
  return {
    get: async (kind, namespace, name) => {
      const found = objectsOf(kind).find(
        ({ metadata }) => metadata.name === name && (!kind.isNamespaced || metadata.namespace === namespace),
      );
      if (found === undefined) throw new ResourceError('ERR_NOT_FOUND', `${kind.plural} "${name}" not found`);
      return found as never;
    },
    list: async (kind, query = {}) =>
      objectsOf(kind).filter(
        ({ metadata }) =>
          (query.namespace === undefined || metadata.namespace === query.namespace) && isSelected(metadata.labels, query.labelSelector),
      ) as never,
    call: async ({ method, path, body }) => {
      if (method === 'POST' && path.endsWith('/selfsubjectaccessreviews')) {
        const { spec } = body as { readonly spec: { readonly resourceAttributes: { readonly verb: string; readonly resource: string } } };
        const { verb, resource } = spec.resourceAttributes;
        return { status: { allowed: cluster().refused?.includes(`${verb} ${resource}`) !== true } };
      }
      const answer = cluster().answers?.[path];
      if (answer === undefined) throw new ResourceError('ERR_NOT_FOUND', `nothing at ${path}`);
      return answer;
    },
  };
}

function isSelected(labels: Readonly<Record<string, string>>, selector = ''): boolean {
  return selector.split(',').every((term) => {
    if (term === '') return true;
    const [name = '', value] = term.split('=');
    return value === undefined ? name in labels : labels[name] === value;
  });
}
