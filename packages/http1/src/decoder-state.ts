// SPDX-License-Identifier: Apache-2.0
/*
 * States of a message decoder (RFC 9112 §2.1, §6, §7.1) and the body lengths that are no lengths.
 *
 *   STOPPED --next--> IDLE --byte--> HEAD --head--> BODY_LENGTH | BODY_CLOSE | CHUNK_LINE | TUNNEL --end--> STOPPED
 *   CHUNK_LINE --size > 0--> CHUNK_DATA --> CHUNK_DATA_CR --> CHUNK_DATA_LF --> CHUNK_LINE
 *   CHUNK_LINE --size = 0--> TRAILER --> STOPPED;   any --error--> DEAD
 */

export const IDLE = 0;
/** A CR before the start line; LF must follow. */
export const EMPTY_LINE_LF = 1;
export const HEAD = 2;
export const BODY_LENGTH = 3;
export const BODY_CLOSE = 4;
export const CHUNK_LINE = 5;
export const CHUNK_DATA = 6;
export const CHUNK_DATA_CR = 7;
export const CHUNK_DATA_LF = 8;
export const TRAILER = 9;
export const STOPPED = 10;
export const TUNNEL = 11;
export const DEAD = 12;
export type DecoderState =
  | typeof IDLE
  | typeof EMPTY_LINE_LF
  | typeof HEAD
  | typeof BODY_LENGTH
  | typeof BODY_CLOSE
  | typeof CHUNK_LINE
  | typeof CHUNK_DATA
  | typeof CHUNK_DATA_CR
  | typeof CHUNK_DATA_LF
  | typeof TRAILER
  | typeof STOPPED
  | typeof TUNNEL
  | typeof DEAD;

/** `bodyBytes` of a chunked body. */
export const BODY_CHUNKED = -1;
/** `bodyBytes` of a body that ends with the connection. */
export const BODY_UNTIL_CLOSE = -2;
