// SPDX-License-Identifier: Apache-2.0
/* The running control plane (CK-07): its configuration, its pods, and whether it knows the cluster's networks. */
import { isResourceError, NodeKind, PodKind, ReplicaSetKind, ServiceAccountKind, ServiceKind } from '@weft/resources';
import type { Pod, ReplicaSet } from '@weft/resources';
import { COMPONENT_LABEL, CONFIG_MAP, CONTROL_PLANE_NS_LABEL, textAt, valueAt } from '../../kube/mesh-config.ts';
import { CheckFailure, NotApplicable } from '../check.ts';
import type { Category } from '../check.ts';
import type { Lookups } from '../lookups.ts';
import { contains, parseNetwork } from './cidr.ts';
import type { Network } from './cidr.ts';
import { mustExist } from './config.ts';
import { CONFIG_MAP_EXISTS, NAMESPACE_EXISTS, PODS_READY, REPLICA_SETS_READY } from './ids.ts';

/** Workloads of a control plane, by the value of their component label. */
export const COMPONENTS: readonly string[] = ['destination', 'identity', 'proxy-injector'];
/** Offenders that are named; a cluster may have thousands. */
const MAX_NAMED = 10;

export const existence: Category = {
  name: 'linkerd-existence',
  checks: [
    {
      id: CONFIG_MAP_EXISTS,
      description: "'linkerd-config' config map exists",
      hintAnchor: 'l5d-existence-linkerd-config',
      needs: [NAMESPACE_EXISTS],
      run: async (lookups) => {
        try {
          await lookups.config();
        } catch (error) {
          if (isResourceError(error, 'ERR_NOT_FOUND')) throw new CheckFailure(`missing ConfigMaps: ${CONFIG_MAP}`);
          if (error instanceof SyntaxError)
            throw new CheckFailure(`the values in ConfigMap ${CONFIG_MAP} cannot be read: ${error.message}`);
          throw error;
        }
      },
    },
    {
      id: 'linkerd-existence/heartbeat-account',
      description: 'heartbeat ServiceAccount exist',
      hintAnchor: 'l5d-existence-sa',
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => {
        if (valueAt((await lookups.config()).values, 'disableHeartBeat') === true) throw new NotApplicable();
        await mustExist(lookups, ServiceAccountKind, lookups.settings.controlPlaneNamespace, ['linkerd-heartbeat']);
      },
    },
    {
      id: REPLICA_SETS_READY,
      description: 'control plane replica sets are ready',
      hintAnchor: 'l5d-existence-replicasets',
      isAwaited: true,
      needs: [NAMESPACE_EXISTS],
      run: async (lookups) => {
        const namespace = lookups.settings.controlPlaneNamespace;
        const sets = await lookups.list(ReplicaSetKind, { namespace, labelSelector: `${CONTROL_PLANE_NS_LABEL}=${namespace}` });
        const problems = sets.filter((set) => set.metadata.labels[COMPONENT_LABEL] !== undefined).flatMap(notReady);
        if (problems.length > 0) throw new CheckFailure(problems.join('\n'));
      },
    },
    {
      id: 'linkerd-existence/unschedulable',
      description: 'no unschedulable pods',
      hintAnchor: 'l5d-existence-unschedulable-pods',
      isWarning: true,
      isAwaited: true,
      needs: [NAMESPACE_EXISTS],
      run: async (lookups) => {
        const problems = (await lookups.controlPlanePods()).flatMap(unschedulable);
        if (problems.length > 0) throw new CheckFailure(problems.join('\n'));
      },
    },
    {
      id: PODS_READY,
      description: 'control plane pods are ready',
      hintAnchor: 'l5d-api-control-ready',
      isAwaited: true,
      needs: [REPLICA_SETS_READY],
      run: async (lookups) => podsMustBeReady(await lookups.controlPlanePods()),
    },
    {
      id: 'linkerd-existence/networks-nodes',
      description: 'cluster networks contains all node podCIDRs',
      hintAnchor: 'l5d-cluster-networks-cidr',
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => {
        const { networks, text } = await clusterNetworks(lookups);
        const outside = (await lookups.list(NodeKind))
          .flatMap(({ spec }) => spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]))
          .filter((cidr) => isOutside(networks, cidr));
        if (outside.length > 0) {
          throw new CheckFailure(
            `node has podCIDR(s) [${outside.join(' ')}] which are not contained in the Linkerd clusterNetworks.\nTry installing linkerd via --set clusterNetworks="${[text, ...new Set(outside)].join('\\,')}"`,
          );
        }
      },
    },
    {
      id: 'linkerd-existence/networks-pods',
      description: 'cluster networks contains all pods',
      hintAnchor: 'l5d-cluster-networks-pods',
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => {
        const { networks, text } = await clusterNetworks(lookups);
        const outside: string[] = [];
        for (const { metadata, spec, status } of await lookups.list(PodKind)) {
          if (spec?.hostNetwork === true || status?.phase !== 'Running') continue;
          const ips = status.podIPs?.map(({ ip }) => ip) ?? (status.podIP === undefined ? [] : [status.podIP]);
          for (const ip of ips) if (isOutside(networks, ip)) outside.push(`pod ${metadata.namespace}/${metadata.name} (${ip})`);
        }
        mustBeInside(outside, text);
      },
    },
    {
      id: 'linkerd-existence/networks-services',
      description: 'cluster networks contains all services',
      hintAnchor: 'l5d-cluster-networks-pods',
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => {
        const { networks, text } = await clusterNetworks(lookups);
        const outside: string[] = [];
        for (const { metadata, spec } of await lookups.list(ServiceKind)) {
          for (const ip of spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP])) {
            if (ip !== 'None' && ip !== '' && isOutside(networks, ip)) outside.push(`svc ${metadata.namespace}/${metadata.name} (${ip})`);
          }
        }
        mustBeInside(outside, text);
      },
    },
  ],
};

