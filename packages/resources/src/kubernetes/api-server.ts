// SPDX-License-Identifier: Apache-2.0
/*
 * A store in the dialect of a Kubernetes API server, so that several processes share one world, and so that a client of a real API server
 * can be tested without one. Served: discovery of kinds, get, list, watch, create, replace, merge patch, apply, the status subresource and
 * delete, of every kind of the store. Not served: authorization, paging, JSON and strategic merge patches, deletion of collections,
 * protobuf. Listen on a unix socket or on loopback: who can connect can do everything. Source: Kubernetes API concepts.
 */
import { chmod, lstat, rm } from 'node:fs/promises';
import { Buffer } from 'node:buffer';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { isResourceError, ResourceError } from '../errors.ts';
import type { JsonObject } from '../json-values.ts';
import { apiVersionOf } from '../kinds/registry.ts';
import type { LocalSource } from '../local-source.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { ResourceType } from '../store/resource-type.ts';
import type { Resource } from '../types.ts';
import type { ApiRequest } from './api-request.ts';
import { discoveryAnswer } from './discovery-answer.ts';
import { readBody } from './request-body.ts';
import { parseResourcePath } from './resource-path.ts';
import type { ResourcePath } from './resource-path.ts';
import { selectorOf } from './selector-query.ts';
import { statusOf } from './status-answer.ts';
import { answerWatch } from './watch-answer.ts';
import { toWire } from './wire-object.ts';
import { answerWrite } from './write-answer.ts';

/** Named limits of the HTTP face. */
export const API_SERVER_DEFAULTS: {
  readonly maxBodyBytes: number;
  readonly bookmarkMs: number;
  readonly maxPendingBytes: number;
  readonly watchTimeoutMs: number;
} = { maxBodyBytes: 3 * 1024 * 1024, bookmarkMs: 60_000, maxPendingBytes: 16 * 1024 * 1024, watchTimeoutMs: 30 * 60_000 };

/** Where and how to serve. */
export interface ApiServerOptions {
  /** A unix socket (a socket file left there is replaced; mode 0600), or a host and port (0 for any). */
  readonly listen: { readonly socketPath: string } | { readonly host: string; readonly port: number };
  readonly maxBodyBytes?: number;
  /** Between bookmarks on a watch that asked for them. */
  readonly bookmarkMs?: number;
  /** Bytes that may wait for a slow watcher before it is cut off. */
  readonly maxPendingBytes?: number;
  /** Longest watch, and that of a client that names no time. */
  readonly watchTimeoutMs?: number;
}

/** A running HTTP face. */
export interface ApiServer {
  /** `http://host:port`, or `unix:/path`: what `createKubernetesSource` takes as `baseUrl`. */
  readonly url: string;
  /** Cuts all connections and stops listening. */
  close(): Promise<void>;
  /** Cuts all connections and goes on listening. */
  disconnectAll(): void;
}

type Settings = typeof API_SERVER_DEFAULTS;

/** Answers JSON. */
function answer(response: ServerResponse, status: number, body: JsonObject): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function typeAt(store: ObjectStore, path: ResourcePath): ResourceType | undefined {
  for (const type of store.resourceTypes) {
    if (type.group === path.group && type.plural === path.plural && type.versions.has(path.version)) return type;
  }
  return undefined;
}

function listAnswer({ store, gvk, path, query }: ApiRequest): JsonObject {
  const items = store.list(gvk, selectorOf(query, path.namespace));
  return {
    kind: `${gvk.kind}List`,
    apiVersion: apiVersionOf(gvk),
    metadata: { resourceVersion: String(store.log.revision) },
    items: items.map((item: Resource) => toWire(item)),
  };
}

async function dispatch(store: ObjectStore, settings: Settings, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://api');
  const found = discoveryAnswer(store, url.pathname);
  if (typeof found === 'string') {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(found);
    return;
  }
  if (found !== undefined) {
    answer(response, 200, found);
    return;
  }
  const path = parseResourcePath(url.pathname);
  const type = path === undefined ? undefined : typeAt(store, path);
  if (path === undefined || type === undefined)
    throw new ResourceError('ERR_NOT_FOUND', 'the server could not find the requested resource');
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
  const api: ApiRequest = {
    store,
    type,
    gvk: { group: type.group, version: path.version, kind: type.kind },
    path,
    query: url.searchParams,
    method: request.method ?? '',
    contentType,
    body: await readBody(request, settings.maxBodyBytes, contentType),
  };
  if (api.method !== 'GET') {
    const { status, body } = answerWrite(api);
    answer(response, status, body);
  } else if (path.name !== undefined) answer(response, 200, toWire(store.get(api.gvk, path.namespace, path.name)));
  else if (['true', '1'].includes(api.query.get('watch') ?? '')) {
    const seconds = Number(api.query.get('timeoutSeconds') ?? '0');
    answerWatch(
      store,
      response,
      {
        gvk: api.gvk,
        selector: selectorOf(api.query, path.namespace),
        resourceVersion: api.query.get('resourceVersion') ?? '',
        wantsBookmarks: api.query.get('allowWatchBookmarks') === 'true',
        timeoutMs: seconds > 0 ? Math.min(seconds * 1000, settings.watchTimeoutMs) : settings.watchTimeoutMs,
      },
      settings,
    );
  } else answer(response, 200, listAnswer(api));
}

async function handle(store: ObjectStore, settings: Settings, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    await dispatch(store, settings, request, response);
  } catch (error) {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const known = isResourceError(error)
      ? error
      : new ResourceError('ERR_UNAVAILABLE', 'internal error', { status: 500, reason: 'InternalError', cause: error });
    // The rest of an over-long body is not read, so the connection cannot go on.
    if (known.status === 413) response.setHeader('connection', 'close');
    answer(response, known.status, statusOf(known));
  }
}

async function listen(server: Server, where: ApiServerOptions['listen']): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  if ('socketPath' in where) {
    const stats = await lstat(where.socketPath).catch(() => undefined);
    if (stats?.isSocket() === true) await rm(where.socketPath, { force: true });
    server.listen(where.socketPath, resolve);
  } else server.listen(where.port, where.host, resolve);
  await promise;
  server.removeListener('error', reject);
  if ('socketPath' in where) {
    await chmod(where.socketPath, 0o600);
    return `unix:${where.socketPath}`;
  }
  const { port } = server.address() as AddressInfo;
  return `http://${where.host.includes(':') ? `[${where.host}]` : where.host}:${port}`;
}

/** Serves the store of a local source; the source stays the caller's to close. Rejects where it cannot listen. */
export async function serveKubernetesApi(source: Pick<LocalSource, 'store'>, options: ApiServerOptions): Promise<ApiServer> {
  const { listen: where, ...given } = options;
  const settings: Settings = { ...API_SERVER_DEFAULTS, ...given };
  const server = createServer((request, response) => void handle(source.store, settings, request, response));
  const url = await listen(server, where);
  return {
    url,
    disconnectAll: () => server.closeAllConnections(),
    close: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeAllConnections();
      return promise;
    },
  };
}
