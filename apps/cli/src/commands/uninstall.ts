// SPDX-License-Identifier: Apache-2.0
/* `weft uninstall` (features CLI-20): prints all that belongs to the control plane, unless something still needs it. */
import type { RenderedObject } from '@weft/chart';
import { NamespaceKind } from '@weft/resources';
import type { Command } from 'commander';
import { CommandFailure } from '../command-context.ts';
import type { CommandContext } from '../command-context.ts';
import { labelledObjects, runtimeObjects } from '../install/labelled-objects.ts';
import { addOutputFlag, objectKey, printObjects, reference } from '../install/manifest.ts';
import type { ManifestOutput } from '../install/manifest.ts';
import { connectCluster } from '../kube/connect-cluster.ts';
import type { ClusterReader } from '../kube/cluster.ts';
import { COMPONENT_LABEL, EXTENSION_LABEL, meshedPods } from '../kube/mesh-config.ts';

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command.option('-f, --force', 'also while extensions or meshed pods are there');
  addOutputFlag(command);
  command
    .addHelpText('after', '\nFor example: weft uninstall | kubectl delete -f -')
    .action(async (options: { readonly force?: boolean; readonly output: ManifestOutput }) => {
      const globals = context.globals();
      const cluster = await connectCluster(globals, context.err);
      try {
        if (options.force !== true) await mustBeUnused(cluster, globals.linkerdNamespace);
        context.out(printObjects(await findInstalled(cluster, globals.linkerdNamespace), options.output));
      } finally {
        cluster.close();
      }
    });
}

/** Rejects with CommandFailure that names every extension and every meshed pod. */
export async function mustBeUnused(reader: ClusterReader, namespace: string): Promise<void> {
  const extensions = await reader.list(NamespaceKind, { labelSelector: EXTENSION_LABEL });
  const owners = new Set(extensions.map(({ metadata }) => metadata.name));
  const pods = (await meshedPods(reader, namespace)).filter(
    ({ metadata }) => metadata.labels[COMPONENT_LABEL] === undefined && !owners.has(metadata.namespace),
  );
  const lines: string[] = [];
  if (extensions.length > 0) {
    lines.push('Please remove these extensions first:');
    for (const { metadata } of extensions) lines.push(`  * ${metadata.labels[EXTENSION_LABEL]} (namespace ${metadata.name})`);
  }
  if (pods.length > 0) {
    lines.push('Please take these pods out of the mesh first:');
    for (const { metadata } of pods) lines.push(`  * ${metadata.namespace}/${metadata.name}`);
  }
  if (lines.length > 0) throw new CommandFailure([...lines, 'To print all the same: weft uninstall --force'].join('\n'));
}

/** References to everything of a control plane. */
export async function findInstalled(reader: ClusterReader, namespace: string): Promise<readonly RenderedObject[]> {
  const [runtime, labelled] = await Promise.all([runtimeObjects(reader, namespace), labelledObjects(reader, namespace)]);
  const known = new Set(labelled.map(objectKey));
  // The namespace and the definitions are last.
  return [...runtime.filter((object) => !known.has(objectKey(object))), ...labelled].map(reference);
}
