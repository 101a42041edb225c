// SPDX-License-Identifier: Apache-2.0
/*
 * Typed reading over one raw call: paths, paging, errors (Kubernetes API concepts). The call itself is the transport's
 * (connect-cluster.ts), so that this can be tested against any API server and any answer.
 */
import { ResourceError } from '@weft/resources';
import type { ObjectMeta, Resource, ResourceErrorCode, ResourceKind } from '@weft/resources';
import type { ApiCall, ClusterReader, ListQuery } from './cluster.ts';

/** Objects in one page of a list. */
export const PAGE_SIZE = 500;

/** An answer as it came. */
export interface RawAnswer {
  readonly status: number;
  readonly body: string;
}

/** Makes one call. Rejects with ResourceError ERR_UNAVAILABLE when nobody answers. */
export type SendCall = (call: ApiCall) => Promise<RawAnswer>;

/** A reader over `send`. */
export function createApiReader(send: SendCall): ClusterReader & { callText(call: ApiCall): Promise<string> } {
  const callText = async (call: ApiCall): Promise<string> => {
    const { status, body } = await send(call);
    if (status < 200 || status > 299) throw errorOf(status, body);
    return body;
  };
  const call = async (request: ApiCall): Promise<unknown> => parseJson(await callText(request));
  return {
    callText,
    call,
    get: async (kind, namespace, name) => {
      const answer = await call({ method: 'GET', path: `${collectionPath(kind, namespace)}/${encodeURIComponent(name)}` });
      if (!isObject(answer)) throw new ResourceError('ERR_UNAVAILABLE', 'the API server answered with no object');
      return withMetadata(answer, kind) as never;
    },
    list: async (kind, query = {}) => {
      const items: Resource[] = [];
      for (let token = ''; ;) {
        const answer = await call({ method: 'GET', path: `${collectionPath(kind, query.namespace)}?${listSearch(query, token)}` });
        if (!isObject(answer)) throw new ResourceError('ERR_UNAVAILABLE', 'the API server answered with no list');
        for (const item of (answer['items'] as readonly unknown[] | null) ?? []) {
          if (isObject(item)) items.push(withMetadata(item, kind));
        }
        token = (answer['metadata'] as { readonly continue?: string } | undefined)?.continue ?? '';
        if (token === '') return items as never;
      }
    },
  };
}

/** Where objects of a kind are; `namespace` undefined or empty means all, and always for cluster-scoped kinds. */
export function collectionPath(kind: ResourceKind, namespace?: string): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.isNamespaced && namespace !== undefined && namespace !== '' ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  return `${root}${scope}/${kind.plural}`;
}

function listSearch(query: ListQuery, token: string): string {
  const search = new URLSearchParams({ limit: String(PAGE_SIZE) });
  if (query.labelSelector !== undefined) search.set('labelSelector', query.labelSelector);
  if (query.fieldSelector !== undefined) search.set('fieldSelector', query.fieldSelector);
  if (token !== '') search.set('continue', token);
  return search.toString();
}

/** Items of a list come without kind; metadata may lack what is empty. */
function withMetadata(object: Readonly<Record<string, unknown>>, kind: ResourceKind): Resource {
  const metadata = (object['metadata'] ?? {}) as Partial<ObjectMeta>;
  return {
    ...object,
    apiVersion: kind.group === '' ? kind.version : `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: {
      ...metadata,
      name: metadata.name ?? '',
      namespace: metadata.namespace ?? '',
      uid: metadata.uid ?? '',
      resourceVersion: metadata.resourceVersion ?? '',
      creationTimestamp: metadata.creationTimestamp ?? '',
      labels: metadata.labels ?? {},
      annotations: metadata.annotations ?? {},
    },
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ResourceError('ERR_UNAVAILABLE', 'the API server answered with something that is not JSON', { cause: error });
  }
}

const CODES: Readonly<Record<number, ResourceErrorCode>> = {
  401: 'ERR_FORBIDDEN',
  403: 'ERR_FORBIDDEN',
  404: 'ERR_NOT_FOUND',
  409: 'ERR_CONFLICT',
  400: 'ERR_INVALID',
  422: 'ERR_INVALID',
};

/** The error that an answer stands for; its message is the Status's, where there is one. */
function errorOf(status: number, body: string): ResourceError {
  let message = body.trim().split('\n')[0]?.slice(0, 300) ?? '';
  let reason: string | undefined;
  try {
    const answer: unknown = JSON.parse(body);
    if (isObject(answer) && answer['kind'] === 'Status') {
      if (typeof answer['message'] === 'string') message = answer['message'];
      reason = typeof answer['reason'] === 'string' ? answer['reason'] : undefined;
    }
  } catch {
    // Not a Status: the first line of the text is all that there is.
  }
  const code = reason === 'AlreadyExists' ? 'ERR_ALREADY_EXISTS' : (CODES[status] ?? 'ERR_UNAVAILABLE');
  return new ResourceError(code, message === '' ? `the API server answered ${status}` : message, {
    status,
    ...(reason === undefined ? {} : { reason }),
  });
}
