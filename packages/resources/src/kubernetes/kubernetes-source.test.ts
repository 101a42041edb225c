// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { ConfigMapKind, createKubernetesSource, isResourceError, metadataOnly } from '../index.ts';
import type { KubernetesSourceOptions, ResourceSource } from '../index.ts';

type Handler = (request: IncomingMessage, url: URL, response: ServerResponse) => void;

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A source over an API server that answers by `handler`. */
async function against(handler: Handler, options: Partial<KubernetesSourceOptions> = {}): Promise<ResourceSource> {
  const server = createServer((request, response) => handler(request, new URL(request.url ?? '/', 'http://api'), response));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  const source = createKubernetesSource({ baseUrl: `http://127.0.0.1:${port}`, minBackoffMs: 1, maxBackoffMs: 2, ...options });
  cleanups.push(async () => {
    await source.close();
    server.closeAllConnections();
    server.close();
  });
  return source;
}

const item = (name: string, resourceVersion = '1', uid = name): object => ({ metadata: { name, namespace: 'a', uid, resourceVersion } });
const list = (names: readonly string[], next?: string): string =>
  JSON.stringify({ metadata: { resourceVersion: '10', continue: next }, items: names.map((name) => item(name)) });
const status = (code: number, reason = ''): string => JSON.stringify({ kind: 'Status', code, reason, message: `${code} ${reason}` });
const isWatch = (url: URL): boolean => url.searchParams.get('watch') === 'true';

/** Collects the events of a watch until there are `count`. */
function collect(source: ResourceSource, count: number): Promise<string[]> {
  const lines: string[] = [];
  const { promise, resolve } = Promise.withResolvers<string[]>();
  source.watch(ConfigMapKind, { namespace: 'a' }, (event) => {
    lines.push(event.type === 'synced' ? 'synced' : `${event.type} ${event.object.metadata.name}`);
    if (lines.length === count) resolve(lines);
  });
  return promise;
}

describe('a list', () => {
  it('is read page by page', async () => {
    const pages = new Map([
      ['', list(['a', 'b'], 'two')],
      ['two', list(['c'])],
    ]);
    const limits: (string | null)[] = [];
    const source = await against(
      (_request, url, response) => {
        limits.push(url.searchParams.get('limit'));
        response.end(pages.get(url.searchParams.get('continue') ?? ''));
      },
      { pageSize: 2 },
    );
    expect((await source.list(ConfigMapKind)).map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c']);
    expect(limits).toEqual(['2', '2']);
  });

  it('is read in one piece where the server forgot it between two pages', async () => {
    const source = await against((_request, url, response) => {
      if (url.searchParams.has('continue')) response.writeHead(410).end(status(410, 'Expired'));
      else response.end(url.searchParams.has('limit') ? list(['a'], 'two') : list(['a', 'b']));
    });
    expect(await source.list(ConfigMapKind)).toHaveLength(2);
  });

  it('gives objects their kind and metadata, and drops managed fields and what a projection drops', async () => {
    const source = await against(
      (_request, _url, response) =>
        response.end(
          JSON.stringify({
            metadata: { resourceVersion: '1' },
            items: [{ ...item('a'), metadata: { name: 'a', managedFields: [{}] }, data: { x: 'y' } }],
          }),
        ),
      { project: ({ data: _data, ...rest }) => rest },
    );
    expect(await source.list(ConfigMapKind)).toEqual([
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: '', labels: {}, annotations: {} } },
    ]);
  });
});

describe('an error', () => {
  it.each<[number, string, string]>([
    [404, 'NotFound', 'ERR_NOT_FOUND'],
    [409, 'AlreadyExists', 'ERR_ALREADY_EXISTS'],
    [409, 'Conflict', 'ERR_CONFLICT'],
    [422, 'Invalid', 'ERR_INVALID'],
    [400, 'BadRequest', 'ERR_INVALID'],
    [401, 'Unauthorized', 'ERR_FORBIDDEN'],
    [403, 'Forbidden', 'ERR_FORBIDDEN'],
    [429, 'TooManyRequests', 'ERR_UNAVAILABLE'],
    [500, 'InternalError', 'ERR_UNAVAILABLE'],
  ])('of %d %s has the code %s', async (code, reason, expected) => {
    const source = await against((_request, _url, response) => response.writeHead(code).end(status(code, reason)));
    await expect(source.get(ConfigMapKind, 'a', 'c')).rejects.toMatchObject({
      code: expected,
      status: code,
      reason,
      message: `${code} ${reason}`,
    });
  });

  it.each<[string, Handler]>([
    ['an answer that is not JSON', (_request, _url, response) => response.end('<html>')],
    ['an answer that is no object', (_request, _url, response) => response.end('[]')],
    [
      'an answer that is cut',
      (_request, _url, response) => response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy()),
    ],
    ['an answer that is too long', (_request, _url, response) => response.end(JSON.stringify({ text: 'x'.repeat(200) }))],
    ['no answer', () => undefined],
    ['a connection that is closed', (request) => request.destroy()],
  ])('of %s is ERR_UNAVAILABLE', async (_name, handler) => {
    const source = await against(handler, { maxAnswerBytes: 100, requestTimeoutMs: 50 });
    await expect(source.get(ConfigMapKind, 'a', 'c')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
  });

  it('comes of a source that is closed', async () => {
    const source = await against((_request, _url, response) => response.end('{}'));
    await source.close();
    await expect(source.get(ConfigMapKind, 'a', 'c')).rejects.toSatisfy((error) => isResourceError(error, 'ERR_UNAVAILABLE'));
  });
});

