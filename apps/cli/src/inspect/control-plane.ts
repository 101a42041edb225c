// SPDX-License-Identifier: Apache-2.0
/* The control plane's pods, and a way to one of its services: a forwarded port, or the address of `--api-addr` (features CLI-01). */
import { PodKind, type Pod } from '@weft/resources';
import { CommandFailure, type GlobalOptions } from '../command-context.ts';
import type { Cluster } from '../kube/cluster.ts';
import { COMPONENT_LABEL } from '../kube/mesh-config.ts';
import type { ServiceAddress } from './grpc-call.ts';

/** gRPC ports of the destination pods. */
export const DESTINATION_PORT = 8086;
export const POLICY_PORT = 8090;

/** The control plane's pods that run, in order of their names; of one component, or of all. */
export async function controlPlanePods(cluster: Cluster, namespace: string, component?: string): Promise<Pod[]> {
  const labelSelector = component === undefined ? COMPONENT_LABEL : `${COMPONENT_LABEL}=${component}`;
  const pods = await cluster.list(PodKind, { namespace, labelSelector });
  return pods.filter(({ status }) => status?.phase === 'Running').toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Asks a service of a destination pod. `podName` chooses the pod; without it any that runs. */
export async function askDestinationPod<T>(
  cluster: Cluster,
  { linkerdNamespace, apiAddr }: Pick<GlobalOptions, 'linkerdNamespace' | 'apiAddr'>,
  port: number,
  podName: string | undefined,
  ask: (address: ServiceAddress) => Promise<T>,
): Promise<T> {
  if (apiAddr !== undefined) return ask(apiAddr);
  const name = podName ?? (await controlPlanePods(cluster, linkerdNamespace, 'destination'))[0]?.metadata.name;
  if (name === undefined) {
    throw new CommandFailure(`no destination pod runs in namespace ${linkerdNamespace}; is the control plane installed there?`);
  }
  const forward = await cluster.portForward(linkerdNamespace, name, port);
  try {
    return await ask(`${forward.host}:${forward.port}`);
  } finally {
    forward.close();
  }
}
