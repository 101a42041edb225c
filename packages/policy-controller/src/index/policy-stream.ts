// SPDX-License-Identifier: Apache-2.0
/*
 * One stream that follows one policy: the value now, then each later one; OK when there is no more to say (control-contract §3.1).
 */
import type { DescMessage } from '@bufbuild/protobuf';
import type { ServerStream } from '@weft/grpc-server';
import type { DependencyGraph, Derivation } from './dependency-graph.ts';
import type { PolicyValue } from './policy-value.ts';

/** Follows a policy on `stream` until either ends. False if there is no such policy: nothing was sent then. */
export function streamPolicy<Desc extends DescMessage>(
  graph: DependencyGraph,
  name: string,
  derivation: Derivation<PolicyValue<Desc>>,
  stream: ServerStream<Desc>,
): boolean {
  const observation = graph.observe(name, derivation, (value) => {
    if (value === undefined) stream.end();
    else stream.send(value);
  });
  const first = observation.value;
  if (first === undefined) {
    observation.close();
    return false;
  }
  stream.send(first);
  stream.onCancel(() => observation.close());
  return true;
}
