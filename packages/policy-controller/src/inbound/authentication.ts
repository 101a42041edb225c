// SPDX-License-Identifier: Apache-2.0
/*
 * What AuthorizationPolicies refer to (control-contract §3.2, features AZ-04, AZ-05): MeshTLSAuthentication, a set of identities, and
 * NetworkAuthentication, a set of networks.
 */
import type { MeshTLSAuthentication, NetworkAuthentication } from '@weft/resources';
import { type NetworkMatch, parseNetworkMatch } from '../parse/ip-network.ts';
import { type Parsed, invalid, parseEach, valid } from '../parse/parsed.ts';
import { type IdentityDomain, type IdentityMatch, namespaceIdentities, parseIdentityMatch, serviceAccountMatch } from './identity-match.ts';

/** The identities that a MeshTLSAuthentication names; naming none makes it invalid. */
export function meshTlsIdentities(object: MeshTLSAuthentication, domain: IdentityDomain): Parsed<readonly IdentityMatch[]> {
  const identities = (object.spec?.identities ?? []).map(parseIdentityMatch);
  for (const ref of object.spec?.identityRefs ?? []) {
    if (ref.kind.toLowerCase() === 'serviceaccount' && ref.name !== undefined) {
      identities.push(serviceAccountMatch(ref.name, ref.namespace ?? object.metadata.namespace, domain));
    } else if (ref.kind.toLowerCase() === 'namespace' && ref.name !== undefined) {
      identities.push(namespaceIdentities(ref.name, domain));
    } else {
      return invalid(`unsupported identity reference ${ref.kind}`);
    }
  }
  return identities.length === 0 ? invalid('no identity is named') : valid(identities);
}

/** The networks that a NetworkAuthentication names. */
export function authenticatedNetworks(object: NetworkAuthentication): Parsed<readonly NetworkMatch[]> {
  const networks = parseEach(object.spec?.networks, parseNetworkMatch);
  return networks.ok && networks.value.length === 0 ? invalid('no network is named') : networks;
}
