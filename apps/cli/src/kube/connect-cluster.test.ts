// SPDX-License-Identifier: Apache-2.0
/* What goes over the wire: credentials, impersonation, pages, errors; connections are kept. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeKind } from '@weft/resources';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { GlobalOptions } from '../command-context.ts';
import type { Cluster } from './cluster.ts';
import { connectCluster } from './connect-cluster.ts';

let server: Server;
let directory: string;
let connections: number;
let requests: IncomingMessage[];
let answer: (request: IncomingMessage) => readonly [number, string];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weft-connect-'));
  connections = 0;
  requests = [];
  answer = () => [200, '{}'];
  server = createServer((request, response) => {
    requests.push(request);
    const [status, body] = answer(request);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  server.on('connection', () => (connections += 1));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
});
afterEach(() => {
  server.close();
  server.closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

function connect(globals: Partial<GlobalOptions> = {}, path = ''): Promise<Cluster> {
  const kubeconfig = join(directory, 'kubeconfig');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server: url } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user: { token: 'secret' } }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return connectCluster({
    linkerdNamespace: 'linkerd',
    cniNamespace: 'linkerd-cni',
    asGroup: [],
    isVerbose: false,
    kubeconfig,
    ...globals,
  });
}

describe('calls to a cluster', () => {
  it('[CLI-01] carry the token, and whom to impersonate, over one connection', async () => {
    const cluster = await connect({ as: 'me', asGroup: ['one', 'two'] });
    for (let count = 0; count < 5; count += 1) await cluster.call({ method: 'GET', path: '/version' });
    expect(connections).toBe(1);
    for (const { headers, rawHeaders } of requests) {
      expect(headers).toMatchObject({ authorization: 'Bearer secret', 'impersonate-user': 'me' });
      expect(rawHeaders.filter((_text, at) => rawHeaders[at - 1] === 'Impersonate-Group')).toEqual(['one', 'two']);
    }
    cluster.close();
  });

  it('go below the path of the server', async () => {
    const cluster = await connect({}, '/k8s/clusters/c-1/');
    await cluster.call({ method: 'GET', path: '/version' });
    expect(requests[0]?.url).toBe('/k8s/clusters/c-1/version');
  });

  it('read a list to its last page', async () => {
    const page = (name: string, token: string): string =>
      JSON.stringify({ kind: 'NodeList', metadata: { continue: token }, items: [{ metadata: { name } }] });
    answer = ({ url = '' }) => [200, url.includes('continue=more') ? page('b', '') : page('a', 'more')];
    const cluster = await connect();
    const nodes = await cluster.list(NodeKind, { labelSelector: 'a=b,c' });
    expect(nodes.map(({ kind, metadata }) => [kind, metadata.name, metadata.labels])).toEqual([
      ['Node', 'a', {}],
      ['Node', 'b', {}],
    ]);
    expect(requests[0]?.url).toBe('/api/v1/nodes?limit=500&labelSelector=a%3Db%2Cc');
  });

  it.each<[number, string, object]>([
    [
      404,
      '{"kind":"Status","message":"nodes \\"x\\" not found","reason":"NotFound"}',
      { code: 'ERR_NOT_FOUND', message: 'nodes "x" not found' },
    ],
    [403, '{"kind":"Status","message":"no"}', { code: 'ERR_FORBIDDEN', message: 'no' }],
    [401, 'Unauthorized\n', { code: 'ERR_FORBIDDEN', message: 'Unauthorized' }],
    [500, '', { code: 'ERR_UNAVAILABLE', message: 'the API server answered 500' }],
    [200, '<html>', { code: 'ERR_UNAVAILABLE', message: 'the API server answered with something that is not JSON' }],
    [200, '[]', { code: 'ERR_UNAVAILABLE', message: 'the API server answered with no object' }],
  ])('answered with %d %j are errors', async (status, body, error) => {
    answer = () => [status, body];
    const cluster = await connect();
    await expect(cluster.get(NodeKind, '', 'x')).rejects.toMatchObject(error);
  });

  it('that nobody answers say why', async () => {
    const cluster = await connect();
    server.close();
    server.closeAllConnections();
    await expect(cluster.call({ method: 'GET', path: '/version' })).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
      message: expect.stringMatching(/^cannot reach the API server: .*ECONNREFUSED/) as string,
    });
  });
});
