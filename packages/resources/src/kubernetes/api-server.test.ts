// SPDX-License-Identifier: Apache-2.0
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';

import { afterEach, describe, expect, it } from 'vitest';

import { createMemorySource, serveKubernetesApi } from '../index.ts';
import type { ApiServer, ApiServerOptions, LocalSource } from '../index.ts';
import { LineSplitter } from './line-splitter.ts';
import { parseResourcePath } from './resource-path.ts';

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

interface Served {
  readonly source: LocalSource;
  readonly server: ApiServer;
  readonly send: (method: string, path: string, body?: unknown, contentType?: string) => Promise<{ status: number; body: never }>;
}

async function served(options: Partial<ApiServerOptions> = {}): Promise<Served> {
  const source = createMemorySource();
  const server = await serveKubernetesApi(source, { listen: { host: '127.0.0.1', port: 0 }, ...options });
  cleanups.push(() => server.close());
  return {
    source,
    server,
    send: async (method, path, body, contentType = 'application/json') => {
      const answer = await fetch(`${server.url}${path}`, {
        method,
        ...(body === undefined
          ? {}
          : { body: typeof body === 'string' ? body : JSON.stringify(body), headers: { 'content-type': contentType } }),
      });
      const text = await answer.text();
      return { status: answer.status, body: (text.startsWith('{') ? JSON.parse(text) : text) as never };
    },
  };
}

const configMap = (name: string, data = {}): Record<string, unknown> => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
const CONFIG_MAPS = '/api/v1/namespaces/a/configmaps';

describe('the HTTP face', () => {
  it('tells which kinds it serves', async () => {
    const { send } = await served();
    expect((await send('GET', '/readyz')).body).toBe('ok');
    expect((await send('GET', '/api')).body).toMatchObject({ versions: ['v1'] });
    expect((await send('GET', '/apis')).body).toMatchObject({ kind: 'APIGroupList' });
    const { body } = await send('GET', '/apis/policy.linkerd.io/v1alpha1');
    expect(body).toMatchObject({ kind: 'APIResourceList', groupVersion: 'policy.linkerd.io/v1alpha1' });
    expect((body as { resources: { name: string }[] }).resources.map(({ name }) => name)).toContain('egressnetworks/status');
    expect((await send('GET', '/apis/none.example.com/v1')).status).toBe(404);
  });

  it('takes the namespace from the path and leaves out empty metadata', async () => {
    const { send } = await served();
    const { status, body } = await send('POST', CONFIG_MAPS, configMap('c', { a: '1' }));
    expect(status).toBe(201);
    const { metadata } = body as { metadata: Record<string, unknown> };
    expect(Object.keys(metadata).sort()).toEqual(['creationTimestamp', 'name', 'namespace', 'resourceVersion', 'uid']);
    expect((await send('GET', '/api/v1/namespaces/a')).body).toMatchObject({ kind: 'Namespace', metadata: { name: 'a' } });
    expect((await send('GET', '/api/v1/configmaps')).body).toMatchObject({ kind: 'ConfigMapList', items: [{ data: { a: '1' } }] });
  });

  it.each<[string, string, string, unknown, string, number]>([
    ['an unknown path', 'GET', '/metrics', undefined, '', 404],
    ['an unknown kind', 'GET', '/api/v1/things', undefined, '', 404],
    ['an unknown subresource', 'PUT', `${CONFIG_MAPS}/c/scale`, configMap('c'), 'application/json', 404],
    ['a body that is not JSON', 'POST', CONFIG_MAPS, '{', 'application/json', 400],
    ['a body that is no object', 'POST', CONFIG_MAPS, '[]', 'application/json', 400],
    [
      'another namespace in the body',
      'POST',
      CONFIG_MAPS,
      { ...configMap('c'), metadata: { name: 'c', namespace: 'b' } },
      'application/json',
      400,
    ],
    ['another name in the body', 'PUT', `${CONFIG_MAPS}/d`, configMap('c'), 'application/json', 400],
    ['another kind in the body', 'POST', CONFIG_MAPS, { ...configMap('c'), kind: 'Secret' }, 'application/json', 400],
    [
      'a create with a version',
      'POST',
      CONFIG_MAPS,
      { ...configMap('c'), metadata: { name: 'c', resourceVersion: '7' } },
      'application/json',
      400,
    ],
    ['an object that breaks the rules', 'POST', CONFIG_MAPS, configMap('C'), 'application/json', 422],
    ['a patch of a kind that is not served', 'PATCH', `${CONFIG_MAPS}/c`, [], 'application/json-patch+json', 415],
    ['an apply without manager', 'PATCH', `${CONFIG_MAPS}/c`, configMap('c'), 'application/apply-patch+yaml', 400],
    ['the deletion of a collection', 'DELETE', CONFIG_MAPS, undefined, '', 405],
    ['a selector by sets', 'GET', `${CONFIG_MAPS}?labelSelector=a%20in%20(b)`, undefined, '', 400],
    ['a selector by other fields', 'GET', `${CONFIG_MAPS}?fieldSelector=spec.x%3Dy`, undefined, '', 400],
    ['a body that is too long', 'POST', CONFIG_MAPS, configMap('c', { a: 'x'.repeat(2000) }), 'application/json', 413],
  ])('answers %s with a Status', async (_name, method, path, body, contentType, code) => {
    const { send } = await served({ maxBodyBytes: 1000 });
    const answer = await send(method, path, body, contentType);
    expect(answer.status).toBe(code);
    expect(answer.body).toMatchObject({ kind: 'Status', status: 'Failure', code });
  });

  it('stores nothing in a dry run', async () => {
    const { send, source } = await served();
    await send('POST', CONFIG_MAPS, configMap('c'));
    await send('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('d'));
    await send('DELETE', `${CONFIG_MAPS}/c?dryRun=All`);
    expect(source.store.list({ group: '', version: 'v1', kind: 'ConfigMap' }).map(({ metadata }) => metadata.name)).toEqual(['c']);
  });

  it('applies YAML, and refuses to take fields unless forced', async () => {
    const { send } = await served();
    const apply = (manager: string, value: string, query = ''): Promise<{ status: number; body: never }> =>
      send(
        'PATCH',
        `${CONFIG_MAPS}/c?fieldManager=${manager}${query}`,
        `apiVersion: v1\nkind: ConfigMap\ndata: {a: "${value}"}\nmetadata: {}\n`,
        'application/apply-patch+yaml',
      );
    expect((await apply('one', '1')).status).toBe(200);
    expect((await apply('two', '2')).status).toBe(409);
    expect((await apply('two', '2', '&force=true')).body).toMatchObject({ data: { a: '2' } });
  });

  it('deletes only what a precondition names', async () => {
    const { send } = await served();
    await send('POST', CONFIG_MAPS, configMap('c'));
    expect((await send('DELETE', `${CONFIG_MAPS}/c`, { preconditions: { uid: 'another' } })).status).toBe(409);
    expect((await send('DELETE', `${CONFIG_MAPS}/c`)).body).toMatchObject({ status: 'Success' });
  });

  it('is not left hanging by watches when it closes', async () => {
    const { server } = await served();
    const response = await openWatch(`${server.url}${CONFIG_MAPS}?watch=true`);
    const { promise, resolve } = Promise.withResolvers<void>();
    response.on('error', () => undefined).on('close', resolve);
    await server.close();
    await promise;
    await expect(fetch(server.url)).rejects.toThrow(TypeError);
  });
});

function openWatch(url: string): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  httpRequest(url, resolve).on('error', reject).end();
  return promise;
}

