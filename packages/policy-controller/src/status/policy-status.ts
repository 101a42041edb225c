// SPDX-License-Identifier: Apache-2.0
/*
 * What the status of rate limits and EgressNetworks should say (control-contract §3.4, features REL-17, EG-02): one rate limit per Server, the
 * oldest; no EgressNetwork that claims part of the cluster.
 */
import { byAgeAndName } from '../inbound/server-info.ts';
import type { RateLimitInfo } from '../inbound/rate-limit.ts';
import type { Track } from '../index/dependency-graph.ts';
import { type PolicyIndex, namespaceKey, objectKey } from '../index/policy-index.ts';
import type { EgressNetworkInfo } from '../outbound/egress-network-info.ts';
import { type IpNetwork, type NetworkMatch, contains, overlaps } from '../parse/ip-network.ts';
import { ACCEPTED, type Verdict, notAccepted } from './conditions.ts';

/** The verdict on a rate limit. */
export function rateLimitVerdict(index: PolicyIndex, limit: RateLimitInfo, track: Track): Verdict {
  track(objectKey('server', limit.namespace, limit.serverName));
  if (index.servers.get(limit.namespace, limit.serverName) === undefined) return notAccepted('NoMatchingTarget');
  track(namespaceKey('rate-limits', limit.namespace));
  for (const other of index.rateLimits.inNamespace(limit.namespace)) {
    if (other.serverName === limit.serverName && other.name !== limit.name && byAgeAndName(other, limit) < 0) {
      return notAccepted('RateLimitReasonAlreadyExists');
    }
  }
  return ACCEPTED;
}

/** The verdict on an EgressNetwork. */
export function egressNetworkVerdict(egress: EgressNetworkInfo, clusterNetworks: readonly IpNetwork[]): Verdict {
  const isOverlapping = egress.hasOwnNetworks && egress.networks.some((match) => clusterNetworks.some((cluster) => claims(match, cluster)));
  return isOverlapping ? notAccepted('EgressReasonNetworkOverlap', 'networks overlap with clusterNetworks') : ACCEPTED;
}

/** Whether a network holds a part of the cluster that no exception takes out. */
function claims({ network, except }: NetworkMatch, cluster: IpNetwork): boolean {
  if (!overlaps(network, cluster)) return false;
  const common = contains(network, cluster) ? cluster : network;
  return !except.some((part) => contains(part, common));
}
