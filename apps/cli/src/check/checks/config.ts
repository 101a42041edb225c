// SPDX-License-Identifier: Apache-2.0
/* The objects of an installation that are not workloads: CK-05 and CK-06. */
import { isResourceError, NodeKind, ServiceAccountKind } from '@weft/resources';
import type { Resource, ResourceKind } from '@weft/resources';
import {
  ClusterRoleBindingKind,
  ClusterRoleKind,
  CustomResourceDefinitionKind,
  MutatingWebhookKind,
  ValidatingWebhookKind,
} from '../../kube/kinds.ts';
import { valueAt } from '../../kube/mesh-config.ts';
import { CheckFailure, NotApplicable } from '../check.ts';
import type { Category, Check } from '../check.ts';
import type { Lookups } from '../lookups.ts';
import { CONTROL_PLANE_DEFINITIONS, missingDefinitions } from './definitions.ts';
import { MUTATING_WEBHOOKS_EXIST, NAMESPACE_EXISTS, QUERY_API, VALIDATING_WEBHOOKS_EXIST } from './ids.ts';

/** Throws for what is missing, in the words of the reference. */
export async function mustExist(
  lookups: Lookups,
  kind: ResourceKind,
  namespace: string | undefined,
  wanted: readonly string[],
): Promise<void> {
  const found: readonly Resource[] = await lookups.list(kind, namespace === undefined ? {} : { namespace });
  const names = new Set(found.map(({ metadata }) => metadata.name));
  const missing = wanted.filter((name) => !names.has(name));
  if (missing.length > 0) throw new CheckFailure(`missing ${kind.kind}s: ${missing.join(', ')}`);
}

function definitionsCheck(id: string, needs: string): Check {
  return {
    id,
    description: 'control plane CustomResourceDefinitions exist',
    hintAnchor: 'l5d-existence-crd',
    needs: [needs],
    run: async (lookups) => {
      const missing = missingDefinitions(CONTROL_PLANE_DEFINITIONS, await lookups.list(CustomResourceDefinitionKind));
      if (missing.length > 0) throw new CheckFailure(`missing CustomResourceDefinitions: ${missing.join(', ')}`);
    },
  };
}

/** With `--crds`. */
export const definitionsOnly: Category = { name: 'linkerd-crd', checks: [definitionsCheck('linkerd-crd/definitions', QUERY_API)] };

function existence(id: string, hintAnchor: string, kind: ResourceKind, names: (namespace: string) => readonly string[]): Check {
  return {
    id,
    description: `control plane ${kind.kind}s exist`,
    hintAnchor,
    needs: [NAMESPACE_EXISTS],
    run: (lookups) => {
      const { controlPlaneNamespace: namespace } = lookups.settings;
      return mustExist(lookups, kind, kind.isNamespaced ? namespace : undefined, names(namespace));
    },
  };
}

export const config: Category = {
  name: 'linkerd-config',
  checks: [
    {
      id: NAMESPACE_EXISTS,
      description: 'control plane Namespace exists',
      hintAnchor: 'l5d-existence-ns',
      needs: [QUERY_API],
      run: (lookups) => namespaceMustExist(lookups, lookups.settings.controlPlaneNamespace),
    },
    existence('linkerd-config/cluster-roles', 'l5d-existence-cr', ClusterRoleKind, (namespace) => [
      `linkerd-${namespace}-destination`,
      `linkerd-${namespace}-identity`,
      `linkerd-${namespace}-proxy-injector`,
      'linkerd-policy',
    ]),
    existence('linkerd-config/cluster-role-bindings', 'l5d-existence-crb', ClusterRoleBindingKind, (namespace) => [
      `linkerd-${namespace}-destination`,
      `linkerd-${namespace}-identity`,
      `linkerd-${namespace}-proxy-injector`,
      'linkerd-destination-policy',
    ]),
    existence('linkerd-config/service-accounts', 'l5d-existence-sa', ServiceAccountKind, () => [
      'linkerd-destination',
      'linkerd-identity',
      'linkerd-proxy-injector',
    ]),
    definitionsCheck('linkerd-config/definitions', NAMESPACE_EXISTS),
    existence(MUTATING_WEBHOOKS_EXIST, 'l5d-existence-mwc', MutatingWebhookKind, () => ['linkerd-proxy-injector-webhook-config']),
    existence(VALIDATING_WEBHOOKS_EXIST, 'l5d-existence-vwc', ValidatingWebhookKind, () => [
      'linkerd-policy-validator-webhook-config',
      'linkerd-sp-validator-webhook-config',
    ]),
    {
      id: 'linkerd-config/docker-root',
      description: 'proxy-init container runs as root user if docker container runtime is used',
      hintAnchor: 'l5d-proxy-init-run-as-root',
      needs: [NAMESPACE_EXISTS],
      run: async (lookups) => {
        // A missing configuration is told by its own check.
        const installed = await lookups.config().catch(() => undefined);
        if (installed === undefined) throw new NotApplicable();
        if (valueAt(installed.values, 'proxyInit.runAsRoot') === true || valueAt(installed.values, 'cniEnabled') === true) return;
        if ((await dockerNodes(lookups)).length > 0) {
          throw new CheckFailure(
            'there are nodes using the docker container runtime and proxy-init container must run as root user.\ntry installing linkerd via --set proxyInit.runAsRoot=true',
          );
        }
      },
    },
  ],
};

/** Throws CheckFailure when a namespace is not there. */
export async function namespaceMustExist(lookups: Lookups, name: string): Promise<void> {
  try {
    await lookups.namespace(name);
  } catch (error) {
    if (isResourceError(error, 'ERR_NOT_FOUND')) throw new CheckFailure(`The "${name}" namespace does not exist`);
    throw error;
  }
}

async function dockerNodes(lookups: Lookups): Promise<string[]> {
  const nodes = await lookups.list(NodeKind);
  return nodes
    .filter(({ status }) => {
      const info = (status as { readonly nodeInfo?: { readonly containerRuntimeVersion?: string } } | undefined)?.nodeInfo;
      return info?.containerRuntimeVersion?.startsWith('docker:') === true;
    })
    .map(({ metadata }) => metadata.name);
}
