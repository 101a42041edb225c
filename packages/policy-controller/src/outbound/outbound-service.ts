// SPDX-License-Identifier: Apache-2.0
/*
 * OutboundPolicies (control-contract §3.3, features RT-27): the policy of traffic to an address or authority, once or as a stream. Streams about the
 * world outside end when an EgressNetwork that could claim them changes, so that the client asks again; those that such a change updates get
 * the new policy first.
 */
import { GRPC_CODES, GrpcStatusError, type ServiceHandlers } from '@weft/grpc-server';
import type { outbound } from '@weft/proto';
import type { Derivation } from '../index/dependency-graph.ts';
import type { PolicyIndex } from '../index/policy-index.ts';
import { streamPolicy } from '../index/policy-stream.ts';
import { type PolicyValue, policyDerivation } from '../index/policy-value.ts';
import { derivePolicy, policyName } from './outbound-derivation.ts';
import { type OutboundRequest, type OutboundTarget, parseOutboundRequest, resolveTarget } from './outbound-target.ts';
import type { ServiceInfo } from './service-info.ts';

/** Handlers for a gRPC server's `register(outbound.OutboundPolicies, …)`. */
export type OutboundHandlers = ServiceHandlers<(typeof outbound.OutboundPolicies)['method']>;

/** The outbound API over an index. `whenReady` settles once the index knows the world; calls wait for it. */
export function outboundHandlers(index: PolicyIndex, whenReady: () => Promise<void>): OutboundHandlers {
  const { clusterDomain } = index.config;
  return {
    async get(spec) {
      const request = parseOutboundRequest(spec, clusterDomain);
      await whenReady();
      const policy = derivation(index, targetOf(index, request), request).compute(() => undefined);
      if (policy === undefined) throw noSuchService();
      return policy;
    },
    async watch(spec, stream) {
      const request = parseOutboundRequest(spec, clusterDomain);
      await whenReady();
      const target = targetOf(index, request);
      const { sourceNamespace } = request;
      if (!streamPolicy(index.graph, policyName(target, sourceNamespace), derivation(index, target, request), stream))
        throw noSuchService();
      if (target.kind !== 'outside' && target.kind !== 'egress-network') return;
      const forget = index.onEgressNetworkChange((namespace) => {
        if (!concerns(index, target, sourceNamespace, namespace)) return;
        index.graph.flush();
        stream.end();
      });
      stream.onCancel(forget);
    },
  };
}

function targetOf(index: PolicyIndex, request: OutboundRequest): OutboundTarget {
  const target = resolveTarget(index, request);
  if (target === undefined) throw noSuchService();
  return target;
}

function derivation(
  index: PolicyIndex,
  target: OutboundTarget,
  { sourceNamespace }: OutboundRequest,
): Derivation<PolicyValue<typeof outbound.OutboundPolicySchema>> {
  const lastKnown: { service: ServiceInfo | undefined } = { service: undefined };
  return policyDerivation((track) => derivePolicy(index, target, sourceNamespace, lastKnown, track));
}

/** Whether a change of EgressNetworks in a namespace may change which of them, if any, a target belongs to. */
function concerns(index: PolicyIndex, target: OutboundTarget, sourceNamespace: string, changed: string): boolean {
  if (target.kind !== 'egress-network') return true;
  return changed === sourceNamespace || changed === target.namespace || changed === index.config.globalEgressNetworkNamespace;
}

function noSuchService(): GrpcStatusError {
  return new GrpcStatusError(GRPC_CODES.NOT_FOUND, 'No such service');
}
