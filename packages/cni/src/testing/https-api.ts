// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTP face of a store as a real API server shows itself to a node: HTTPS with a CA of its own, and nothing without the right token.
 */
import { request as httpRequest } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createTestMesh } from '@weft/pki/testing';
import { type LocalSource, serveKubernetesApi } from '@weft/resources';

/** A running server. */
export interface HttpsApi {
  readonly port: number;
  /** `https://localhost:<port>`. */
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Accepted from now on, and no other. */
  token: string;
  /** While set, every request is answered with this status. */
  failWith: number | undefined;
  /** `METHOD path` of each request, refused ones too. */
  readonly requests: string[];
  close(): Promise<void>;
}

/** Serves the store of a source. */
export async function serveHttpsApi(source: Pick<LocalSource, 'store'>, token: string): Promise<HttpsApi> {
  const inner = await serveKubernetesApi(source, { listen: { host: '127.0.0.1', port: 0 } });
  const mesh = createTestMesh();
  const leaf = mesh.leafFor('localhost');
  const server = createServer({ key: leaf.privateKeyPem, cert: leaf.chainPem }, (request, response) => {
    api.requests.push(`${request.method} ${request.url}`);
    const status = api.failWith ?? (request.headers.authorization === `Bearer ${api.token}` ? undefined : 401);
    if (status !== undefined) {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status, message: `refused with ${status}` }),
      );
      return;
    }
    const { method, url, headers } = request;
    const forwarded = httpRequest(new URL(url ?? '/', inner.url), { ...(method === undefined ? {} : { method }), headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    forwarded.on('error', () => response.destroy());
    response.on('close', () => forwarded.destroy());
    request.pipe(forwarded);
  });
  // On all addresses: which one `localhost` is, the machine says.
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const { port } = server.address() as AddressInfo;
  const api: HttpsApi = {
    port,
    url: `https://localhost:${port}`,
    ca: mesh.anchor.certificatePem,
    token,
    failWith: undefined,
    requests: [],
    close: async () => {
      server.closeAllConnections();
      server.close();
      await inner.close();
    },
  };
  return api;
}
