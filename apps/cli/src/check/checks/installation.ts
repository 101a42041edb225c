// SPDX-License-Identifier: Apache-2.0
/* Replicas of a highly available control plane (CK-16), namespaces of extensions (CK-17), and the CNI plugin (CK-18). */
import { ConfigMapKind, DaemonSetKind, DeploymentKind, isResourceError, NamespaceKind, ServiceAccountKind } from '@weft/resources';
import type { ResourceKind } from '@weft/resources';
import { ClusterRoleBindingKind, ClusterRoleKind } from '../../kube/kinds.ts';
import { EXTENSION_LABEL, valueAt } from '../../kube/mesh-config.ts';
import { CheckFailure, NotApplicable } from '../check.ts';
import type { Category, Check } from '../check.ts';
import type { Lookups } from '../lookups.ts';
import { COMPONENTS } from './existence.ts';
import { CONFIG_MAP_EXISTS, QUERY_API } from './ids.ts';

export const highAvailability: Category = {
  name: 'linkerd-ha-checks',
  checks: [
    {
      id: 'linkerd-ha-checks/replicas',
      description: 'multiple replicas of control plane pods',
      hintAnchor: 'l5d-control-plane-replicas',
      isWarning: true,
      isAwaited: true,
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => {
        if (valueAt((await lookups.config()).values, 'highAvailability') !== true) throw new NotApplicable();
        const deployments = await lookups.list(DeploymentKind, { namespace: lookups.settings.controlPlaneNamespace });
        const few = COMPONENTS.map((component) => `linkerd-${component}`).filter(
          (name) => (deployments.find(({ metadata }) => metadata.name === name)?.status?.availableReplicas ?? 0) < 2,
        );
        if (few.length > 0) throw new CheckFailure(`not enough replicas available for [${few.join(' ')}]`);
      },
    },
  ],
};

export const extensionNamespaces: Category = {
  name: 'linkerd-extension-checks',
  checks: [
    {
      id: 'linkerd-extension-checks/namespaces',
      description: 'namespace configuration for extensions',
      hintAnchor: 'l5d-extension-namespaces',
      isWarning: true,
      needs: [QUERY_API],
      run: async (lookups) => {
        const owners = new Map<string, string[]>();
        for (const { metadata } of await lookups.list(NamespaceKind, { labelSelector: EXTENSION_LABEL })) {
          const name = metadata.labels[EXTENSION_LABEL] ?? '';
          owners.set(name, [...(owners.get(name) ?? []), metadata.name]);
        }
        const lines = [...owners]
          .filter(([, namespaces]) => namespaces.length > 1)
          .flatMap(([name, namespaces]) => [
            `* label "${EXTENSION_LABEL}=${name}" is present on more than one namespace:`,
            ...namespaces.map((namespace) => `    * ${namespace}`),
          ]);
        if (lines.length > 0) throw new CheckFailure(['some extensions have invalid configuration', ...lines].join('\n'));
      },
    },
  ],
};

const CNI_NAME = 'linkerd-cni';
const CNI_CONFIG_MAP = 'linkerd-cni-config';

function cniObject(id: string, anchor: string, kind: ResourceKind, name: string): Check {
  return {
    id: `linkerd-cni-plugin/${id}`,
    description: `cni plugin ${kind.kind} exists`,
    hintAnchor: `cni-plugin-${anchor}-exists`,
    needs: [QUERY_API],
    run: async (lookups) => {
      await mustUsePlugin(lookups);
      try {
        await lookups.get(kind, kind.isNamespaced ? lookups.settings.cniNamespace : '', name);
      } catch (error) {
        if (isResourceError(error, 'ERR_NOT_FOUND')) throw new CheckFailure(`missing ${kind.kind}: ${name}`);
        throw error;
      }
    },
  };
}

async function mustUsePlugin(lookups: Lookups): Promise<void> {
  if (lookups.settings.isCniExpected) return;
  const installed = await lookups.config().catch(() => undefined);
  if (installed === undefined || valueAt(installed.values, 'cniEnabled') !== true) throw new NotApplicable();
}

export const cniPlugin: Category = {
  name: 'linkerd-cni-plugin',
  checks: [
    cniObject('config-map', 'cm', ConfigMapKind, CNI_CONFIG_MAP),
    cniObject('cluster-role', 'cr', ClusterRoleKind, CNI_NAME),
    cniObject('cluster-role-binding', 'crb', ClusterRoleBindingKind, CNI_NAME),
    cniObject('service-account', 'sa', ServiceAccountKind, CNI_NAME),
    cniObject('daemon-set', 'ds', DaemonSetKind, CNI_NAME),
    {
      id: 'linkerd-cni-plugin/ready',
      description: 'cni plugin pod is running on all nodes',
      hintAnchor: 'cni-plugin-ready',
      isAwaited: true,
      needs: ['linkerd-cni-plugin/daemon-set'],
      run: async (lookups) => {
        const { status = {} } = await lookups.get(DaemonSetKind, lookups.settings.cniNamespace, CNI_NAME);
        const ready = Number(status['numberReady'] ?? 0);
        const scheduled = Number(status['desiredNumberScheduled'] ?? 0);
        if (ready !== scheduled) throw new CheckFailure(`number ready: ${ready}, number scheduled: ${scheduled}`);
      },
    },
  ],
};
