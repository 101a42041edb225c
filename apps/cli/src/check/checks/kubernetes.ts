// SPDX-License-Identifier: Apache-2.0
/* The cluster itself: CK-01 to CK-03. */
import { CheckFailure } from '../check.ts';
import type { Category } from '../check.ts';
import { CustomResourceDefinitionKind } from '../../kube/kinds.ts';
import type { Lookups } from '../lookups.ts';
import { missingDefinitions } from './definitions.ts';
import { QUERY_API } from './ids.ts';

/** Oldest Kubernetes that is supported. */
export const MIN_KUBERNETES_VERSION: readonly [number, number, number] = [1, 31, 0];

/** Definitions of the Gateway API without which routes cannot be read; the versions that must be served. */
export const GATEWAY_DEFINITIONS: Readonly<Record<string, readonly string[]>> = {
  'httproutes.gateway.networking.k8s.io': ['v1'],
  'grpcroutes.gateway.networking.k8s.io': ['v1'],
};

export const kubernetesApi: Category = {
  name: 'kubernetes-api',
  checks: [
    {
      id: 'kubernetes-api/client',
      description: 'can initialize the client',
      hintAnchor: 'k8s-api',
      run: async (lookups) => void (await lookups.cluster()),
    },
    {
      id: QUERY_API,
      description: 'can query the Kubernetes API',
      hintAnchor: 'k8s-api',
      needs: ['kubernetes-api/client'],
      run: async (lookups) => void (await lookups.read('/version')),
    },
  ],
};

export const kubernetesVersion: Category = {
  name: 'kubernetes-version',
  checks: [
    {
      id: 'kubernetes-version/minimum',
      description: 'is running the minimum Kubernetes API version',
      hintAnchor: 'k8s-version',
      needs: [QUERY_API],
      run: checkVersion,
    },
  ],
};

async function checkVersion(lookups: Lookups): Promise<void> {
  const { gitVersion = '' } = (await lookups.read('/version')) as { readonly gitVersion?: string };
  const version = /^v?(\d+)\.(\d+)\.(\d+)/.exec(gitVersion)?.slice(1).map(Number);
  if (version === undefined) throw new CheckFailure(`unexpected version format: ${gitVersion}`);
  const minimum = MIN_KUBERNETES_VERSION;
  const at = version.findIndex((number, index) => number !== minimum[index]);
  if (at >= 0 && (version[at] as number) < (minimum[at] as number)) {
    throw new CheckFailure(
      `Kubernetes is on version [${version.join('.')}], but version [${minimum.join('.')}] or more recent is required`,
    );
  }
}

export const gatewayApi: Category = {
  name: 'gateway-api-crd',
  checks: [
    {
      id: 'gateway-api-crd/installed',
      description: 'Gateway API CRDs are installed',
      hintAnchor: 'gateway-api-crds',
      needs: [QUERY_API],
      run: async (lookups) => {
        const missing = missingDefinitions(GATEWAY_DEFINITIONS, await lookups.list(CustomResourceDefinitionKind));
        if (missing.length > 0) throw new CheckFailure(`the Gateway API CRDs must be installed; missing: ${missing.join(', ')}`);
      },
    },
  ],
};