describe('a request', () => {
  it('carries the token of the moment and a user agent', async () => {
    const seen: unknown[] = [];
    let token = 0;
    const source = await against(
      (request, _url, response) => {
        seen.push(request.headers.authorization, request.headers['user-agent']);
        response.end(JSON.stringify(item('c')));
      },
      { bearerToken: async () => `token-${(token += 1)}`, userAgent: 'weft/test' },
    );
    await source.get(ConfigMapKind, 'a', 'c');
    await source.get(ConfigMapKind, 'a', 'c');
    expect(seen).toEqual(['Bearer token-1', 'weft/test', 'Bearer token-2', 'weft/test']);
  });
});

describe('a server that asks to wait', () => {
  it.each(['GET', 'POST'])('gets its %s again, a bounded number of times', async (method) => {
    let calls = 0;
    const source = await against((_request, _url, response) => {
      calls += 1;
      response.writeHead(429, { 'retry-after': '0' }).end(status(429, 'TooManyRequests'));
    });
    const call =
      method === 'GET'
        ? source.get(ConfigMapKind, 'a', 'c')
        : source.create(ConfigMapKind, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'a' } });
    await expect(call).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE', status: 429, retryAfterMs: 0 });
    expect(calls).toBe(5);
  });

  it('makes a watch wait at least so long', async () => {
    const delays: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const source = await against(
      (_request, url, response) => {
        if (isWatch(url)) response.writeHead(503, { 'retry-after': '7' }).end(status(503));
        else response.end(list([]));
      },
      {
        maxBackoffMs: 9000,
        onRetry: (_kind, _error, delayMs) => {
          delays.push(delayMs);
          resolve();
        },
      },
    );
    source.watch(ConfigMapKind, undefined, () => undefined);
    await promise;
    expect(delays[0]).toBeGreaterThanOrEqual(7000);
  });
});

describe('a token that is refused', () => {
  it('is asked for again, once', async () => {
    const asked: boolean[] = [];
    const seen: unknown[] = [];
    const source = await against(
      (request, _url, response) => {
        seen.push(request.headers.authorization);
        if (request.headers.authorization === 'Bearer new') response.end(JSON.stringify(item('c')));
        else response.writeHead(401).end(status(401, 'Unauthorized'));
      },
      { bearerToken: async (wasRefused) => (asked.push(wasRefused), wasRefused ? 'new' : 'old') },
    );
    await source.get(ConfigMapKind, 'a', 'c');
    expect(asked).toEqual([false, true]);
    expect(seen).toEqual(['Bearer old', 'Bearer new']);
    const hopeless = await against((_request, _url, response) => response.writeHead(401).end(status(401, 'Unauthorized')), {
      bearerToken: async () => 'old',
    });
    await expect(hopeless.get(ConfigMapKind, 'a', 'c')).rejects.toMatchObject({ code: 'ERR_FORBIDDEN', status: 401 });
  });
});

