// SPDX-License-Identifier: Apache-2.0
/* Before an installation (CK-04): the namespace is free, and the user may create what the charts hold. */
import { isResourceError, NodeKind } from '@weft/resources';
import type { Condition, Node } from '@weft/resources';
import { SelfSubjectAccessReviewKind } from '../../kube/kinds.ts';
import type { SelfSubjectAccessReview } from '../../kube/kinds.ts';
import { collectionPath } from '../../kube/api-reader.ts';
import { CheckFailure } from '../check.ts';
import type { Category, Check } from '../check.ts';
import type { Lookups } from '../lookups.ts';
import { QUERY_API } from './ids.ts';

/** Nodes say every five minutes at the latest that they are ready; a minute is left for the way. */
export const MAX_CLOCK_SKEW_MS: number = 6 * 60_000;

interface Action {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

const CLUSTER_WIDE: readonly Action[] = [
  { verb: 'create', group: '', resource: 'namespaces' },
  { verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
  { verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings' },
  { verb: 'create', group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' },
  { verb: 'create', group: 'admissionregistration.k8s.io', resource: 'mutatingwebhookconfigurations' },
  { verb: 'create', group: 'admissionregistration.k8s.io', resource: 'validatingwebhookconfigurations' },
];

function permission(what: string, action: Omit<Action, 'namespace'>): Check {
  return {
    id: `pre-kubernetes-setup/${action.verb}-${action.resource}`,
    description: `can ${what}`,
    hintAnchor: 'pre-k8s',
    needs: [QUERY_API],
    run: (lookups) => mustBeAllowed(lookups, [{ ...action, namespace: lookups.settings.controlPlaneNamespace }]),
  };
}

export const preInstall: Category = {
  name: 'pre-kubernetes-setup',
  checks: [
    {
      id: 'pre-kubernetes-setup/namespace',
      description: 'control plane namespace does not already exist',
      hintAnchor: 'pre-ns',
      needs: [QUERY_API],
      run: async (lookups) => {
        const { controlPlaneNamespace: name } = lookups.settings;
        try {
          await lookups.namespace(name);
        } catch (error) {
          if (isResourceError(error, 'ERR_NOT_FOUND')) return;
          throw error;
        }
        throw new CheckFailure(`The "${name}" namespace already exists`);
      },
    },
    {
      id: 'pre-kubernetes-setup/create-cluster-wide',
      description: 'can create non-namespaced resources',
      hintAnchor: 'pre-k8s-cluster-k8s',
      needs: [QUERY_API],
      run: (lookups) => mustBeAllowed(lookups, CLUSTER_WIDE),
    },
    permission('create ServiceAccounts', { verb: 'create', group: '', resource: 'serviceaccounts' }),
    permission('create Services', { verb: 'create', group: '', resource: 'services' }),
    permission('create Deployments', { verb: 'create', group: 'apps', resource: 'deployments' }),
    permission('create CronJobs', { verb: 'create', group: 'batch', resource: 'cronjobs' }),
    permission('create ConfigMaps', { verb: 'create', group: '', resource: 'configmaps' }),
    permission('create Secrets', { verb: 'create', group: '', resource: 'secrets' }),
    permission('read Secrets', { verb: 'get', group: '', resource: 'secrets' }),
    {
      id: 'pre-kubernetes-setup/authentication-reader',
      description: 'can read extension-apiserver-authentication configmap',
      hintAnchor: 'pre-k8s',
      needs: [QUERY_API],
      run: (lookups) =>
        mustBeAllowed(lookups, [
          { verb: 'get', group: '', resource: 'configmaps', namespace: 'kube-system', name: 'extension-apiserver-authentication' },
        ]),
    },
    {
      id: 'pre-kubernetes-setup/clock-skew',
      description: 'no clock skew detected',
      hintAnchor: 'pre-k8s-clock-skew',
      isWarning: true,
      needs: [QUERY_API],
      run: async (lookups) => {
        const skewed = skewedNodes(await lookups.list(NodeKind), lookups.nowMs());
        if (skewed.length > 0) throw new CheckFailure(`clock skew detected for node(s): ${skewed.join(', ')}`);
      },
    },
  ],
};

/** Nodes that are ready and whose last report is too far from now, in either direction. */
export function skewedNodes(nodes: readonly Node[], nowMs: number): string[] {
  return nodes
    .filter(({ status }) => {
      const ready: (Condition & { readonly lastHeartbeatTime?: string }) | undefined = status?.conditions?.find(
        ({ type }) => type === 'Ready',
      );
      const reportedMs = Date.parse(ready?.lastHeartbeatTime ?? '');
      return ready?.status === 'True' && Math.abs(nowMs - reportedMs) > MAX_CLOCK_SKEW_MS;
    })
    .map(({ metadata }) => metadata.name);
}

async function mustBeAllowed(lookups: Lookups, actions: readonly Action[]): Promise<void> {
  const cluster = await lookups.cluster();
  const refused: string[] = [];
  for (const action of actions) {
    const review = (await cluster.call({
      method: 'POST',
      path: collectionPath(SelfSubjectAccessReviewKind),
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: action },
      },
    })) as SelfSubjectAccessReview;
    if (review.status?.allowed !== true) {
      const reason = review.status?.reason ?? '';
      refused.push(
        `not authorized to ${action.verb} ${action.resource}${action.group === '' ? '' : `.${action.group}`}${reason === '' ? '' : `: ${reason}`}`,
      );
    }
  }
  if (refused.length > 0) throw new CheckFailure(refused.join('\n'));
}
