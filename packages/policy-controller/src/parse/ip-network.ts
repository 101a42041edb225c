// SPDX-License-Identifier: Apache-2.0
/*
 * IP addresses and networks as numbers, for matching and for the wire (proxy-contract §5.7: an IPv4 address is its big-endian value, an
 * IPv6 address two 64-bit halves). A bare address is a network of one (control-contract §3.2).
 */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { net } from '@weft/proto';
import { type Parsed, invalid, parseEach, valid } from './parsed.ts';

/** `bits` is 32 or 128; an IPv4-mapped IPv6 address stays an IPv6 address. */
export interface IpAddress {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

export interface IpNetwork extends IpAddress {
  readonly prefixLength: number;
}

/** A network without some parts of it. */
export interface NetworkMatch {
  readonly network: IpNetwork;
  readonly except: readonly IpNetwork[];
}

/** 0.0.0.0/0 and ::/0. */
export const ALL_NETWORKS: readonly IpNetwork[] = [
  { bits: 32, value: 0n, prefixLength: 0 },
  { bits: 128, value: 0n, prefixLength: 0 },
];

/** Parses dotted IPv4 or RFC 4291 IPv6 text without zone; undefined if it is neither. */
export function parseIp(text: string): IpAddress | undefined {
  if (!text.includes(':')) {
    const value = parseIpv4(text);
    return value === undefined ? undefined : { bits: 32, value: BigInt(value) };
  }
  const value = parseIpv6(text);
  return value === undefined ? undefined : { bits: 128, value };
}

/** Parses `address/length`, or a bare address as the network of that one address. Host bits are kept. */
export function parseNetwork(text: string): Parsed<IpNetwork> {
  const slash = text.indexOf('/');
  const address = parseIp(slash < 0 ? text : text.slice(0, slash));
  const length = slash < 0 ? '' : text.slice(slash + 1);
  if (address === undefined || (slash >= 0 && !/^[0-9]{1,3}$/.test(length)) || Number(length) > address.bits) {
    return invalid(`invalid network '${text}'`);
  }
  return valid({ ...address, prefixLength: slash < 0 ? address.bits : Number(length) });
}

/** Parses a network with exceptions, as NetworkAuthentication, ServerAuthorization and EgressNetwork write it. */
export function parseNetworkMatch(spec: { readonly cidr: string; readonly except?: readonly string[] }): Parsed<NetworkMatch> {
  const network = parseNetwork(spec.cidr);
  if (!network.ok) return network;
  const except = parseEach(spec.except, parseNetwork);
  return except.ok ? valid({ network: network.value, except: except.value }) : except;
}

/** Whether `network` holds all of `inner` (an address counts as a network of one). Never across families. */
export function contains(network: IpNetwork, inner: IpAddress & { readonly prefixLength?: number }): boolean {
  if (network.bits !== inner.bits || (inner.prefixLength ?? inner.bits) < network.prefixLength) return false;
  const hostBits = BigInt(network.bits - network.prefixLength);
  return network.value >> hostBits === inner.value >> hostBits;
}

/** Whether the two networks have an address in common. */
export function overlaps(a: IpNetwork, b: IpNetwork): boolean {
  return contains(a, b) || contains(b, a);
}

/** How many addresses a network holds. */
export function addressCount(network: IpNetwork): bigint {
  return 1n << BigInt(network.bits - network.prefixLength);
}

/** The wire form of an address. */
export function ipMessage(address: IpAddress): MessageInitShape<typeof net.IPAddressSchema> {
  if (address.bits === 32) return { ip: { case: 'ipv4', value: Number(address.value) } };
  return { ip: { case: 'ipv6', value: { first: address.value >> 64n, last: BigInt.asUintN(64, address.value) } } };
}

/** The wire form of a network. */
export function networkMessage(network: IpNetwork): MessageInitShape<typeof net.IPNetworkSchema> {
  return { ip: ipMessage(network), prefixLen: network.prefixLength };
}

/** The address that a message carries, or undefined if it carries none. */
export function ipOfMessage(message: net.IPAddress | undefined): IpAddress | undefined {
  switch (message?.ip.case) {
    case 'ipv4':
      return { bits: 32, value: BigInt(message.ip.value) };
    case 'ipv6':
      return { bits: 128, value: (message.ip.value.first << 64n) | message.ip.value.last };
    default:
      return undefined;
  }
}

/** One text per address, for use as a key. */
export function ipKey(address: IpAddress): string {
  return `${address.bits}:${address.value.toString(16)}`;
}

function parseIpv4(text: string): number | undefined {
  const octets = text.split('.');
  if (octets.length !== 4) return undefined;
  let value = 0;
  for (const octet of octets) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255) return undefined;
    value = value * 256 + Number(octet);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  const gap = text.indexOf('::');
  if (gap >= 0 && text.includes('::', gap + 1)) return undefined;
  const head = parseGroups(gap < 0 ? text : text.slice(0, gap), gap < 0);
  const tail = gap < 0 ? [] : parseGroups(text.slice(gap + 2), true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (gap < 0 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<number>(missing).fill(0), ...tail]) value = (value << 16n) | BigInt(group);
  return value;
}

/** The 16-bit groups of a part of an IPv6 address; the last part may end in dotted IPv4. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const items = text.split(':');
  for (const [i, item] of items.entries()) {
    if (item.includes('.')) {
      const ipv4 = isLast && i === items.length - 1 ? parseIpv4(item) : undefined;
      if (ipv4 === undefined) return undefined;
      groups.push(Math.floor(ipv4 / 65_536), ipv4 % 65_536);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(item)) {
      groups.push(Number.parseInt(item, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}
