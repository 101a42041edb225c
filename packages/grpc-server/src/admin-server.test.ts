// SPDX-License-Identifier: Apache-2.0
import { connect } from 'node:net';

import { describe, expect, it } from 'vitest';

import { startAdminServer } from './admin-server.ts';

describe('admin server', () => {
  it('answers health and metrics', async () => {
    let isReady = false;
    const admin = await startAdminServer('127.0.0.1', 0, { isReady: () => isReady, metrics: () => Promise.resolve('up 1\n') });
    const get = async (path: string, method = 'GET'): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${admin.port}${path}`, { method });
      return [response.status, await response.text()];
    };
    expect(await get('/live')).toEqual([200, 'live\n']);
    expect(await get('/ping')).toEqual([200, 'pong\n']);
    expect(await get('/ready')).toEqual([500, 'not ready\n']);
    isReady = true;
    expect(await get('/ready?verbose')).toEqual([200, 'ok\n']);
    expect(await get('/metrics')).toEqual([200, 'up 1\n']);
    expect(await get('/nothing')).toEqual([404, 'not found\n']);
    expect((await get('/ready', 'POST'))[0]).toBe(405);
    expect(await get('/metrics', 'HEAD')).toEqual([200, '']);
    await admin.close();
  });

  it('answers 500 without the reason when the metrics page fails', async () => {
    const admin = await startAdminServer('127.0.0.1', 0, {
      isReady: () => true,
      metrics: () => {
        throw new Error('secret');
      },
    });
    const response = await fetch(`http://127.0.0.1:${admin.port}/metrics`);
    expect([response.status, await response.text()]).toEqual([500, 'metrics are unavailable\n']);
    await admin.close();
  });

  it('survives request targets that are no URL', async () => {
    const admin = await startAdminServer('127.0.0.1', 0, { isReady: () => true, metrics: () => '' });
    for (const target of ['//', '//[', '*', 'http://[::1']) {
      const status = await new Promise<string>((resolve) => {
        const socket = connect(admin.port, '127.0.0.1', () =>
          socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`),
        );
        let text = '';
        socket.on('data', (chunk) => (text += chunk.toString('latin1')));
        socket.on('close', () => resolve(text.split('\r\n', 1)[0] ?? ''));
      });
      expect(status).toMatch(/^HTTP\/1\.1 40[04]/);
    }
    await admin.close();
  });

  it('rejects when the address cannot be bound', async () => {
    const admin = await startAdminServer('127.0.0.1', 0, { isReady: () => true, metrics: () => '' });
    await expect(startAdminServer('127.0.0.1', admin.port, { isReady: () => true, metrics: () => '' })).rejects.toThrow('EADDRINUSE');
    await admin.close();
  });
});
