// SPDX-License-Identifier: Apache-2.0
/*
 * Which world a component sees (design §2): what `--resources` names, a directory of manifests or the URL of something that speaks the
 * Kubernetes API; without the flag, a cluster: that of a kubeconfig, or the one that the process runs in. Everything after this file is the same for every source.
 */
import { stat } from 'node:fs/promises';
import { admissionRules } from '@weft/admission';
import {
  createDirectorySource,
  createKubernetesSource,
  inClusterConnection,
  isResourceError,
  kubeconfigConnection,
  SERVICE_ACCOUNT_DIRECTORY,
  type KubernetesSourceOptions,
  type ResourceSource,
} from '@weft/resources';
import type { Logger } from '@weft/telemetry';

export interface ResourceFlags {
  /** Directory of manifests, or a URL: `http:`, `https:` or `unix:`. */
  readonly resources: string | undefined;
  /** Directory with the definitions of the custom kinds, for a directory of manifests; without it they are served without schema. */
  readonly crds: string | undefined;
  /** Kubeconfig of the cluster, for a process outside of it. */
  readonly kubeconfig?: string | undefined;
}

/** An open source. */
export interface OpenSource {
  readonly source: ResourceSource;
  /** A cluster answers TokenReviews and arbitrates Leases; what stands in for one does neither. */
  readonly isCluster: boolean;
}

/** What a source takes from around the process, and tells it. */
export interface Surroundings {
  /** Default: that of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where a pod's own credentials are mounted. */
  readonly credentialsDirectory?: string;
  /** Told how long after its writing each change arrived. */
  readonly onLag?: NonNullable<KubernetesSourceOptions['onLag']>;
}

/** Opens the source that the flags name. Rejects with a message for the operator. */
export async function openSource(
  { resources, crds, kubeconfig }: ResourceFlags,
  logger: Logger,
  { environment = process.env, credentialsDirectory = SERVICE_ACCOUNT_DIRECTORY, onLag }: Surroundings = {},
): Promise<OpenSource> {
  const lag = onLag === undefined ? {} : { onLag };
  if (resources === undefined) {
    const isNamed = kubeconfig !== undefined && kubeconfig !== '';
    const connection = isNamed ? await kubeconfigConnection(kubeconfig) : await inClusterConnection(environment, credentialsDirectory);
    if (connection === undefined)
      throw new Error('not in a cluster: --resources is required, a directory of manifests or the URL of an API server, or --kubeconfig');
    return { source: remoteSource({ ...connection, ...lag }, logger), isCluster: true };
  }
  if (/^(https?:\/\/|unix:)/.test(resources)) return { source: remoteSource({ baseUrl: resources, ...lag }, logger), isCluster: false };
  const found = await stat(resources).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new Error(`--resources: ${resources} is neither a directory nor a URL`);
  const source = await createDirectorySource({
    directory: resources,
    log: logger,
    admit: admissionRules(({ kind, metadata: { namespace, name } }, warning) =>
      logger.warn('A manifest will not do what it says', { kind, namespace, name, warning }),
    ),
    ...(crds === undefined ? {} : { crdDirectory: crds }),
  });
  return { source, isCluster: false };
}

function remoteSource(options: KubernetesSourceOptions, logger: Logger): ResourceSource {
  return createKubernetesSource({
    ...options,
    userAgent: 'weft-controller',
    onRetry: (kind, error, delayMs) => {
      const fields = {
        kind: kind.kind,
        error: error instanceof Error ? error.message : String(error),
        delay_ms: Math.round(delayMs),
      };
      // That a server has forgotten where a watch stood is its ordinary way.
      if (isResourceError(error) && error.status === 410) logger.debug('Watch is begun anew', fields);
      else logger.warn('Watch is retried', fields);
    },
  });
}
