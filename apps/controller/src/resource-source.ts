// SPDX-License-Identifier: Apache-2.0
/*
 * Which world a component sees (design §2): what `--resources` names, a directory of manifests or the URL of something that speaks the
 * Kubernetes API; without the flag, the cluster that the process runs in. Everything after this file is the same for every source.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createDirectorySource, createKubernetesSource, type KubernetesSourceOptions, type ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';

export interface ResourceFlags {
  /** Directory of manifests, or a URL: `http:`, `https:` or `unix:`. */
  readonly resources: string | undefined;
  /** Directory with the definitions of the custom kinds, for a directory of manifests; without it they are served without schema. */
  readonly crds: string | undefined;
}

/** An open source. */
export interface OpenSource {
  readonly source: ResourceSource;
  /** A cluster answers TokenReviews and arbitrates Leases; what stands in for one does neither. */
  readonly isCluster: boolean;
}

/** Where Kubernetes mounts a pod's own credentials. */
const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';
/** The kubelet rotates tokens long before they end. */
const TOKEN_REREAD_MS = 60_000;

/** Opens the source that the flags name. Rejects with a message for the operator. */
export async function openSource(
  { resources, crds }: ResourceFlags,
  logger: Logger,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  credentialsDirectory: string = SERVICE_ACCOUNT_DIRECTORY,
): Promise<OpenSource> {
  if (resources === undefined) return { source: await inCluster(logger, environment, credentialsDirectory), isCluster: true };
  if (/^(https?:\/\/|unix:)/.test(resources)) return { source: remoteSource({ baseUrl: resources }, logger), isCluster: false };
  const found = await stat(resources).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new Error(`--resources: ${resources} is neither a directory nor a URL`);
  const source = await createDirectorySource({ directory: resources, log: logger, ...(crds === undefined ? {} : { crdDirectory: crds }) });
  return { source, isCluster: false };
}

async function inCluster(
  logger: Logger,
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
): Promise<ResourceSource> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = environment;
  if (!host) throw new Error('not in a cluster: --resources is required, a directory of manifests or the URL of an API server');
  const ca = await readFile(join(directory, 'ca.crt'), 'utf8');
  const baseUrl = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return remoteSource({ baseUrl, tls: { ca }, bearerToken: tokenReader(join(directory, 'token')) }, logger);
}

function remoteSource(options: KubernetesSourceOptions, logger: Logger): ResourceSource {
  return createKubernetesSource({
    ...options,
    userAgent: 'weft-controller',
    onRetry: (kind, error, delayMs) =>
      logger.warn('Watch is retried', {
        kind: kind.kind,
        error: error instanceof Error ? error.message : String(error),
        delay_ms: Math.round(delayMs),
      }),
  });
}

function tokenReader(path: string): () => Promise<string> {
  let token = '';
  let readMs = -Infinity;
  return async () => {
    if (performance.now() - readMs > TOKEN_REREAD_MS) {
      token = (await readFile(path, 'utf8')).trim();
      readMs = performance.now();
    }
    return token;
  };
}