describe('what is asked of the server', () => {
  it('are labels by value and by presence, and metadata where that is enough', async () => {
    const seen: unknown[] = [];
    const source = await against((request, url, response) => {
      seen.push([url.searchParams.get('labelSelector'), request.headers.accept]);
      response.end(list([]));
    });
    await source.list(ConfigMapKind, { labels: { app: 'web' }, hasLabels: ['example.com/meshed'] });
    await source.list(metadataOnly(ConfigMapKind));
    expect(seen).toEqual([
      ['app=web,example.com/meshed', 'application/json'],
      [null, 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json'],
    ]);
  });
});

describe('a watch', () => {
  it('tells how long ago a change was written, as its managed fields say', async () => {
    const lags: [string, number][] = [];
    const written = { managedFields: [{ time: '2026-01-01T00:00:00Z' }, { time: new Date(Date.now() - 5000).toISOString() }, {}] };
    const changed = { metadata: { name: 'a', namespace: 'a', uid: 'a', resourceVersion: '11', ...written } };
    const source = await against(
      (_request, url, response) => (isWatch(url) ? response.write(line('MODIFIED', changed)) : response.end(list(['a']))),
      { onLag: (kind, lagMs) => lags.push([kind.kind, lagMs]) },
    );
    await collect(source, 3);
    expect(lags).toEqual([['ConfigMap', expect.any(Number)]]);
    expect(lags[0]?.[1]).toBeGreaterThanOrEqual(5000);
    expect(lags[0]?.[1]).toBeLessThan(3_600_000);
  });

  it('may be closed at any moment of its beginning', async () => {
    const source = await against((_request, url, response) => (isWatch(url) ? undefined : response.end(list([]))));
    for (let turn = 0; turn < 30; turn += 1) {
      const watch = source.watch(ConfigMapKind, { namespace: 'a' }, () => undefined);
      for (let wait = 0; wait < turn; wait += 1) await new Promise((resolve) => setImmediate(resolve));
      watch.close();
    }
    expect((await source.list(ConfigMapKind)).length).toBe(0);
  });

  const line = (type: string, object: unknown): string => `${JSON.stringify({ type, object })}\n`;

  it('goes on after errors of every kind, from where it stood', async () => {
    const versions: (string | null)[] = [];
    const answers: ((response: ServerResponse) => void)[] = [
      (response) => response.writeHead(503).end(status(503)),
      (response) => response.end('not JSON\n'),
      (response) => response.end(line('ADDED', 7)),
      (response) => response.write(line('ADDED', item('b', '11')), () => response.destroy()),
      (response) => response.end(line('BOOKMARK', { metadata: { resourceVersion: '12' } })),
      (response) => response.end(line('ERROR', { code: 500, message: 'later' })),
      // Both are known: a server that repeats itself.
      (response) => response.end(line('ADDED', item('b', '11')) + line('MODIFIED', item('b', '13'))),
      (response) => response.write(line('DELETED', item('b', '14')) + line('DELETED', item('b', '14')) + line('ADDED', item('c', '15'))),
    ];
    const source = await against((_request, url, response) => {
      if (!isWatch(url)) response.end(list(['a']));
      else {
        versions.push(url.searchParams.get('resourceVersion'));
        answers.shift()?.(response);
      }
    });
    expect(await collect(source, 6)).toEqual(['added a', 'synced', 'added b', 'modified b', 'deleted b', 'added c']);
    expect(versions).toEqual(['10', '10', '10', '10', '11', '12', '12', '13']);
  });

  it('lists again where the server says 410 by status or by event, and tells only the differences', async () => {
    const lists = [
      list(['a', 'b']),
      list(['b', 'c']),
      JSON.stringify({ metadata: { resourceVersion: '30' }, items: [item('b', '1', 'another'), item('c')] }),
    ];
    const answers: ((response: ServerResponse) => void)[] = [
      (response) => response.writeHead(410).end(status(410, 'Expired')),
      (response) => response.end(line('ERROR', { code: 410, reason: 'Expired' })),
      (response) => response.write(line('ADDED', item('end', '31'))),
    ];
    const source = await against((_request, url, response) => (isWatch(url) ? answers.shift()?.(response) : response.end(lists.shift())));
    expect(await collect(source, 8)).toEqual([
      'added a',
      'added b',
      'synced',
      'deleted a',
      'added c',
      // Another object of the same name.
      'deleted b',
      'added b',
      'added end',
    ]);
  });

  it('waits until it can list, longer each time, and says so', async () => {
    let calls = 0;
    const delays: number[] = [];
    const source = await against(
      (_request, url, response) => {
        calls += 1;
        if (isWatch(url)) return;
        if (calls < 5) response.writeHead(calls < 3 ? 404 : 500).end(status(404));
        else response.end(list(['a']));
      },
      { minBackoffMs: 1, maxBackoffMs: 4, random: () => 0, onRetry: (_kind, _error, delayMs) => delays.push(delayMs) },
    );
    expect(await collect(source, 2)).toEqual(['added a', 'synced']);
    expect(delays).toEqual([0.5, 1, 2, 2]);
  });

  it('gives up a connection that has gone silent', async () => {
    let watches = 0;
    const source = await against(
      (_request, url, response) => {
        if (!isWatch(url)) response.end(list([]));
        else {
          watches += 1;
          response.writeHead(200);
          if (watches === 1) response.flushHeaders();
          else response.write(line('ADDED', item('a', '11')));
        }
      },
      { watchSilenceMs: 20 },
    );
    expect(await collect(source, 2)).toEqual(['synced', 'added a']);
  });
});
