// SPDX-License-Identifier: Apache-2.0
/*
 * The error codes of HTTP/2 (RFC 9113 §7), shared by RST_STREAM and GOAWAY. Plain numbers, because any 32-bit value may come
 * from a peer and has to be forwarded unchanged.
 */
import type { H2Code } from './types.ts';

/** Error codes by their RFC 9113 §7 names. */
export const H2_CODES = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

const NAMES: readonly string[] = Object.keys(H2_CODES);

/** The RFC's name of `code`, or `UNKNOWN_<code>` for a code it does not define. */
export function h2CodeName(code: H2Code): string {
  return NAMES[code] ?? `UNKNOWN_${code}`;
}
