// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { createMemorySource, serveKubernetesApi, type ResourceInput } from '@weft/resources';
import { afterEach, describe, expect, it } from 'vitest';

const appDirectory = fileURLToPath(new URL('../..', import.meta.url));
const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const CONFIG: ResourceInput = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'linkerd-config', namespace: 'linkerd' },
  data: { values: 'linkerdVersion: 0.1.0\n' },
};
const EXTENSION: ResourceInput = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'linkerd-viz', labels: { 'linkerd.io/extension': 'viz' } },
};

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Someone who is told, and what it was told. */
async function listener(status: number): Promise<{ url: string; told: URLSearchParams[] }> {
  const told: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    told.push(new URL(request.url ?? '/', 'http://here').searchParams);
    response.writeHead(status).end('{}');
  });
  return { url: `${await listen(server)}/version.json`, told };
}

/** A Prometheus that knows one thing. */
async function prometheus(known: string): Promise<string> {
  return listen(
    createServer((request, response) => {
      const query = new URL(request.url ?? '/', 'http://here').searchParams.get('query') ?? '';
      const result = query.includes(known) ? [{ metric: {}, value: [0, '12.5'] }] : [];
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'vector', result } }));
    }),
  );
}

async function run(objects: readonly ResourceInput[], args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const world = createMemorySource({ objects });
  const api = await serveKubernetesApi(world, { listen: { host: '127.0.0.1', port: 0 } });
  cleanups.push(
    () => world.close(),
    () => api.close(),
  );
  const child = spawn(process.execPath, ['--conditions=weft-source', 'src/main.ts', 'heartbeat', '--resources', api.url, ...args], {
    cwd: appDirectory,
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number | null]>]);
  return { code, output };
}

describe('[DBG-06] the heartbeat', () => {
  it('tells versions, extensions and what Prometheus knows, once', async () => {
    const { url, told } = await listener(200);
    const at = await prometheus('request_total{');
    const { code } = await run([CONFIG, EXTENSION], ['-controller-namespace=linkerd', `-prometheus-url=${at}`, `--url=${url}`]);
    expect(code).toBe(0);
    expect(told).toHaveLength(1);
    const facts = Object.fromEntries(told[0] ?? []);
    expect(facts).toMatchObject({
      source: 'heartbeat',
      version: '0.1.0',
      'ext-viz': '1',
      'service-profile-count': '0',
      'total-rps': '12.5',
      uuid: expect.stringMatching(/.+/) as string,
      'k8s-version': expect.stringMatching(/^v1\./) as string,
    });
    expect(facts).not.toHaveProperty('meshed-pods');
  });

  it('sends nothing where no URL is configured, and does without Prometheus', async () => {
    const { code, output } = await run([CONFIG], ['-prometheus-url=http://127.0.0.1:9']);
    expect(output).toMatch(/nothing is sent/);
    expect(code).toBe(0);
  });

  it('fails on an answer that is not 200, and without an installation', async () => {
    const { url } = await listener(500);
    expect((await run([CONFIG], [`--url=${url}`])).code).toBe(1);
    expect((await run([], [])).code).toBe(1);
  });
});
