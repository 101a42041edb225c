// SPDX-License-Identifier: Apache-2.0
/*
 * Networks in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3). A bare address is the network of it alone; bits behind the prefix are ignored.
 * An IPv4 network contains no IPv6 address and the other way round, but IPv4 addresses and networks in IPv6 clothes count as IPv4.
 */
import { type IpWords, parseIp } from './ip-address.ts';

/** `ERR_CIDR_ADDRESS`: no IP address before the slash. `ERR_CIDR_PREFIX`: no number behind it, or one longer than the address. */
export type CidrErrorCode = 'ERR_CIDR_ADDRESS' | 'ERR_CIDR_PREFIX';

export interface CidrError {
  readonly code: CidrErrorCode;
  /** The network as given, cut to 100 characters. */
  readonly text: string;
}

/** Bits of `::ffff:0:0/96`, the IPv4 addresses in IPv6. */
const MAPPED_PREFIX_BITS = 96;

/** Where an address is parsed for one question; nothing reads it afterwards. */
const scratch: IpWords = new Uint32Array(4);

/** One network. Made by `parseCidr`. */
export class Cidr {
  private readonly family: 4 | 6;
  private readonly words: IpWords;
  private readonly masks: IpWords;

  constructor(family: 4 | 6, words: IpWords, prefixBits: number) {
    this.family = family;
    this.masks = new Uint32Array(4);
    this.words = new Uint32Array(4);
    for (let i = 0; i < 4; i++) {
      const bits = Math.min(Math.max(prefixBits - i * 32, 0), 32);
      const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
      this.masks[i] = mask;
      this.words[i] = ((words[i] as number) & mask) >>> 0;
    }
  }

  /** Whether `ip` lies inside; false for text that is no address. */
  contains(ip: string): boolean {
    const family = parseIp(ip, scratch);
    return family !== 0 && this.containsWords(family, scratch);
  }

  /** As `contains`, for an address already parsed by `parseIp`. */
  containsWords(family: 4 | 6, words: IpWords): boolean {
    if (family !== this.family) return false;
    const wordCount = family === 4 ? 1 : 4;
    for (let i = 0; i < wordCount; i++) {
      if (((words[i] as number) & (this.masks[i] as number)) >>> 0 !== this.words[i]) return false;
    }
    return true;
  }
}

/** Parses `address/bits`, or `address` alone. */
export function parseCidr(text: string): { readonly cidr: Cidr } | { readonly error: CidrError } {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const words: IpWords = new Uint32Array(4);
  const family = address.includes('%') ? 0 : parseIp(address, words);
  if (family === 0) return { error: cidrError('ERR_CIDR_ADDRESS', text) };
  // In IPv6 clothes the prefix counts the clothes too; a shorter one would be a network of addresses that are not IPv4.
  const isMapped = family === 4 && address.includes(':');
  const addressBits = isMapped || family === 6 ? 128 : 32;
  const bits = slash < 0 ? addressBits : parseBits(text.slice(slash + 1));
  if (bits < (isMapped ? MAPPED_PREFIX_BITS : 0) || bits > addressBits) return { error: cidrError('ERR_CIDR_PREFIX', text) };
  return { cidr: new Cidr(family, words, isMapped ? bits - MAPPED_PREFIX_BITS : bits) };
}

/** One to three decimal digits without leading zeros; -1 for other text. */
function parseBits(text: string): number {
  if (text.length === 0 || text.length > 3 || (text.length > 1 && text.startsWith('0'))) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function cidrError(code: CidrErrorCode, text: string): CidrError {
  return { code, text: text.length <= 100 ? text : `${text.slice(0, 100)}...` };
}

/** Several networks, asked as one. */
export class CidrSet {
  private readonly cidrs: readonly Cidr[];

  constructor(cidrs: readonly Cidr[]) {
    this.cidrs = cidrs;
  }

  /** Whether any of the networks contains `ip`; false for text that is no address. */
  contains(ip: string): boolean {
    const family = parseIp(ip, scratch);
    return family !== 0 && this.containsWords(family, scratch);
  }

  /** As `contains`, for an address already parsed by `parseIp`. */
  containsWords(family: 4 | 6, words: IpWords): boolean {
    for (const cidr of this.cidrs) {
      if (cidr.containsWords(family, words)) return true;
    }
    return false;
  }
}

/** A set of the networks that parse, and what is wrong with the others. */
export function parseCidrSet(texts: readonly string[]): { readonly set: CidrSet; readonly errors: readonly CidrError[] } {
  const cidrs: Cidr[] = [];
  const errors: CidrError[] = [];
  for (const text of texts) {
    const parsed = parseCidr(text);
    if ('error' in parsed) errors.push(parsed.error);
    else cidrs.push(parsed.cidr);
  }
  return { set: new CidrSet(cidrs), errors };
}
