// SPDX-License-Identifier: Apache-2.0
/* `weft authz` (features CLI-28): the policies that admit clients to a workload's ports. */
import type { Command } from 'commander';
import { formatTable } from '@weft/host-run/view';
import {
  AuthorizationPolicyKind,
  GRPCRouteKind,
  HTTPRouteKind,
  isResourceError,
  PolicyHTTPRouteKind,
  type Resource,
  type ResourceKind,
  ServerAuthorizationKind,
  ServerKind,
} from '@weft/resources';
import { CommandFailure, type CommandContext } from '../command-context.ts';
import { namespaceName } from '../global-options.ts';
import { authorizationRows } from '../inspect/authorizations.ts';
import { parseResource } from '../inspect/resource-argument.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import { readPods, rowName } from '../inspect/workloads.ts';
import type { Cluster } from '../kube/cluster.ts';

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .argument('<resource...>', 'kind or kind/name: deploy/web, po/web-1, …')
    .option('-n, --namespace <namespace>', "namespace; default: that of the kubeconfig's context", namespaceName)
    .action(async (words: string[], options: { readonly namespace?: string }) => {
      await withCluster(context, (cluster, { linkerdNamespace }) => authz(cluster, linkerdNamespace, words, options.namespace, context));
    });
}

/** Looks and writes. */
export async function authz(
  cluster: Cluster,
  controlPlane: string,
  words: readonly string[],
  chosenNamespace: string | undefined,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
): Promise<void> {
  const resource = parseResource(words);
  if (resource.kind === 'service') throw new CommandFailure('policies select pods; name a workload or a pod instead of a Service');
  const namespace =
    resource.kind === 'namespace' && resource.name !== undefined ? resource.name : (chosenNamespace ?? cluster.defaultNamespace);
  const pods = (await readPods(cluster, controlPlane, namespace)).filter((pod) => rowName(pod, resource) !== undefined);
  if (pods.length === 0) throw new CommandFailure(`no pod of ${words.join('/')} is in namespace ${namespace}`);
  const [servers, serverAuthorizations, authorizationPolicies, ...routes] = await Promise.all([
    cluster.list(ServerKind, { namespace }),
    cluster.list(ServerAuthorizationKind, { namespace }),
    cluster.list(AuthorizationPolicyKind, { namespace }),
    cluster.list(PolicyHTTPRouteKind, { namespace }),
    listIfServed(cluster, HTTPRouteKind, namespace),
    listIfServed(cluster, GRPCRouteKind, namespace),
  ]);
  const rows = authorizationRows(pods, { servers, serverAuthorizations, authorizationPolicies, routes: routes.flat() });
  if (rows.length === 0) {
    err(`No Server selects these pods: their default policy holds, see weft diagnostics policy po/${pods[0]?.name ?? ''} PORT.\n`);
    return;
  }
  const cells = rows.map((row) => [row.route, row.server, row.authorizationPolicy, row.serverAuthorization]);
  out(`${formatTable(['ROUTE', 'SERVER', 'AUTHORIZATION_POLICY', 'SERVER_AUTHORIZATION'], cells)}\n`);
}

/** A cluster need not have the Gateway API. */
async function listIfServed<R extends Resource>(cluster: Cluster, kind: ResourceKind<R>, namespace: string): Promise<readonly R[]> {
  try {
    return await cluster.list(kind, { namespace });
  } catch (error) {
    if (isResourceError(error) && error.code === 'ERR_NOT_FOUND') return [];
    throw error;
  }
}
