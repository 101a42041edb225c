// SPDX-License-Identifier: Apache-2.0
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { randomToken, validateRedirect } from '../index.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function serve(onConnection: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onConnection(socket);
  });
  cleanups.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('validateRedirect', () => {
  it('[NET-10] succeeds when the connection comes back to its own listener', async () => {
    const listen = { host: '127.0.0.1', port: await freePort() };
    expect(await validateRedirect({ connect: listen, listen, timeoutMs: 10_000 })).toEqual({ isRedirected: true });
  });

  const others: [string, (socket: Socket) => void, number, string][] = [
    ['sends another token', (socket) => socket.end(randomToken()), 10_000, 'another token'],
    ['sends more and more', (socket) => socket.write(Buffer.alloc(1 << 16)), 10_000, 'another token'],
    ['closes', (socket) => socket.end(), 10_000, 'closed without a word'],
    ['says nothing', () => undefined, 50, 'not with the token, within 50 ms'],
  ];
  it.each(others)('[NET-10] fails when something else answers and %s', async (_name, onConnection, timeoutMs, reason) => {
    const outcome = await validateRedirect({
      connect: await serve(onConnection),
      listen: { host: '127.0.0.1', port: await freePort() },
      timeoutMs,
    });
    expect(outcome).toEqual({ isRedirected: false, reason: expect.stringContaining(reason) });
  });

  it('[NET-10] fails when nobody answers', async () => {
    const outcome = await validateRedirect({
      connect: { host: '127.0.0.1', port: await freePort() },
      listen: { host: '127.0.0.1', port: await freePort() },
      timeoutMs: 10_000,
    });
    expect(outcome).toEqual({ isRedirected: false, reason: expect.stringContaining('ECONNREFUSED') });
  });

  it('rejects when it cannot listen', async () => {
    const taken = await serve(() => undefined);
    await expect(validateRedirect({ connect: taken, listen: taken, timeoutMs: 10_000 })).rejects.toThrow('EADDRINUSE');
  });
});

describe('randomToken', () => {
  it('has 63 characters and a line feed, and never comes twice', () => {
    const tokens = new Set(Array.from({ length: 100 }, randomToken));
    expect(tokens.size).toBe(100);
    for (const token of tokens) expect(token).toMatch(/^[0-9a-f]{63}\n$/);
  });
});
