// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchLatestVersion } from './latest-version.ts';

let server: Server;
let url: string;
beforeAll(async () => {
  const answers: Readonly<Record<string, readonly [number, string]>> = {
    '/good': [200, '{"version": "v1.2.3"}'],
    '/gone': [404, 'no'],
    '/text': [200, 'hello'],
    '/odd': [200, '{"version": "\\u001b[31m"}'],
  };
  server = createServer((request, response) => {
    const [status, text] = answers[request.url ?? ''] ?? [500, ''];
    response.writeHead(status).end(text);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.closeAllConnections());

describe('[CK-11] the latest version', () => {
  it('is what the file says', async () => {
    expect(await fetchLatestVersion(`${url}/good`)).toBe('1.2.3');
  });

  it.each([
    ['/gone', 'it answered 404'],
    ['/text', 'the answer names no version'],
    ['/odd', 'the answer names no version'],
  ])('is unknown for %s', async (path, reason) => {
    await expect(fetchLatestVersion(`${url}${path}`)).rejects.toThrow(`Get "${url}${path}": ${reason}`);
  });

  it('is unknown where nobody answers', async () => {
    await expect(fetchLatestVersion('http://127.0.0.1:1/')).rejects.toThrow(/^Get "http:\/\/127\.0\.0\.1:1\/": /);
  });
});
