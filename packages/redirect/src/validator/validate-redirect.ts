// SPDX-License-Identifier: Apache-2.0
/*
 * Whether connections of this network namespace arrive at the proxy's port (proxy-contract §10.4): listen where the proxy will, connect
 * to somewhere else, and see whether the token that the listener hands out comes back. A pod whose rules are missing must not start its
 * application, for it would run outside the mesh.
 */
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { SocketAddress } from './flags.ts';

/** What to try, and for how long. */
export interface ValidateOptions {
  readonly connect: SocketAddress;
  readonly listen: SocketAddress;
  readonly timeoutMs: number;
}

/** `reason` says what was seen instead, for a log line. */
export type ValidateOutcome = { readonly isRedirected: true } | { readonly isRedirected: false; readonly reason: string };

/** 63 characters and a line feed, as the reference's validator has it. */
const TOKEN_BYTES = 64;

/** A token that nobody else would send. */
export function randomToken(): string {
  return `${randomBytes(TOKEN_BYTES / 2)
    .toString('hex')
    .slice(0, TOKEN_BYTES - 1)}\n`;
}

/** Tries once. Rejects when it cannot listen, which says nothing about the rules. */
export async function validateRedirect(options: ValidateOptions): Promise<ValidateOutcome> {
  const token = randomToken();
  const accepted = new Set<Socket>();
  const server = createServer((socket) => {
    accepted.add(socket);
    // Whoever else connected may go away as it likes.
    socket.on('error', () => undefined).on('close', () => accepted.delete(socket));
    socket.end(token);
  });
  await listenOn(server, options.listen);
  try {
    return await readToken(options, token);
  } finally {
    server.close();
    for (const socket of accepted) socket.destroy();
  }
}

function listenOn(server: Server, { host, port }: SocketAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  return promise;
}

function readToken(options: ValidateOptions, token: string): Promise<ValidateOutcome> {
  const { promise, resolve } = Promise.withResolvers<ValidateOutcome>();
  const { host, port } = options.connect;
  const to = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const socket = connect({ host, port });
  let isConnected = false;
  let received = '';
  const fail = (reason: string): void => resolve({ isRedirected: false, reason });
  const judge = (): void => {
    if (received === token) resolve({ isRedirected: true });
    else
      fail(
        `the connection to ${to} reached something else: ${received.length === 0 ? 'it closed without a word' : 'it sent another token'}`,
      );
  };
  const timer = setTimeout(
    () =>
      fail(
        isConnected
          ? `${to} answered, but not with the token, within ${options.timeoutMs} ms`
          : `no connection to ${to} within ${options.timeoutMs} ms`,
      ),
    options.timeoutMs,
  );
  socket.setEncoding('latin1');
  socket.on('connect', () => (isConnected = true));
  socket.on('data', (text: string) => {
    received += text;
    if (received.length >= TOKEN_BYTES) judge();
  });
  socket.on('end', judge);
  socket.on('error', (error) => fail(`the connection to ${to} failed: ${error.message}`));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
