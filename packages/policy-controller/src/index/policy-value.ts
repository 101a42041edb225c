// SPDX-License-Identifier: Apache-2.0
/*
 * A policy as it leaves: encoded once, shared by every stream that watches it, and compared by its bytes, so that a change that proxies cannot
 * see is no change (control-contract §3.1).
 */
import { type DescMessage, type MessageInitShape, create, toBinary } from '@bufbuild/protobuf';
import { EncodedMessage } from '@weft/grpc-server';
import type { Derivation, Track } from './dependency-graph.ts';

/** Undefined: there is no such policy (any more). */
export type PolicyValue<Desc extends DescMessage> = EncodedMessage<Desc> | undefined;

/** Encodes what `compute` gives. */
export function encodedDerivation<Desc extends DescMessage>(
  schema: Desc,
  compute: (track: Track) => MessageInitShape<Desc> | undefined,
): Derivation<PolicyValue<Desc>> {
  return {
    compute(track) {
      const message = compute(track);
      return message === undefined ? undefined : new EncodedMessage<Desc>(toBinary(schema, create(schema, message)));
    },
    equal: (a, b) => (a === undefined || b === undefined ? a === b : equalBytes(a.bytes, b.bytes)),
  };
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
