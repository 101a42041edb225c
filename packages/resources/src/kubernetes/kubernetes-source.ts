// SPDX-License-Identifier: Apache-2.0
/*
 * A Kubernetes API server, or our own HTTP face, as a source of resources. Objects come with metadata filled in and without
 * `managedFields`; a projection can drop more before anything is kept. Source: Kubernetes API concepts.
 */
import { isResourceError, ResourceError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import { apiVersionOf } from '../kinds/registry.ts';
import type { Resource, ResourceInput, ResourceKind, ResourceSource, Selector, Watch, WatchEvent } from '../types.ts';
import { ApiClient } from './api-client.ts';
import type { ApiCall, ApiClientOptions } from './api-client.ts';
import { ListWatch } from './list-watch.ts';
import type { ListWatchTiming } from './list-watch.ts';
import { acceptOf, collectionPath, objectPath, versionPath } from './resource-path.ts';
import { addSelector } from './selector-query.ts';
import { fromWire } from './wire-object.ts';

/** Named limits and times of the client. */
export const KUBERNETES_DEFAULTS: {
  readonly requestTimeoutMs: number;
  readonly maxAnswerBytes: number;
  readonly pageSize: number;
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly watchMs: number;
  readonly watchSilenceMs: number;
  readonly maxConnections: number;
} = {
  requestTimeoutMs: 30_000,
  maxAnswerBytes: 64 * 1024 * 1024,
  pageSize: 500,
  minBackoffMs: 100,
  maxBackoffMs: 30_000,
  watchMs: 5 * 60_000,
  watchSilenceMs: 150_000,
  maxConnections: 8,
};

/** How to reach an API server, and how patient to be. */
export interface KubernetesSourceOptions {
  /** `http://…`, `https://…`, or `unix:/path/to/socket`. */
  readonly baseUrl: string;
  /** For https; a function is asked again after a server could not be verified, since its CA may have been replaced. */
  readonly tls?: NonNullable<ApiClientOptions['tls']>;
  /** Asked for each request; `wasRefused`: the last one was refused, so one that is remembered will not do. */
  readonly bearerToken?: (wasRefused: boolean) => Promise<string | undefined>;
  /** Default `weft`. */
  readonly userAgent?: string;
  /** Drops what the reader does not need, before an object is kept. Must keep metadata. */
  readonly project?: (object: Resource) => Resource;
  /** Told of each failure of a watch that is being retried. */
  readonly onRetry?: (kind: ResourceKind, error: unknown, delayMs: number) => void;
  /** Told of each change that a watch brought how long ago it was written, as the object itself says. Milliseconds. */
  readonly onLag?: (kind: ResourceKind, lagMs: number) => void;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
  /** An answer takes at most this long. Milliseconds. */
  readonly requestTimeoutMs?: number;
  /** A watch that says nothing for so long is opened anew. Milliseconds. API servers send a bookmark a minute. */
  readonly watchSilenceMs?: number;
  /** Longest answer, longest item of a list, longest event. Bytes. */
  readonly maxAnswerBytes?: number;
  /** Objects in one page of a list. */
  readonly pageSize?: number;
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** Length of one watch as asked of the server: this to twice this. Milliseconds. */
  readonly watchMs?: number;
  /** Connections for requests, besides one for each open watch. */
  readonly maxConnections?: number;
}

/** A source over an API server. Throws TypeError for a `baseUrl` that is none; connects when first used. */
export function createKubernetesSource(options: KubernetesSourceOptions): ResourceSource {
  const settings = { ...KUBERNETES_DEFAULTS, ...options };
  const timing: ListWatchTiming = settings;
  const { project = (object: Resource): Resource => object, random = Math.random } = options;
  const client = new ApiClient({ ...settings, userAgent: options.userAgent ?? 'weft' });
  const watches = new Set<Watch>();

  function received(kind: ResourceKind, value: unknown): never {
    const object = fromWire(value, apiVersionOf(kind), kind.kind);
    if (object === undefined) throw new ResourceError('ERR_UNAVAILABLE', 'the API server answered with something that is no object');
    return project(object) as never;
  }

  async function send(kind: ResourceKind, call: ApiCall): Promise<never> {
    return received(kind, await client.call(call));
  }

  /** Reads one page; `limit` 0 means all. */
  async function page(
    kind: ResourceKind,
    selector: Selector | undefined,
    token: string,
    limit: number,
    onItem: (item: Resource) => void,
  ): Promise<{ readonly resourceVersion: string; readonly next: string }> {
    const query = new URLSearchParams();
    addSelector(query, selector);
    if (limit > 0) query.set('limit', String(limit));
    if (token !== '') query.set('continue', token);
    const call: ApiCall = { method: 'GET', path: collectionPath(kind, selector?.namespace), query, ...acceptOf(kind, 'list') };
    const body = await client.list(call, (item) => onItem(received(kind, item)));
    if (!isJsonObject(body) || !isJsonObject(body['metadata']))
      throw new ResourceError('ERR_UNAVAILABLE', 'the API server answered with no list');
    const { resourceVersion, continue: next } = body['metadata'];
    return {
      resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '',
      next: typeof next === 'string' ? next : '',
    };
  }

  /** Reads all pages; an item may come twice. Resolves with the version of the list. */
  async function listAll(kind: ResourceKind, selector: Selector | undefined, onItem: (item: Resource) => void): Promise<string> {
    let token = '';
    try {
      for (;;) {
        const { resourceVersion, next } = await page(kind, selector, token, settings.pageSize, onItem);
        if (next === '') return resourceVersion;
        token = next;
      }
    } catch (error) {
      // The server forgot the list between two pages: take it in one piece.
      if (token === '' || !isResourceError(error) || error.status !== 410) throw error;
      return (await page(kind, selector, '', 0, onItem)).resourceVersion;
    }
  }

  async function list(kind: ResourceKind, selector: Selector | undefined): Promise<readonly Resource[]> {
    const items = new Map<string, Resource>();
    await listAll(kind, selector, (item) => items.set(`${item.metadata.namespace}/${item.metadata.name}`, item));
    return [...items.values()];
  }

  function watch<R extends Resource>(
    kind: ResourceKind<R>,
    selector: Selector | undefined,
    handler: (event: WatchEvent<R>) => void,
  ): Watch {
    const { onLag } = options;
    const inner = new ListWatch(
      {
        ...(onLag === undefined ? {} : { onLag: (lagMs) => onLag(kind, lagMs) }),
        client,
        kind,
        selector,
        project,
        timing,
        random,
        onRetry: (error, delayMs) => options.onRetry?.(kind, error, delayMs),
        list: (onItem) => listAll(kind, selector, onItem),
      },
      handler as (event: WatchEvent<Resource>) => void,
    );
    const open: Watch = {
      close: () => {
        inner.close();
        watches.delete(open);
      },
    };
    watches.add(open);
    return open;
  }

  const managed = (fieldManager: string): URLSearchParams => new URLSearchParams({ fieldManager });
  const at = (kind: ResourceKind, { metadata }: ResourceInput): string =>
    objectPath(kind, namespaceOf(kind, metadata.namespace), metadata.name);

  return {
    supports: async (kind) => {
      try {
        const body = await client.call({ method: 'GET', path: versionPath(kind) });
        const resources = isJsonObject(body) && Array.isArray(body['resources']) ? (body['resources'] as unknown[]) : [];
        return resources.some((resource) => isJsonObject(resource) && resource['name'] === kind.plural);
      } catch (error) {
        if (isResourceError(error, 'ERR_NOT_FOUND')) return false;
        throw error;
      }
    },
    get: (kind, namespace, name) => send(kind, { method: 'GET', path: objectPath(kind, namespace, name) }),
    list: async (kind, selector) => (await list(kind, selector)) as never,
    watch,
    create: (kind, object) =>
      send(kind, {
        method: 'POST',
        path: collectionPath(kind, namespaceOf(kind, object.metadata.namespace)),
        body: object,
        isRepeatable: kind.isReview === true,
      }),
    update: (kind, object) => send(kind, { method: 'PUT', path: at(kind, object), body: object }),
    apply: (kind, object, fieldManager) => {
      const query = managed(fieldManager);
      query.set('force', 'true');
      return send(kind, { method: 'PATCH', path: at(kind, object), query, body: object, contentType: 'application/apply-patch+yaml' });
    },
    patch: (kind, namespace, name, patch, fieldManager) =>
      send(kind, {
        method: 'PATCH',
        path: objectPath(kind, namespace, name),
        query: managed(fieldManager),
        body: patch,
        contentType: 'application/merge-patch+json',
      }),
    patchStatus: (kind, namespace, name, patch, fieldManager) =>
      send(kind, {
        method: 'PATCH',
        path: `${objectPath(kind, namespace, name)}/status`,
        query: managed(fieldManager),
        body: patch,
        contentType: 'application/merge-patch+json',
      }),
    delete: async (kind, namespace, name, { uid, gracePeriodSeconds } = {}) => {
      const how = {
        ...(uid === undefined ? {} : { preconditions: { uid } }),
        ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      };
      const body = Object.keys(how).length === 0 ? {} : { body: { kind: 'DeleteOptions', apiVersion: 'v1', ...how } };
      await client.call({ method: 'DELETE', path: objectPath(kind, namespace, name), ...body });
    },
    serverVersion: async () => {
      const body = await client.call({ method: 'GET', path: '/version' });
      return isJsonObject(body) && typeof body['gitVersion'] === 'string' ? body['gitVersion'] : undefined;
    },
    close: () => {
      for (const open of watches) open.close();
      client.close();
      return Promise.resolve();
    },
  };
}

/** The same source over our own HTTP face, by the `url` that it says it serves at. */
export function createRemoteSource(url: string, options: Omit<KubernetesSourceOptions, 'baseUrl'> = {}): ResourceSource {
  return createKubernetesSource({ ...options, baseUrl: url });
}

/** A namespaced object without namespace goes to `default`, as everywhere. */
function namespaceOf(kind: ResourceKind, namespace: string | undefined): string {
  if (!kind.isNamespaced) return '';
  return namespace === undefined || namespace === '' ? 'default' : namespace;
}
