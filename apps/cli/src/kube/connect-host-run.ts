// SPDX-License-Identifier: Apache-2.0
/*
 * A mesh of `weft run` on this machine as a Cluster: its API is a socket, its pods answer at their own addresses, and tokens are signed with the
 * run's key, which its user alone can read.
 */
import { existsSync, readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { runPaths } from '@weft/host-run';
import { createLocalTokenIssuer, importPrivateKey } from '@weft/pki';
import { PodKind, ResourceError } from '@weft/resources';
import { CommandFailure } from '../command-context.ts';
import { createApiReader, type RawAnswer } from './api-reader.ts';
import type { ApiCall, Cluster } from './cluster.ts';

const CALL_TIMEOUT_MS = 30_000;
const TOKEN_PATH = /^\/api\/v1\/namespaces\/([^/]+)\/serviceaccounts\/([^/]+)\/token$/;

/** Rejects with CommandFailure where no such run is, or another user's. */
export function connectHostRun(name: string): Promise<Cluster> {
  const paths = runPaths(name);
  if (!existsSync(paths.apiSocket)) return Promise.reject(new CommandFailure(`no mesh ${name} runs on this machine (or you are not root)`));
  const send = async (call: ApiCall): Promise<RawAnswer> => {
    const [, namespace, account] = call.method === 'POST' ? (TOKEN_PATH.exec(call.path) ?? []) : [];
    if (namespace !== undefined && account !== undefined) return signToken(paths.pki, namespace, account, call.body);
    return sendCall(paths.apiSocket, call);
  };
  const reader = createApiReader(send);
  return Promise.resolve({
    ...reader,
    serverUrl: `unix:${paths.apiSocket}`,
    defaultNamespace: 'default',
    portForward: async (namespace, pod, port) => {
      const { status } = await reader.get(PodKind, namespace, pod);
      if (status?.podIP === undefined) throw new CommandFailure(`pod ${namespace}/${pod} has no address`);
      return { host: status.podIP, port, close: () => undefined };
    },
    close: () => undefined,
  });
}

/** A TokenRequest, answered as an API server would. */
function signToken(pki: string, namespace: string, serviceAccount: string, body: unknown): RawAnswer {
  const { spec } = body as { readonly spec: { readonly audiences: readonly string[]; readonly expirationSeconds: number } };
  const { privateKey } = importPrivateKey(readFileSync(join(pki, 'token-key.pem'), 'utf8'));
  const token = createLocalTokenIssuer({ privateKey }).issue({
    namespace,
    serviceAccount,
    audiences: spec.audiences,
    lifetimeSeconds: spec.expirationSeconds,
  });
  return { status: 201, body: JSON.stringify({ kind: 'TokenRequest', status: { token } }) };
}

async function sendCall(socketPath: string, { method, path, body, contentType }: ApiCall): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const request = httpRequest({
    socketPath,
    method,
    path,
    headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }) },
    timeout: CALL_TIMEOUT_MS,
  });
  request.on('timeout', () => request.destroy(new Error('no answer in time')));
  request.on('error', (error) =>
    reject(new ResourceError('ERR_UNAVAILABLE', `the run does not answer: ${error.message}`, { cause: error })),
  );
  request.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (piece: string) => (text += piece));
    response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    response.on('error', reject);
  });
  request.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}
