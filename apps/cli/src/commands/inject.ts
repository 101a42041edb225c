// SPDX-License-Identifier: Apache-2.0
/*
 * `weft inject` (features CLI-22 to CLI-25): puts workloads of manifests into the mesh, by an annotation that the cluster's injector honours,
 * or with `--manual` by writing the containers.
 */
import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { defaultValues, mergeValues, parseYaml, type Dictionary } from '@weft/chart';
import { injectManifest, InjectorValuesError, readInjectorValues, type InjectManifestOptions } from '@weft/injector';
import { ConfigMapKind } from '@weft/resources';
import { TRUST_ROOTS_CONFIG_MAP, TRUST_ROOTS_KEY } from '../check/checks/identity.ts';
import { CommandFailure, type CommandContext } from '../command-context.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import { loadOwnChart } from '../install/release.ts';
import type { ClusterReader } from '../kube/cluster.ts';
import { readMeshConfig, textAt, type Values } from '../kube/mesh-config.ts';
import { readSources, type Input } from '../manifests/read-sources.ts';
import { transformManifests, type ManifestFormat } from '../manifests/transform.ts';
import { VERSION } from '../version.ts';
import { addAnnotationFlags, annotationsOf } from './inject-annotations.ts';

interface InjectOptions {
  readonly manual?: boolean;
  readonly ignoreCluster?: boolean;
  readonly ingress?: boolean;
  readonly values?: string;
  readonly output: ManifestFormat;
}

type Installation = NonNullable<InjectManifestOptions['manual']>;

/** Flags and action. */
export function define(command: Command, context: CommandContext, input: Input = process.stdin): void {
  addAnnotationFlags(
    command
      .argument('<manifest...>', 'files, directories, URLs; - for standard input')
      .option('--manual', 'write the containers, with the configuration of the installed control plane')
      .option('--ignore-cluster', 'with --manual: ask no cluster; needs --values')
      .option('--values <file>', 'with --ignore-cluster: values of the installation, with identityTrustAnchorsPEM')
      .option('--ingress', 'route by the l5d-dst-override header')
      .addOption(new Option('-o, --output <format>', 'yaml or json').choices(['yaml', 'json']).default('yaml')),
  ).action(async (sources: string[], options: InjectOptions) => {
    const { annotations, notes } = annotationsOf(command, process.env);
    for (const note of notes) context.err(`${note}\n`);
    const texts = await readSources(sources, input);
    const manual = options.manual === true ? await installation(options, context) : undefined;
    const injectOptions: InjectManifestOptions = {
      mode: options.ingress === true ? 'ingress' : 'enabled',
      annotations,
      ...(manual === undefined ? {} : { manual }),
    };
    transformManifests(texts, (object) => injectManifest(object, injectOptions), options.output, context);
  });
}

async function installation(options: InjectOptions, context: CommandContext): Promise<Installation> {
  const { linkerdNamespace } = context.globals();
  if (options.ignoreCluster !== true) return withCluster(context, (cluster) => installedInstallation(cluster, linkerdNamespace));
  if (options.values === undefined) {
    throw new CommandFailure('--manual --ignore-cluster needs --values: without a cluster nothing tells which trust anchors to use');
  }
  const given = parseYaml(await readFile(options.values, 'utf8').catch(cannotRead(options.values)), options.values);
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new CommandFailure(`${options.values} is no mapping of values`);
  const values = mergeValues(defaultValues(loadOwnChart('weft-control-plane')), given as Dictionary) as Values;
  return installationOf(values, textAt(values, 'identityTrustAnchorsPEM'), linkerdNamespace);
}

/** The installation of a cluster, from its ConfigMaps. Rejects with CommandFailure where there is none. */
export async function installedInstallation(reader: ClusterReader, namespace: string): Promise<Installation> {
  const { values } = await readMeshConfig(reader, namespace).catch((error: unknown) => {
    throw new CommandFailure(`cannot read the installation in namespace ${namespace}: ${messageOf(error)}`, 1, { cause: error });
  });
  const roots = await reader.get(ConfigMapKind, namespace, TRUST_ROOTS_CONFIG_MAP);
  return installationOf(values, roots.data?.[TRUST_ROOTS_KEY] ?? '', namespace);
}

function installationOf(values: Values, trustAnchors: string, controlPlaneNamespace: string): Installation {
  if (trustAnchors.trim() === '') throw new CommandFailure('the installation has no trust anchors; a proxy without them trusts nobody');
  try {
    return {
      values: readInjectorValues(values),
      trustAnchors,
      version: textAt(values, 'linkerdVersion') || VERSION,
      controlPlaneNamespace,
    };
  } catch (error) {
    if (error instanceof InjectorValuesError) throw new CommandFailure(`the installation's values: ${error.message}`, 1, { cause: error });
    throw error;
  }
}

function cannotRead(file: string): (error: unknown) => never {
  return (error) => {
    throw new CommandFailure(`cannot read ${file}: ${messageOf(error)}`, 1, { cause: error });
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
