// SPDX-License-Identifier: Apache-2.0
export type { H1Decoder, H1Error, H1ErrorCode, H1Leniency, H1Limits, H1RequestHead, H1ResponseHead, H1Sink } from './types.ts';
export { writeChunk, writeLastChunk, writeRequestHead, writeResponseHead } from './encoder.ts';
export { H1EncodeError } from './errors.ts';
export { stripHopByHop } from './hop-by-hop.ts';
export { DEFAULT_H1_LIMITS } from './limits.ts';
export { reasonPhrase } from './reason-phrase.ts';
export { H1RequestDecoder } from './request-decoder.ts';
export { absoluteFormAuthority } from './request-target.ts';
export { H1ResponseDecoder } from './response-decoder.ts';
