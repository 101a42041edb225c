// SPDX-License-Identifier: Apache-2.0
/*
 * What counts as a DNS name in SNI and in the transport header: letters, digits, hyphens and underscores in labels of 1 to 63 octets, 253 in
 * all, last label not a number (so no IPv4 address). One trailing dot is allowed. Read straight from bytes, since they come from a peer.
 */

/** RFC 1035 §2.3.4. */
const LABEL_MAX_BYTES = 63;
/** RFC 1035 §2.3.4, less the length octets of the wire form. */
const NAME_MAX_BYTES = 253;

const HYPHEN = 0x2d;
const DOT = 0x2e;

/** The name in `bytes[start, end)` in lower case, or undefined if it is none. */
export function parseDnsName(bytes: Uint8Array, start: number, end: number): string | undefined {
  const nameEnd = end > start && bytes[end - 1] === DOT ? end - 1 : end;
  if (nameEnd === start || nameEnd - start > NAME_MAX_BYTES) return undefined;
  let name = '';
  let labelStart = start;
  let isNumeric = true;
  for (let i = start; i < nameEnd; i++) {
    let byte = bytes[i] as number;
    if (byte === DOT) {
      if (!isLabel(bytes, labelStart, i)) return undefined;
      labelStart = i + 1;
      isNumeric = true;
    } else {
      if (byte >= 0x41 && byte <= 0x5a) byte += 0x20;
      const isDigit = byte >= 0x30 && byte <= 0x39;
      if (!isDigit) isNumeric = false;
      if (!isDigit && !(byte >= 0x61 && byte <= 0x7a) && byte !== HYPHEN && byte !== 0x5f) return undefined;
    }
    name += String.fromCharCode(byte);
  }
  if (isNumeric || !isLabel(bytes, labelStart, nameEnd)) return undefined;
  return nameEnd === end ? name : `${name}.`;
}

function isLabel(bytes: Uint8Array, start: number, end: number): boolean {
  return end > start && end - start <= LABEL_MAX_BYTES && bytes[start] !== HYPHEN && bytes[end - 1] !== HYPHEN;
}
