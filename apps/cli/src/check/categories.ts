// SPDX-License-Identifier: Apache-2.0
/* Which checks a run has, and in which order (features CK-22). */
import type { Category } from './check.ts';
import { config, definitionsOnly } from './checks/config.ts';
import { dataPlane } from './checks/data-plane.ts';
import { existence } from './checks/existence.ts';
import { identity, identityDataPlane } from './checks/identity.ts';
import { cniPlugin, extensionNamespaces, highAvailability } from './checks/installation.ts';
import { gatewayApi, kubernetesApi, kubernetesVersion } from './checks/kubernetes.ts';
import { opaquePorts } from './checks/opaque-ports.ts';
import { preInstall } from './checks/pre-install.ts';
import { cliVersion, controlPlaneProxies, controlPlaneVersions } from './checks/versions.ts';
import { webhooks } from './checks/webhooks.ts';

/** What `weft check` is asked for. */
export type CheckScope = 'installed' | 'pre' | 'crds' | 'proxy';

const CLUSTER: readonly Category[] = [kubernetesApi, kubernetesVersion];
const CONTROL_PLANE: readonly Category[] = [...CLUSTER, gatewayApi, cliVersion, config, existence, identity, webhooks];

/** The categories of a scope. The CNI and HA checks leave themselves out where they do not apply. */
export function categoriesOf(scope: CheckScope): readonly Category[] {
  switch (scope) {
    case 'pre':
      return [...CLUSTER, preInstall, cniPlugin, cliVersion];
    case 'crds':
      return [...CLUSTER, gatewayApi, cliVersion, definitionsOnly];
    case 'proxy':
      return [...CONTROL_PLANE, identityDataPlane, controlPlaneProxies, dataPlane, opaquePorts, cniPlugin, highAvailability];
    case 'installed':
      return [...CONTROL_PLANE, controlPlaneProxies, controlPlaneVersions, extensionNamespaces, cniPlugin, highAvailability];
  }
}
