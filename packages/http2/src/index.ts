// SPDX-License-Identifier: Apache-2.0
export { H2_CODES, h2CodeName } from './codes.ts';
export { H2Connection } from './connection.ts';
export type { H2ConnectionError, H2Counters } from './connection/outcome.ts';
export { H2UsageError, type H2UsageErrorCode } from './errors.ts';
export { type FieldReceiver, HPACK_ERROR, HpackDecoder } from './hpack/decoder.ts';
export { HpackEncoder } from './hpack/encoder.ts';
export { DEFAULT_H2_LIMITS } from './limits.ts';
export type { ByteWriter, H2Code, H2ConnectionSink, H2Limits, H2Options, H2StreamHandle, H2StreamSink } from './types.ts';
