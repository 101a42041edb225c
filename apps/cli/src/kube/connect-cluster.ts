// SPDX-License-Identifier: Apache-2.0
/*
 * A cluster through a kubeconfig (features CLI-01): contexts, client certificates, tokens, exec plugins, OIDC, proxies and port-forward by
 * `@kubernetes/client-node`, which costs half a second to load and is therefore loaded here only; the calls themselves are plain
 * node:http(s) with the credentials that it gives.
 */
import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { ResourceError } from '@weft/resources';
import { CommandFailure } from '../command-context.ts';
import type { GlobalOptions } from '../command-context.ts';
import { createApiReader } from './api-reader.ts';
import type { RawAnswer } from './api-reader.ts';
import type { ApiCall, Cluster, PortForward } from './cluster.ts';
import { forwardPort } from './port-forward.ts';

/** From sending a call to the end of its answer. */
export const CALL_TIMEOUT_MS = 30_000;
/** Longest answer that is kept. */
export const MAX_ANSWER_BYTES: number = 256 * 1024 * 1024;

/** Reads the kubeconfig; nothing is sent yet. Rejects with CommandFailure for a configuration that cannot be used. */
export async function connectCluster(globals: GlobalOptions, tell: (text: string) => void = () => undefined): Promise<Cluster> {
  const client = await import('@kubernetes/client-node');
  const config = loadConfig(new client.KubeConfig(), globals);
  const target = config.getCurrentCluster();
  if (target === null) throw new CommandFailure('the kubeconfig names no cluster for its current context; set one with --context');
  impersonate(config, globals);
  const send = async (call: ApiCall): Promise<RawAnswer> => {
    if (globals.isVerbose) tell(`${call.method} ${call.path}\n`);
    return sendCall(config, target.server, call);
  };
  const forwards = new Set<PortForward>();
  return {
    ...createApiReader(send),
    serverUrl: target.server,
    defaultNamespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    portForward: async (namespace, pod, port) => {
      if (globals.isVerbose) tell(`forward to port ${port} of ${namespace}/${pod}\n`);
      const forward = await forwardPort(new client.PortForward(config), namespace, pod, port);
      forwards.add(forward);
      return {
        ...forward,
        close: () => {
          forwards.delete(forward);
          forward.close();
        },
      };
    },
    close: () => {
      for (const forward of forwards) forward.close();
      forwards.clear();
    },
  };
}

function loadConfig(config: KubeConfig, globals: GlobalOptions): KubeConfig {
  try {
    if (globals.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(globals.kubeconfig);
  } catch (error) {
    throw new CommandFailure(`cannot read the kubeconfig: ${error instanceof Error ? error.message : String(error)}`, 1, { cause: error });
  }
  if (globals.context !== undefined) {
    if (config.getContextObject(globals.context) === null) throw new CommandFailure(`context "${globals.context}" does not exist`);
    config.setCurrentContext(globals.context);
  }
  // The library refuses plain HTTP unless verification is off; kubectl does not, and `kubectl proxy` is plain HTTP.
  config.clusters = config.clusters.map((cluster) => (cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster));
  return config;
}

/** Adds the headers of impersonation to everything that the configuration signs, port-forward included. */
function impersonate(config: KubeConfig, { as: user, asGroup }: GlobalOptions): void {
  if (user === undefined && asGroup.length === 0) return;
  if (user === undefined) throw new CommandFailure('--as-group needs --as');
  const sign = config.applyToHTTPSOptions.bind(config);
  config.applyToHTTPSOptions = async (options) => {
    await sign(options);
    const headers: Record<string, string | string[]> = { ...(options.headers as Record<string, string>), 'Impersonate-User': user };
    if (asGroup.length > 0) headers['Impersonate-Group'] = [...asGroup];
    // Both kinds of options take lists of values; one of the two types does not say so.
    options.headers = headers as Record<string, string>;
  };
}

async function sendCall(config: KubeConfig, server: string, call: ApiCall): Promise<RawAnswer> {
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw unavailable('no credentials for the API server', error);
  }
  keepConnections(options.agent);
  const url = new URL(server);
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const request = (url.protocol === 'http:' ? httpRequest : httpsRequest)(`${url.origin}${url.pathname.replace(/\/$/, '')}${call.path}`, {
    ...options,
    method: call.method,
    headers: {
      ...(options.headers as Record<string, string>),
      accept: 'application/json, */*',
      'user-agent': 'weft-cli',
      ...(body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
    },
  });
  const timer = setTimeout(() => request.destroy(new Error(`no answer within ${CALL_TIMEOUT_MS} ms`)), CALL_TIMEOUT_MS);
  request.on('error', (error) => reject(unavailable('cannot reach the API server', error)));
  request.on(
    'response',
    (response) =>
      void collect(response).then(resolve, (error: unknown) => {
        request.destroy();
        reject(unavailable('the answer was cut', error));
      }),
  );
  request.end(body);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The library's agent, which it keeps for the cluster and user, closes a connection after each call: a check would make forty handshakes.
 * Kept connections do not keep the process.
 */
function keepConnections(agent: RequestOptions['agent']): void {
  if (typeof agent === 'object') (agent as { keepAlive?: boolean }).keepAlive = true;
}

async function collect(response: IncomingMessage): Promise<RawAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`it is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') };
}

function unavailable(what: string, cause: unknown): ResourceError {
  // A refused connection to several addresses is an AggregateError with an empty message.
  const inner = cause instanceof AggregateError ? (cause.errors[0] as unknown) : cause;
  return new ResourceError('ERR_UNAVAILABLE', `${what}: ${inner instanceof Error ? inner.message : String(inner)}`, { cause });
}