describe('a watch answer', () => {
  async function linesOf(url: string): Promise<string[]> {
    const splitter = new LineSplitter(1_000_000);
    const lines: string[] = [];
    for await (const chunk of (await openWatch(url)) as AsyncIterable<Buffer>) lines.push(...(splitter.push(chunk) ?? []));
    return lines.map((line) => {
      const { type, object } = JSON.parse(line) as { type: string; object: { code?: number; metadata: { name?: string } } };
      return `${type} ${object.code ?? object.metadata.name ?? ''}`.trim();
    });
  }

  it('begins with the present state, ends in time, with a bookmark for who wants it', async () => {
    const { server, send } = await served({ watchTimeoutMs: 50 });
    await send('POST', CONFIG_MAPS, configMap('c'));
    expect(await linesOf(`${server.url}${CONFIG_MAPS}?watch=1&allowWatchBookmarks=true`)).toEqual(['ADDED c', 'BOOKMARK']);
    expect(await linesOf(`${server.url}${CONFIG_MAPS}?watch=true`)).toEqual(['ADDED c']);
  });

  it('begins after a version, or says that it is gone', async () => {
    const { server, send, source } = await served({ watchTimeoutMs: 50 });
    await send('POST', CONFIG_MAPS, configMap('c'));
    const { revision } = source.store.log;
    await send('POST', CONFIG_MAPS, configMap('d'));
    await send('DELETE', `${CONFIG_MAPS}/c`);
    const from = (version: string | number): Promise<string[]> =>
      linesOf(`${server.url}${CONFIG_MAPS}?watch=true&resourceVersion=${version}`);
    expect(await from(revision)).toEqual(['ADDED d', 'DELETED c']);
    source.store.log.compact();
    expect(await from(revision)).toEqual(['ERROR 410']);
    expect(await from('x')).toEqual(['ERROR 410']);
  });

  it('is cut when its reader is too slow', async () => {
    const { server, source } = await served({ maxPendingBytes: 10_000 });
    const response = await openWatch(`${server.url}${CONFIG_MAPS}?watch=true`);
    const { promise, resolve } = Promise.withResolvers<void>();
    response.on('error', () => undefined).on('close', resolve);
    for (let index = 0; index < 200; index += 1) {
      source.store.create(
        { group: '', version: 'v1', kind: 'ConfigMap' },
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `c${index}`, namespace: 'a' }, data: { a: 'x'.repeat(100_000) } },
      );
    }
    response.resume();
    await promise;
    expect(response.complete).toBe(false);
  });
});

describe('parseResourcePath', () => {
  it.each<[string, unknown]>([
    ['/api/v1', { group: '', version: 'v1', namespace: '' }],
    ['/api/v1/pods', { group: '', version: 'v1', namespace: '', plural: 'pods' }],
    ['/api/v1/namespaces', { group: '', version: 'v1', namespace: '', plural: 'namespaces' }],
    ['/api/v1/namespaces/a', { group: '', version: 'v1', namespace: '', plural: 'namespaces', name: 'a' }],
    ['/api/v1/namespaces/a/status', { group: '', version: 'v1', namespace: '', plural: 'namespaces', name: 'a', subresource: 'status' }],
    ['/api/v1/namespaces/a/pods', { group: '', version: 'v1', namespace: 'a', plural: 'pods' }],
    [
      '/apis/g.io/v2/namespaces/a/things/x%20y/status',
      { group: 'g.io', version: 'v2', namespace: 'a', plural: 'things', name: 'x y', subresource: 'status' },
    ],
    ['/apis/g.io/v2/things/x/y/z', undefined],
    ['/apis/g.io', undefined],
    ['/', undefined],
  ])('%s', (path, expected) => {
    expect(parseResourcePath(path)).toEqual(expected);
  });
});
