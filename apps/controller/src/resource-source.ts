// SPDX-License-Identifier: Apache-2.0
/*
 * Which world a component sees (design §2): a directory of manifests, named by `--resources`. Everything after this file is the same for
 * every source.
 */
import { stat } from 'node:fs/promises';
import { createDirectorySource, type ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';

export interface ResourceFlags {
  /** Directory of manifests. */
  readonly resources: string | undefined;
  /** Directory with the definitions of the custom kinds; without it they are served without schema. */
  readonly crds: string | undefined;
}

/** An open source. */
export interface OpenSource {
  readonly source: ResourceSource;
  /** A cluster answers TokenReviews and holds Leases; a directory does neither. */
  readonly isCluster: boolean;
}

/** Opens the source that the flags name. Rejects with a message for the operator. */
export async function openSource(flags: ResourceFlags, logger: Logger): Promise<OpenSource> {
  const { resources, crds } = flags;
  if (resources === undefined) throw new Error('--resources is required: a directory of manifests');
  const found = await stat(resources).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new Error(`--resources: ${resources} is not a directory`);
  const source = await createDirectorySource({ directory: resources, log: logger, ...(crds === undefined ? {} : { crdDirectory: crds }) });
  return { source, isCluster: false };
}
