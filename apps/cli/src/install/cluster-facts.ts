// SPDX-License-Identifier: Apache-2.0
/*
 * What an installation asks of the cluster (features CLI-07, CLI-09, CLI-16): is one there, are the definitions there, whose are those of
 * the Gateway API, do nodes run Docker, and on which ports is the API server.
 */
import { ConfigMapKind, EndpointSliceKind, isResourceError, NodeKind, ServiceKind } from '@weft/resources';
import { CONTROL_PLANE_DEFINITIONS, missingDefinitions } from '../check/checks/definitions.ts';
import { GATEWAY_DEFINITIONS } from '../check/checks/kubernetes.ts';
import type { ClusterReader } from '../kube/cluster.ts';
import { CustomResourceDefinitionKind } from '../kube/kinds.ts';
import type { CustomResourceDefinition } from '../kube/kinds.ts';
import { CONFIG_MAP } from '../kube/mesh-config.ts';

/** Whose the definitions of the Gateway API are. */
export type GatewayOwner = 'nobody' | 'mesh' | 'other';

/** What was found. */
export interface ClusterFacts {
  readonly kubeVersion: string;
  readonly isInstalled: boolean;
  /** Definitions of ours that are not served. */
  readonly missingDefinitions: readonly string[];
  readonly missingGatewayDefinitions: readonly string[];
  readonly gatewayOwner: GatewayOwner;
  readonly hasDockerNodes: boolean;
  /** Ports that reach the API server, ascending. */
  readonly apiServerPorts: readonly number[];
}

/** Rejects with ResourceError where it may not ask or nobody answers. */
export async function readClusterFacts(reader: ClusterReader, namespace: string): Promise<ClusterFacts> {
  const [version, definitions, nodes, isInstalled, apiServerPorts] = await Promise.all([
    reader.call({ method: 'GET', path: '/version' }) as Promise<{ readonly gitVersion?: string }>,
    reader.list(CustomResourceDefinitionKind),
    reader.list(NodeKind),
    exists(reader.get(ConfigMapKind, namespace, CONFIG_MAP)),
    readApiServerPorts(reader),
  ]);
  return {
    kubeVersion: version.gitVersion ?? '',
    isInstalled,
    missingDefinitions: missingDefinitions(CONTROL_PLANE_DEFINITIONS, definitions),
    missingGatewayDefinitions: missingDefinitions(GATEWAY_DEFINITIONS, definitions),
    gatewayOwner: gatewayOwner(definitions),
    hasDockerNodes: nodes.some(({ status }) => {
      const info = (status as { readonly nodeInfo?: { readonly containerRuntimeVersion?: string } } | undefined)?.nodeInfo;
      return info?.containerRuntimeVersion?.startsWith('docker:') === true;
    }),
    apiServerPorts,
  };
}

/** Ours are labelled with a control plane, or annotated with what made them. */
export function gatewayOwner(definitions: readonly CustomResourceDefinition[]): GatewayOwner {
  const found = definitions.filter(({ metadata }) => metadata.name in GATEWAY_DEFINITIONS);
  if (found.length === 0) return 'nobody';
  const isOurs = found.every(
    ({ metadata }) => 'linkerd.io/control-plane-ns' in metadata.labels || 'linkerd.io/created-by' in metadata.annotations,
  );
  return isOurs ? 'mesh' : 'other';
}

async function readApiServerPorts(reader: ClusterReader): Promise<readonly number[]> {
  const ports = new Set<number>();
  const service = await reader.get(ServiceKind, 'default', 'kubernetes').catch(ignoreMissing);
  for (const { port } of service?.spec?.ports ?? []) ports.add(port);
  const slices = await reader.list(EndpointSliceKind, { namespace: 'default', labelSelector: 'kubernetes.io/service-name=kubernetes' });
  for (const slice of slices) {
    for (const { port } of slice.ports ?? []) if (typeof port === 'number') ports.add(port);
  }
  return [...ports].toSorted((a, b) => a - b);
}

function ignoreMissing(error: unknown): undefined {
  if (!isResourceError(error, 'ERR_NOT_FOUND')) throw error;
}

async function exists(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isResourceError(error, 'ERR_NOT_FOUND')) return false;
    throw error;
  }
}
