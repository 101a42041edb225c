// SPDX-License-Identifier: Apache-2.0
/*
 * Authorizations that no resource states (proxy-contract §5.4): the built-in default policies, in force where the control plane has not said
 * otherwise, and the one that lets a pod talk to itself.
 */
import type { Authorization } from '@weft/routing';

/** Values of the default inbound policy, as in its environment variable and annotation. */
export type DefaultPolicyName =
  | 'all-authenticated'
  | 'all-unauthenticated'
  | 'audit'
  | 'cluster-authenticated'
  | 'cluster-unauthenticated'
  | 'deny';

const ANYWHERE: readonly string[] = ['0.0.0.0/0', '::/0'];
const LOOPBACK: readonly string[] = ['127.0.0.0/8', '::1/128'];

const UNAUTHENTICATED: Authorization['authentication'] = { kind: 'unauthenticated' };
const ANY_IDENTITY: Authorization['authentication'] = { kind: 'identities', identities: [], suffixes: [''] };

/** Whether `text` names a default policy. */
export function isDefaultPolicyName(text: string): text is DefaultPolicyName {
  switch (text) {
    case 'all-authenticated':
    case 'all-unauthenticated':
    case 'audit':
    case 'cluster-authenticated':
    case 'cluster-unauthenticated':
    case 'deny':
      return true;
    default:
      return false;
  }
}

/**
 * The authorizations of a default policy, named for it. `clusterNetworks` (CIDR text) bound the `cluster-` ones. Throws RangeError on a name that
 * `isDefaultPolicyName` does not know: configuration is checked before it gets here.
 */
export function defaultPolicy(name: string, clusterNetworks: readonly string[]): Authorization[] {
  if (!isDefaultPolicyName(name)) throw new RangeError(`no default policy has the name ${name}`);
  switch (name) {
    case 'deny':
      return [];
    case 'all-authenticated':
      return [authorization(name, ANYWHERE, ANY_IDENTITY)];
    case 'all-unauthenticated':
    case 'audit':
      return [authorization(name, ANYWHERE, UNAUTHENTICATED)];
    case 'cluster-authenticated':
      return [authorization(name, clusterNetworks, ANY_IDENTITY)];
    case 'cluster-unauthenticated':
      return [authorization(name, clusterNetworks, UNAUTHENTICATED)];
    default:
      return name satisfies never;
  }
}

/** Lets in clients on the pod's own loopback; belongs to every policy that the control plane gave, and to no built-in one. */
export function loopbackAuthorization(): Authorization {
  return authorization('localhost', LOOPBACK, UNAUTHENTICATED);
}

function authorization(name: string, networks: readonly string[], authentication: Authorization['authentication']): Authorization {
  return { meta: { kind: 'default', name }, networks: networks.map((net) => ({ net, except: [] })), authentication };
}
