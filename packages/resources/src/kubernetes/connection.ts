// SPDX-License-Identifier: Apache-2.0
/*
 * Where an API server is and how to be let in: from a pod's mounted service account, whose token and CA the kubelet replaces while the process
 * runs, or from a kubeconfig file with certificates or tokens in it. Credential plugins (`exec`, `auth-provider`) are not run here; who needs
 * them uses a full client. Source: Kubernetes, "Accessing the API from a Pod", "Organizing Cluster Access Using kubeconfig Files".
 */
import { Buffer } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';

import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { TlsMaterial } from './api-client.ts';
import type { KubernetesSourceOptions } from './kubernetes-source.ts';

/** What `createKubernetesSource` needs to reach an API server. */
export type KubernetesConnection = Pick<KubernetesSourceOptions, 'baseUrl' | 'tls' | 'bearerToken'>;

/** Where Kubernetes mounts a pod's own credentials. */
export const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A token that was read is used for this long, in milliseconds; the kubelet replaces tokens long before they end. */
export const TOKEN_REREAD_MS = 60_000;

/** A token in a file, read again when it is old or was refused. */
function tokenFile(path: string): (wasRefused: boolean) => Promise<string> {
  let token = '';
  let readMs = -Infinity;
  return async (wasRefused) => {
    if (wasRefused || performance.now() - readMs > TOKEN_REREAD_MS) {
      token = (await readFile(path, 'utf8')).trim();
      readMs = performance.now();
    }
    return token;
  };
}

/**
 * The API server of the cluster that this process runs in, as environment and mounted service account say. Undefined outside of a cluster;
 * rejects when inside one without credentials.
 */
export async function inClusterConnection(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  directory: string = SERVICE_ACCOUNT_DIRECTORY,
): Promise<KubernetesConnection | undefined> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (host === undefined || host === '') return undefined;
  const readCa = async (): Promise<TlsMaterial> => ({ ca: await readFile(join(directory, 'ca.crt'), 'utf8') });
  const bearerToken = tokenFile(join(directory, 'token'));
  // Both are read now, so that what is missing shows at start.
  await Promise.all([readCa(), bearerToken(false)]);
  return { baseUrl: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, tls: readCa, bearerToken };
}

/** The API server that a kubeconfig file names, by its current context or the given one. Rejects with an Error for the operator. */
export async function kubeconfigConnection(path: string, contextName?: string): Promise<KubernetesConnection> {
  const root = await parseKubeconfig(await readFile(path, 'utf8'));
  if (!isJsonObject(root)) throw new Error(`${path} is not a kubeconfig`);
  const name = contextName ?? text(root, 'current-context');
  if (name === undefined) throw new Error(`${path} names no current context`);
  const context = named(path, root, 'contexts', 'context', name);
  const cluster = named(path, root, 'clusters', 'cluster', text(context, 'cluster') ?? '');
  const user = named(path, root, 'users', 'user', text(context, 'user') ?? '');
  const baseUrl = text(cluster, 'server');
  if (baseUrl === undefined) throw new Error(`${path}: the cluster of context ${name} has no server`);
  for (const plugin of ['exec', 'auth-provider', 'username']) {
    if (user[plugin] !== undefined) throw new Error(`${path}: users with ${plugin} are not supported here`);
  }
  if (cluster['insecure-skip-tls-verify'] === true) throw new Error(`${path}: insecure-skip-tls-verify is not supported`);
  const readTls = async (): Promise<TlsMaterial> => {
    const servername = text(cluster, 'tls-server-name');
    return {
      ...defined('ca', await data(path, cluster, 'certificate-authority')),
      ...defined('cert', await data(path, user, 'client-certificate')),
      ...defined('key', await data(path, user, 'client-key')),
      ...(servername === undefined ? {} : { servername }),
    };
  };
  await readTls();
  const file = text(user, 'tokenFile');
  const token = text(user, 'token');
  const bearerToken = file === undefined ? async (): Promise<string | undefined> => token : tokenFile(absolute(path, file));
  return { baseUrl, tls: readTls, bearerToken };
}

/** JSON is YAML too, and a short-lived process that is given JSON need not load a YAML parser. */
async function parseKubeconfig(content: string): Promise<unknown> {
  if (content.trimStart().startsWith('{')) return JSON.parse(content);
  const { parse } = await import('../yaml-text.ts');
  return parse(content, { logLevel: 'error' });
}

function text(object: JsonObject, key: string): string | undefined {
  const value = object[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function named(path: string, root: JsonObject, list: string, field: string, name: string): JsonObject {
  const entries = Array.isArray(root[list]) ? (root[list] as unknown[]) : [];
  for (const entry of entries) {
    if (isJsonObject(entry) && entry['name'] === name && isJsonObject(entry[field])) return entry[field];
  }
  throw new Error(`${path}: there is no ${field} ${JSON.stringify(name)}`);
}

/** PEM that stands in the file itself (`…-data`, base64), or in another. */
async function data(path: string, object: JsonObject, key: string): Promise<string | undefined> {
  const inline = text(object, `${key}-data`);
  if (inline !== undefined) return Buffer.from(inline, 'base64').toString('utf8');
  const file = text(object, key);
  return file === undefined ? undefined : readFile(absolute(path, file), 'utf8');
}

function absolute(path: string, file: string): string {
  return isAbsolute(file) ? file : join(dirname(path), file);
}

function defined<K extends string>(key: K, value: string | undefined): { readonly [k in K]?: string } {
  return (value === undefined ? {} : { [key]: value }) as { readonly [k in K]?: string };
}
