// SPDX-License-Identifier: Apache-2.0
/*
 * EgressNetworks and which of them an address falls into (control-contract §3.3, features EG-01, EG-03): those of the client's namespace, else
 * the global ones; among those that hold the address the smallest block, then the oldest, then the first by name.
 */
import type { EgressNetwork } from '@weft/resources';
import { compareText } from '../inbound/server-info.ts';
import { readConditions } from '../parse/conditions.ts';
import {
  ALL_NETWORKS,
  type IpAddress,
  type IpNetwork,
  type NetworkMatch,
  addressCount,
  contains,
  parseNetworkMatch,
} from '../parse/ip-network.ts';
import { type Parsed, parseEach, valid } from '../parse/parsed.ts';
import { PLAIN_LOAD } from './load-biaser.ts';
import { type TrafficSettings, trafficSettings } from './service-info.ts';

export interface EgressNetworkInfo {
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339, seconds. */
  readonly creationTimestamp: string;
  readonly trafficPolicy: 'Allow' | 'Deny';
  readonly networks: readonly NetworkMatch[];
  /** Whether the networks are those written in the object, not the default. */
  readonly hasOwnNetworks: boolean;
  readonly settings: TrafficSettings;
  /** What of the object is policy; two objects that differ in status only have equal texts. */
  readonly fingerprint: string;
  readonly status: EgressNetwork['status'];
}

/** Reads an EgressNetwork; without networks it holds everything outside the cluster. */
export function egressNetworkInfo(
  object: EgressNetwork,
  clusterNetworks: readonly IpNetwork[],
  onIgnored: (reason: string) => void,
): Parsed<EgressNetworkInfo> {
  const { namespace, name, creationTimestamp, annotations } = object.metadata;
  const own = parseEach(object.spec?.networks, parseNetworkMatch);
  if (!own.ok) return own;
  const hasOwnNetworks = object.spec?.networks !== undefined;
  return valid({
    namespace,
    name,
    creationTimestamp,
    trafficPolicy: object.spec?.trafficPolicy === 'Allow' ? 'Allow' : 'Deny',
    networks: hasOwnNetworks ? own.value : outsideCluster(clusterNetworks),
    hasOwnNetworks,
    // Nothing balances over addresses outside the cluster, so nothing can be penalised.
    settings: { ...trafficSettings(annotations, onIgnored), load: PLAIN_LOAD },
    fingerprint: JSON.stringify([object.metadata.uid, object.spec, annotations]),
    status: object.status === undefined ? undefined : { ...object.status, conditions: readConditions(object.status.conditions) },
  });
}

/** The EgressNetwork that rules over `address`, of those of one namespace; undefined if none does. */
export function matchingEgressNetwork(candidates: Iterable<EgressNetworkInfo>, address: IpAddress): EgressNetworkInfo | undefined {
  let best: { readonly network: EgressNetworkInfo; readonly size: bigint } | undefined;
  for (const network of candidates) {
    const size = smallestBlock(network, address);
    if (size === undefined) continue;
    if (best === undefined || size < best.size || (size === best.size && isBefore(network, best.network))) best = { network, size };
  }
  return best?.network;
}

function outsideCluster(clusterNetworks: readonly IpNetwork[]): NetworkMatch[] {
  return ALL_NETWORKS.map((network) => ({ network, except: clusterNetworks.filter(({ bits }) => bits === network.bits) }));
}

/** Size of the smallest block that holds the address, its exceptions taken off. */
function smallestBlock(egress: EgressNetworkInfo, address: IpAddress): bigint | undefined {
  let smallest: bigint | undefined;
  for (const { network, except } of egress.networks) {
    if (!contains(network, address) || except.some((part) => contains(part, address))) continue;
    const size = except.reduce((left, part) => left - addressCount(part), addressCount(network));
    if (smallest === undefined || size < smallest) smallest = size;
  }
  return smallest;
}

function isBefore(a: EgressNetworkInfo, b: EgressNetworkInfo): boolean {
  return (compareText(a.creationTimestamp, b.creationTimestamp) || compareText(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`)) < 0;
}
