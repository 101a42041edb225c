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

/** Encodes a policy. */
export function encodePolicy<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): EncodedMessage<Desc> {
  return new EncodedMessage<Desc>(toBinary(schema, create(schema, message)));
}

/** A derivation of encoded policies. */
export function policyDerivation<Desc extends DescMessage>(compute: (track: Track) => PolicyValue<Desc>): Derivation<PolicyValue<Desc>> {
  return { compute, equal: (a, b) => a === b || (a !== undefined && b !== undefined && equalBytes(a.bytes, b.bytes)) };
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
