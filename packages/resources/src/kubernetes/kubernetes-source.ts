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
import { collectionPath, objectPath, versionPath } from './resource-path.ts';
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
} = {
  requestTimeoutMs: 30_000,
  maxAnswerBytes: 64 * 1024 * 1024,
  pageSize: 500,
  minBackoffMs: 100,
  maxBackoffMs: 30_000,
  watchMs: 5 * 60_000,
};

/** How to reach an API server, and how patient to be. */
export interface KubernetesSourceOptions {
  /** `http://…`, `https://…`, or `unix:/path/to/socket`. */
  readonly baseUrl: string;
  readonly tls?: NonNullable<ApiClientOptions['tls']>;
  readonly bearerToken?: () => Promise<string | undefined>;
  /** Default `weft`. */
  readonly userAgent?: string;
  /** Drops what the reader does not need, before an object is kept. Must keep metadata. */
  readonly project?: (object: Resource) => Resource;
  /** Told of each failure of a watch that is being retried. */
  readonly onRetry?: (kind: ResourceKind, error: unknown, delayMs: number) => void;
  /** In [0, 1). Default: Math.random. */
  readonly random?: () => number;
  /** An answer takes at most this long. Milliseconds. */
  readonly requestTimeoutMs?: number;
  /** A watch that says nothing for so long is opened anew. Milliseconds; default: a minute more than the longest watch. */
  readonly watchSilenceMs?: number;
  /** Longest answer (a page of a list), longest event. Bytes. */
  readonly maxAnswerBytes?: number;
  /** Objects in one page of a list. */
  readonly pageSize?: number;
  readonly minBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** Length of one watch as asked of the server: this to twice this. Milliseconds. */
  readonly watchMs?: number;
}

interface Listed {
  readonly items: readonly Resource[];
  readonly resourceVersion: string;
}

/** A source over an API server. Throws TypeError for a `baseUrl` that is none; connects when first used. */
export function createKubernetesSource(options: KubernetesSourceOptions): ResourceSource {
  const given = { ...KUBERNETES_DEFAULTS, ...options };
  const settings = { ...given, watchSilenceMs: options.watchSilenceMs ?? 2 * given.watchMs + 60_000 };
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

  async function page(
    kind: ResourceKind,
    selector: Selector | undefined,
    token: string,
    limit: number,
  ): Promise<Listed & { readonly next: string }> {
    const query = new URLSearchParams();
    addSelector(query, selector);
    if (limit > 0) query.set('limit', String(limit));
    if (token !== '') query.set('continue', token);
    const body = await client.call({ method: 'GET', path: collectionPath(kind, selector?.namespace), query });
    if (!isJsonObject(body) || !isJsonObject(body['metadata']))
      throw new ResourceError('ERR_UNAVAILABLE', 'the API server answered with no list');
    const items = Array.isArray(body['items']) ? (body['items'] as unknown[]) : [];
    const { resourceVersion, continue: next } = body['metadata'];
    return {
      items: items.map((item) => received(kind, item)),
      resourceVersion: typeof resourceVersion === 'string' ? resourceVersion : '',
      next: typeof next === 'string' ? next : '',
    };
  }

  async function listAll(kind: ResourceKind, selector: Selector | undefined): Promise<Listed> {
    const items: Resource[] = [];
    let token = '';
    try {
      for (;;) {
        const { items: more, resourceVersion, next } = await page(kind, selector, token, settings.pageSize);
        items.push(...more);
        if (next === '') return { items, resourceVersion };
        token = next;
      }
    } catch (error) {
      // The server forgot the list between two pages: take it in one piece.
      if (token !== '' && isResourceError(error) && error.status === 410) return page(kind, selector, '', 0);
      throw error;
    }
  }

  function watch<R extends Resource>(
    kind: ResourceKind<R>,
    selector: Selector | undefined,
    handler: (event: WatchEvent<R>) => void,
  ): Watch {
    const inner = new ListWatch(
      {
        client,
        kind,
        selector,
        project,
        timing,
        random,
        onRetry: (error, delayMs) => options.onRetry?.(kind, error, delayMs),
        list: () => listAll(kind, selector),
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
    list: async (kind, selector) => (await listAll(kind, selector)).items as never,
    watch,
    create: (kind, object) =>
      send(kind, { method: 'POST', path: collectionPath(kind, namespaceOf(kind, object.metadata.namespace)), body: object }),
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
    delete: async (kind, namespace, name) => {
      await client.call({ method: 'DELETE', path: objectPath(kind, namespace, name) });
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
