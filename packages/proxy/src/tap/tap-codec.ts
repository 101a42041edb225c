// SPDX-License-Identifier: Apache-2.0
/*
 * The messages of tap in one place, so that a proxy that nobody may tap never loads them: its parts import nothing of the data path, and
 * `tap-server.ts` gets them when it starts.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { ObserveRequestSchema } from '@weft/proto/tap';
import { requestInit, responseEnd, responseInit } from './tap-events.ts';
import { type NetworkParser, type TapPredicate, compileMatch } from './tap-match.ts';

/** What a tap asks for. */
export interface TapRequest {
  readonly limit: number;
  readonly test: TapPredicate;
  /** Whether events shall carry header fields. */
  readonly hasFields: boolean;
}

export interface TapCodec {
  /** The request of a message, or why it cannot be served (gRPC status INVALID_ARGUMENT). */
  decodeRequest(message: Uint8Array, parseNetwork: NetworkParser): TapRequest | { readonly error: string };
  readonly requestInit: typeof requestInit;
  readonly responseInit: typeof responseInit;
  readonly responseEnd: typeof responseEnd;
}

export const tapCodec: TapCodec = {
  decodeRequest(message, parseNetwork) {
    let request;
    try {
      request = fromBinary(ObserveRequestSchema, message);
    } catch {
      return { error: 'request message cannot be read' };
    }
    if (request.limit === 0) return { error: 'limit must be positive' };
    const compiled = compileMatch(request.match, parseNetwork);
    if ('error' in compiled) return compiled;
    const { extract } = request;
    const hasFields = extract?.extract.case === 'http' && extract.extract.value.extract.case === 'headers';
    return { limit: request.limit, test: compiled.test, hasFields };
  },
  requestInit,
  responseInit,
  responseEnd,
};
