// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses as the data path shows them: IPv4-mapped IPv6 addresses unwrapped (proxy-contract §2.2), IPv6 text as RFC 5952 writes it.
 */

/** Shows an IPv4-mapped IPv6 address as IPv4; anything else unchanged. */
export function unmapped(ip: string): string {
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip;
}

/** Text of the 16 bytes at `offset` (RFC 5952 §4): lower case, the longest run of two or more zero groups shortened. */
export function ipv6Text(view: DataView, offset: number): string {
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push(view.getUint16(offset + 2 * i, false));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xff_ff) {
    return [12, 13, 14, 15].map((at) => view.getUint8(offset + at)).join('.');
  }
  let runStart = -1;
  let runLength = 1;
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - start > runLength) {
      runStart = start;
      runLength = end - start;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (runStart === -1) return hex.join(':');
  return `${hex.slice(0, runStart).join(':')}::${hex.slice(runStart + runLength).join(':')}`;
}
