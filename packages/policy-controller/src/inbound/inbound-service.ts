// SPDX-License-Identifier: Apache-2.0
/*
 * InboundServerPolicies (control-contract §3.2, features AZ-22): the policy of one port of one workload, once or as a stream. Any port of a known
 * workload has one; a stream ends when its workload is deleted.
 */
import { GRPC_CODES, GrpcStatusError, type ServiceHandlers } from '@weft/grpc-server';
import { inbound } from '@weft/proto';
import type { Derivation } from '../index/dependency-graph.ts';
import type { PolicyIndex } from '../index/policy-index.ts';
import { streamPolicy } from '../index/policy-stream.ts';
import { type PolicyValue, encodePolicy, policyDerivation } from '../index/policy-value.ts';
import { isPort } from '../parse/port-set.ts';
import { type Workload, parseWorkload } from '../parse/workload.ts';
import { inboundPolicy } from './inbound-policy.ts';

/** Handlers for a gRPC server's `register(inbound.InboundServerPolicies, …)`. */
export type InboundHandlers = ServiceHandlers<(typeof inbound.InboundServerPolicies)['method']>;

/** The inbound API over an index. `whenReady` settles once the index knows the world; calls wait for it. */
export function inboundHandlers(index: PolicyIndex, whenReady: () => Promise<void>): InboundHandlers {
  return {
    async getPort(spec) {
      const { derivation } = parseRequest(index, spec);
      await whenReady();
      const policy = derivation.compute(() => undefined);
      if (policy === undefined) throw unknownServer();
      return policy;
    },
    async watchPort(spec, stream) {
      const { name, derivation } = parseRequest(index, spec);
      await whenReady();
      if (!streamPolicy(index.graph, name, derivation, stream)) throw unknownServer();
    },
  };
}

interface InboundRequest {
  readonly name: string;
  readonly derivation: Derivation<PolicyValue<typeof inbound.ServerSchema>>;
}

function parseRequest(index: PolicyIndex, spec: inbound.PortSpec): InboundRequest {
  const workload = parseWorkload(spec.workload);
  if (workload === undefined) throw new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, `Invalid workload: ${spec.workload}`);
  const { port } = spec;
  if (!isPort(port)) throw new GrpcStatusError(GRPC_CODES.INVALID_ARGUMENT, `Invalid port: ${port}`);
  return {
    name: policyName(workload, port),
    derivation: policyDerivation((track) => {
      const policy = inboundPolicy(index, workload, port, track);
      return policy === undefined ? undefined : encodePolicy(inbound.ServerSchema, policy);
    }),
  };
}

function policyName({ kind, namespace, name }: Workload, port: number): string {
  return `inbound/${kind}/${namespace}/${name}:${port}`;
}

function unknownServer(): GrpcStatusError {
  return new GrpcStatusError(GRPC_CODES.NOT_FOUND, 'unknown server');
}
