// SPDX-License-Identifier: Apache-2.0
export { H2_CODES, h2CodeName } from './codes.ts';
export { H2Connection, type H2ConnectionError, type H2Counters } from './connection.ts';
export { DEFAULT_H2_LIMITS } from './limits.ts';
export type { ByteWriter, H2Code, H2ConnectionSink, H2Limits, H2Options, H2StreamHandle, H2StreamSink } from './types.ts';