function notReady({ metadata, spec, status }: ReplicaSet): string[] {
  const wanted = spec?.replicas ?? 0;
  const failed = status?.conditions?.find(({ type, status: isTrue }) => type === 'ReplicaFailure' && isTrue === 'True');
  if (failed !== undefined) return [`${metadata.name}: ${failed.message ?? 'its pods cannot be created'}`];
  const ready = status?.readyReplicas ?? 0;
  return ready >= wanted ? [] : [`${metadata.name}: ${ready} of ${wanted} pods are ready`];
}

function unschedulable({ metadata, status }: Pod): string[] {
  const condition = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return condition?.status === 'False' && condition.reason === 'Unschedulable' ? [`${metadata.name}: ${condition.message ?? ''}`] : [];
}

/** Throws for a component without a running pod, and for a container that is not ready. */
export function podsMustBeReady(pods: readonly Pod[]): void {
  for (const component of COMPONENTS) {
    const running = pods.filter(
      ({ metadata, status }) =>
        metadata.labels[COMPONENT_LABEL] === component && metadata.deletionTimestamp === undefined && status?.phase === 'Running',
    );
    if (running.length === 0) throw new CheckFailure(`No running pods for "linkerd-${component}"`);
    for (const { metadata, status } of running) {
      const waiting = status?.containerStatuses?.find(({ ready }) => !ready);
      if (waiting !== undefined) throw new CheckFailure(`pod/${metadata.name} container ${waiting.name} is not ready`);
    }
  }
}

async function clusterNetworks(lookups: Lookups): Promise<{ readonly networks: readonly Network[]; readonly text: string }> {
  const text = textAt((await lookups.config()).values, 'clusterNetworks');
  const networks = text.split(',').map((cidr) => {
    const network = parseNetwork(cidr);
    if (network === undefined)
      throw new CheckFailure(`clusterNetworks of the Linkerd installation holds ${JSON.stringify(cidr)}, which is no network`);
    return network;
  });
  return { networks, text };
}

/** What is no address is no offence of the networks. */
function isOutside(networks: readonly Network[], cidr: string): boolean {
  const network = parseNetwork(cidr);
  return network !== undefined && !networks.some((outer) => contains(outer, network));
}

function mustBeInside(outside: readonly string[], text: string): void {
  if (outside.length === 0) return;
  const lines = outside.slice(0, MAX_NAMED).map((what) => `the Linkerd clusterNetworks ["${text}"] do not include ${what}`);
  if (outside.length > MAX_NAMED) lines.push(`and ${outside.length - MAX_NAMED} more`);
  throw new CheckFailure(lines.join('\n'));
}
