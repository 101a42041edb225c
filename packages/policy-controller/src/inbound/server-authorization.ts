// SPDX-License-Identifier: Apache-2.0
/*
 * ServerAuthorizations (control-contract §3.2, features AZ-02): Servers by name or labels, clients by network and by identity. Empty networks
 * mean the cluster's.
 */
import { type ServerAuthorization, matchesLabelSelector } from '@weft/resources';
import { type IpNetwork, type NetworkMatch, networkMessage, parseNetworkMatch } from '../parse/ip-network.ts';
import { type Parsed, invalid, parseEach, valid } from '../parse/parsed.ts';
import { resourceAuthz } from './authz-message.ts';
import { type AuthnInit, type AuthzInit, unauthenticated } from './default-policy.ts';
import { type IdentityDomain, identitiesAuthentication, parseIdentityMatch, serviceAccountMatch } from './identity-match.ts';
import type { ServerInfo } from './server-info.ts';

export interface ServerAuthorizationInfo {
  readonly name: string;
  appliesTo(server: ServerInfo): boolean;
  readonly authz: AuthzInit;
}

/** Reads a ServerAuthorization; one that names no client is invalid, hence ignored. */
export function serverAuthorizationInfo(
  object: ServerAuthorization,
  domain: IdentityDomain,
  clusterNetworks: readonly IpNetwork[],
): Parsed<ServerAuthorizationInfo> {
  const { name } = object.metadata;
  const spec = object.spec;
  if (spec === undefined) return invalid('no spec');
  const networks = parseEach(spec.client.networks, parseNetworkMatch);
  if (!networks.ok) return networks;
  const authentication = clientAuthentication(object, domain);
  if (authentication === undefined) return invalid('no client is authorized');
  const { server } = spec;
  return valid({
    name,
    appliesTo: (candidate) =>
      server.name === undefined ? matchesLabelSelector(candidate.labels, server.selector) : server.name === candidate.name,
    authz: resourceAuthz('serverauthorization', name, networksOrCluster(networks.value, clusterNetworks), authentication),
  });
}

function networksOrCluster(networks: readonly NetworkMatch[], clusterNetworks: readonly IpNetwork[]): AuthzInit['networks'] {
  if (networks.length === 0) return clusterNetworks.map((network) => ({ net: networkMessage(network) }));
  return networks.map(({ network, except }) => ({ net: networkMessage(network), except: except.map(networkMessage) }));
}

function clientAuthentication(object: ServerAuthorization, domain: IdentityDomain): AuthnInit | undefined {
  const client = object.spec?.client;
  if (client?.unauthenticated === true) return unauthenticated();
  const meshTLS = client?.meshTLS;
  if (meshTLS === undefined) return undefined;
  if (meshTLS.unauthenticatedTLS === true) {
    return { permit: { case: 'meshTLS', value: { clients: { case: 'unauthenticated', value: {} } } } };
  }
  const identities = [
    ...(meshTLS.identities ?? []).map(parseIdentityMatch),
    ...(meshTLS.serviceAccounts ?? []).map(({ name, namespace }) =>
      serviceAccountMatch(name, namespace ?? object.metadata.namespace, domain),
    ),
  ];
  return identities.length === 0 ? undefined : identitiesAuthentication(identities);
}
