// SPDX-License-Identifier: Apache-2.0
/*
 * A proxy between a client and the API server that can cut connections and be away, and that can make the server forget: a watch that
 * resumes is sent on with a resource version from long ago, so the server itself answers 410 Gone. It speaks plain HTTP to the client and
 * uses the API server's own credentials behind, so what it passes on are the server's very bytes.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';

import type { KubernetesConnection } from '@weft/resources';

/** A version that every API server has forgotten. */
const LONG_AGO = '1';

/** The proxy. */
export class Meddler {
  /** Where clients connect to. */
  readonly url: string;
  /** Requests so far, as `METHOD path?query`. */
  readonly requests: string[] = [];
  /** Status and headers with which the next requests are answered instead, first one first. */
  readonly refusals: { readonly status: number; readonly headers?: Record<string, string> }[] = [];
  private readonly server: Server;
  private readonly port: number;
  private readonly shared: { isForgetful: boolean };

  private constructor(server: Server, port: number, shared: { isForgetful: boolean }) {
    this.server = server;
    this.port = port;
    this.shared = shared;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Listens on loopback. */
  static async start(connection: KubernetesConnection): Promise<Meddler> {
    const tls = typeof connection.tls === 'function' ? await connection.tls() : connection.tls;
    const agent = new Agent({ ...tls, keepAlive: true });
    const shared = { isForgetful: false };
    let meddler: Meddler | undefined;
    const server = createServer((request, response) => {
      meddler?.requests.push(`${request.method} ${request.url}`);
      const refusal = meddler?.refusals.shift();
      if (refusal === undefined) pass(connection.baseUrl, agent, shared, request, response);
      else response.writeHead(refusal.status, refusal.headers).end('{}');
    });
    server.on('close', () => agent.destroy());
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, '127.0.0.1', resolve);
    await promise;
    meddler = new Meddler(server, (server.address() as AddressInfo).port, shared);
    return meddler;
  }

  /** Cuts every connection; new ones are taken. */
  cut(): void {
    this.server.closeAllConnections();
  }

  /** Makes the next watch that resumes one from long ago. */
  forget(): void {
    this.shared.isForgetful = true;
  }

  /** Cuts every connection and takes no more until `back`. */
  async away(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.server.close(() => resolve());
    this.server.closeAllConnections();
    await promise;
  }

  /** Listens again where it did. */
  async back(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.server.listen(this.port, '127.0.0.1', resolve);
    await promise;
  }

  async close(): Promise<void> {
    if (this.server.listening) await this.away();
  }
}

function pass(baseUrl: string, agent: Agent, shared: { isForgetful: boolean }, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', baseUrl);
  if (shared.isForgetful && url.searchParams.get('watch') === 'true') {
    shared.isForgetful = false;
    url.searchParams.set('resourceVersion', LONG_AGO);
  }
  const { host: _host, connection: _connection, ...headers } = request.headers;
  const behind = httpsRequest(url, { method: request.method ?? 'GET', headers, agent }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.on('data', (chunk: Buffer) => response.write(chunk));
    answer.on('end', () => response.end());
    answer.on('error', () => response.destroy());
  });
  behind.on('error', () => response.destroy());
  response.on('close', () => behind.destroy());
  request.pipe(behind);
}
