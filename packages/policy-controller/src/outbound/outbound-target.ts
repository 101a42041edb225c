// SPDX-License-Identifier: Apache-2.0
/*
 * What a request for outbound policy asks about, and what that stands for now (control-contract §3.3): a Service's port, a port that the Service
 * does not have, an EgressNetwork, or the world outside. The answer is settled when a stream begins; later changes end the stream where they
 * would alter it.
 */
import { GRPC_CODES, GrpcStatusError } from '@weft/grpc-server';
import type { outbound } from '@weft/proto';
import type { PolicyIndex } from '../index/policy-index.ts';
import { parseServiceAuthority } from '../parse/authority.ts';
import { contains, ipOfMessage } from '../parse/ip-network.ts';
import { parseWorkload } from '../parse/workload.ts';
import { matchingEgressNetwork } from './egress-network-info.ts';
import type { SocketAddress } from './outbound-parent.ts';

/** The question, checked. */
export interface OutboundRequest {
  readonly sourceNamespace: string;
  readonly target:
    | { readonly kind: 'address'; readonly address: SocketAddress }
    | { readonly kind: 'authority'; readonly namespace: string; readonly name: string; readonly port: number };
}

/** What the question is about. */
export type OutboundTarget =
  /** `address` where the client asked by IP. */
  | {
      readonly kind: 'service';
      readonly namespace: string;
      readonly name: string;
      readonly port: number;
      readonly address: SocketAddress | undefined;
    }
  | { readonly kind: 'undefined-port'; readonly namespace: string; readonly name: string; readonly port: number }
  | { readonly kind: 'egress-network'; readonly namespace: string; readonly name: string; readonly address: SocketAddress }
  | { readonly kind: 'outside'; readonly address: SocketAddress };

/** Checks a request. Throws GrpcStatusError with the status and text of the reference. */
export function parseOutboundRequest(spec: outbound.TrafficSpec, clusterDomain: string): OutboundRequest {
  const workload = parseWorkload(spec.sourceWorkload);
  if (workload === undefined) throw badRequest(`Invalid workload: ${spec.sourceWorkload}`);
  const sourceNamespace = workload.namespace;
  switch (spec.target.case) {
    case 'addr': {
      const { ip, port } = spec.target.value;
      if (port === 0) throw badRequest('port cannot be zero');
      if (port > 65_535) throw badRequest('port outside valid range');
      const address = ipOfMessage(ip);
      if (address === undefined) throw badRequest('traffic target must have an IP');
      return { sourceNamespace, target: { kind: 'address', address: { ip: address, port } } };
    }
    case 'authority': {
      const service = parseServiceAuthority(spec.target.value, clusterDomain);
      if (service === 'not-an-authority') throw badRequest('invalid authority');
      if (service === 'not-a-service') {
        throw new GrpcStatusError(GRPC_CODES.NOT_FOUND, `authority must be of the form <name>.<namespace>.svc.${clusterDomain}`);
      }
      return { sourceNamespace, target: { kind: 'authority', ...service } };
    }
    default:
      throw badRequest('target is required');
  }
}

/** What a request is about now, or undefined for an address of the cluster that is no Service's. */
export function resolveTarget(index: PolicyIndex, request: OutboundRequest): OutboundTarget | undefined {
  const { target } = request;
  if (target.kind === 'authority') {
    const { namespace, name, port } = target;
    return { kind: 'service', namespace, name, port, address: undefined };
  }
  const { address } = target;
  const owner = index.clusterIps.owner(address.ip);
  if (owner !== undefined) {
    const { namespace, name } = owner;
    const isDefined = index.services.get(namespace, name)?.ports.has(address.port) ?? false;
    if (!isDefined) return { kind: 'undefined-port', namespace, name, port: address.port };
    return { kind: 'service', namespace, name, port: address.port, address };
  }
  const egress = egressNetworkOf(index, request.sourceNamespace, address);
  if (egress !== undefined) return { kind: 'egress-network', namespace: egress.namespace, name: egress.name, address };
  return index.config.clusterNetworks.some((network) => contains(network, address.ip)) ? undefined : { kind: 'outside', address };
}

/** The global namespace is asked only where the client's own has no EgressNetwork at all. */
function egressNetworkOf(index: PolicyIndex, sourceNamespace: string, { ip }: SocketAddress): ReturnType<typeof matchingEgressNetwork> {
  const own = [...index.egressNetworks.inNamespace(sourceNamespace)];
  const candidates = own.length > 0 ? own : index.egressNetworks.inNamespace(index.config.globalEgressNetworkNamespace);
  return matchingEgressNetwork(candidates, ip);
}

function badRequest(details: string): GrpcStatusError {
  return new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, details);
}
