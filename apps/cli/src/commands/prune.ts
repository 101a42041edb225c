// SPDX-License-Identifier: Apache-2.0
/* `weft prune` (features CLI-19): prints what an earlier version left in the cluster and this one does not have, for kubectl delete. */
import { mergeValues } from '@weft/chart';
import type { RenderedObject } from '@weft/chart';
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { readInstalled } from '../install/installed.ts';
import { labelledObjects, RUNTIME_OBJECTS } from '../install/labelled-objects.ts';
import { addOutputFlag, objectKey, printObjects, reference } from '../install/manifest.ts';
import type { ManifestOutput } from '../install/manifest.ts';
import { loadOwnChart, renderControlPlane, renderRelease } from '../install/release.ts';
import { createRoot, trustValues } from '../install/trust.ts';
import { connectCluster } from '../kube/connect-cluster.ts';
import type { ClusterReader } from '../kube/cluster.ts';

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  addOutputFlag(command);
  command
    .addHelpText('after', '\nFor example: weft prune | kubectl delete -f -')
    .action(async (options: { readonly output: ManifestOutput }) => {
      const globals = context.globals();
      const cluster = await connectCluster(globals, context.err);
      try {
        context.out(printObjects(await findStale(cluster, globals.linkerdNamespace), options.output));
      } finally {
        cluster.close();
      }
    });
}

/** References to what is in the cluster and in no chart of this version. */
export async function findStale(reader: ClusterReader, namespace: string): Promise<readonly RenderedObject[]> {
  const { overrides } = await readInstalled(reader, namespace);
  const release = { namespace, isInstall: false };
  // Names do not depend on certificates: any will do.
  const values = mergeValues(trustValues(createRoot(namespace, 'cluster.local', Date.now())), overrides);
  const rendered = [
    ...renderControlPlane(loadOwnChart('weft-control-plane'), values, release),
    ...renderRelease(loadOwnChart('weft-crds'), { installGatewayAPI: true }, release),
  ];
  const wanted = new Set(rendered.map((object) => objectKey(object as never)));
  for (const [kind, names] of RUNTIME_OBJECTS) {
    for (const name of names) wanted.add(`${kind.group}/${kind.kind} ${namespace}/${name}`);
  }
  // An issuer or anchors from outside are in no chart, and in use.
  wanted.add(`/Secret ${namespace}/linkerd-identity-issuer`).add(`/ConfigMap ${namespace}/linkerd-identity-trust-roots`);
  return (await labelledObjects(reader, namespace)).filter((object) => !wanted.has(objectKey(object))).map(reference);
}
