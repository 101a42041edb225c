// SPDX-License-Identifier: Apache-2.0
/*
 * IP addresses as numbers, read from text without allocating (RFC 4291 §2.2, RFC 5952 for what text may look like). An IPv4 address that came
 * through an IPv6 socket (`::ffff:10.0.0.1`) is the IPv4 address: a rule for one must not be missed by the other.
 */

/** Family of what was parsed; 0 = no address. */
export type IpFamily = 0 | 4 | 6;

/** IPv4 uses the first word; IPv6 all four, most significant first. Words are unsigned. */
export type IpWords = Uint32Array;

const COLON = 0x3a;
const DOT = 0x2e;

/** Parses `text` into `words` (four of them) and returns the family. An IPv6 zone (`%eth0`) is ignored. */
export function parseIp(text: string, words: IpWords): IpFamily {
  const zone = text.indexOf('%');
  const end = zone < 0 ? text.length : zone;
  for (let i = 0; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit === COLON) return zone >= 0 && !isZone(text, zone + 1) ? 0 : parseIpv6(text, end, words);
    if (unit === DOT) break;
  }
  if (zone >= 0) return 0;
  const value = parseIpv4(text, 0, end);
  if (value < 0) return 0;
  words[0] = value;
  return 4;
}

/** Whether the text from `start` names an interface: anything but nothing, and no second `%`. */
function isZone(text: string, start: number): boolean {
  return start < text.length && text.indexOf('%', start) < 0;
}

/** Unsigned value of four decimal octets without leading zeros; -1 if it is none. */
function parseIpv4(text: string, start: number, end: number): number {
  let value = 0;
  let octet = -1;
  let octets = 0;
  for (let i = start; i <= end; i++) {
    const unit = i === end ? DOT : text.charCodeAt(i);
    if (unit === DOT) {
      if (octet < 0) return -1;
      value = value * 256 + octet;
      octets += 1;
      octet = -1;
    } else {
      // A leading zero is octal to some readers, so it is refused.
      if (unit < 0x30 || unit > 0x39 || octet === 0) return -1;
      octet = Math.max(octet, 0) * 10 + unit - 0x30;
      if (octet > 255) return -1;
    }
  }
  return octets === 4 ? value : -1;
}

const groups: Uint16Array = new Uint16Array(8);

function parseIpv6(text: string, end: number, words: IpWords): IpFamily {
  let count = 0;
  /** Index of the group before which `::` stands; -1 = not seen. */
  let gap = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return 0;
    gap = 0;
    at = 2;
  }
  while (at < end) {
    if (count === 8) return 0;
    let value = 0;
    let digits = 0;
    const groupStart = at;
    for (; at < end; at++) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      value = value * 16 + digit;
      digits += 1;
    }
    if (at < end && text.charCodeAt(at) === DOT) {
      const ipv4 = count <= 6 ? parseIpv4(text, groupStart, end) : -1;
      if (ipv4 < 0) return 0;
      groups[count++] = ipv4 >>> 16;
      groups[count++] = ipv4 & 0xffff;
      at = end;
      break;
    }
    if (digits === 0 || digits > 4) return 0;
    groups[count++] = value;
    if (at === end) break;
    if (text.charCodeAt(at) !== COLON) return 0;
    at += 1;
    if (at < end && text.charCodeAt(at) === COLON) {
      if (gap >= 0) return 0;
      gap = count;
      at += 1;
    } else if (at === end) {
      return 0;
    }
  }
  // `::` stands for at least one group of zeros.
  if (gap < 0 ? count !== 8 : count === 8) return 0;
  if (gap >= 0) {
    groups.copyWithin(8 - (count - gap), gap, count);
    groups.fill(0, gap, 8 - (count - gap));
  }
  for (let i = 0; i < 4; i++) words[i] = (groups[i * 2] as number) * 65536 + (groups[i * 2 + 1] as number);
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    words[0] = words[3] as number;
    return 4;
  }
  return 6;
}

function hexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const letter = unit | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
