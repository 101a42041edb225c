// SPDX-License-Identifier: Apache-2.0
/*
 * IP addresses as discovery needs them: a canonical text to index by (resources and clients spell IPv6 in several ways) and the wire form of
 * the contracts (control-contract §1.6: IPv4 as a big-endian number, IPv6 as two big-endian halves).
 */
import { isIPv4, isIPv6 } from 'node:net';

import { create } from '@bufbuild/protobuf';
import { net } from '@weft/proto';

/** An address. `key` is one text per address: dotted for IPv4 (also when it came mapped into IPv6), hexadecimal halves for IPv6. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly key: string;
  /** IPv4 only, else 0. */
  readonly ipv4: number;
  /** IPv6 only, else 0. */
  readonly first: bigint;
  readonly last: bigint;
}

/** Parses IPv4 or IPv6 text, without zone or brackets. */
export function parseIp(text: string): IpAddress | undefined {
  if (isIPv4(text)) return fromIpv4(ipv4Number(text));
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const groups = ipv6Groups(text);
  const first = half(groups, 0);
  const last = half(groups, 4);
  if (first === 0n && last >> 32n === 0xffffn) return fromIpv4(Number(last & 0xffff_ffffn));
  return { family: 6, key: `${first.toString(16)}/${last.toString(16)}`, ipv4: 0, first, last };
}

/** The message of an address. */
export function toIpMessage(ip: IpAddress): net.IPAddress {
  return ip.family === 4
    ? create(net.IPAddressSchema, { ip: { case: 'ipv4', value: ip.ipv4 } })
    : create(net.IPAddressSchema, { ip: { case: 'ipv6', value: create(net.IPv6Schema, { first: ip.first, last: ip.last }) } });
}

/** The message of an address and a port. */
export function toTcpAddress(ip: IpAddress, port: number): net.TcpAddress {
  return create(net.TcpAddressSchema, { ip: toIpMessage(ip), port });
}

function fromIpv4(value: number): IpAddress {
  const key = `${value >>> 24}.${(value >>> 16) & 0xff}.${(value >>> 8) & 0xff}.${value & 0xff}`;
  return { family: 4, key, ipv4: value, first: 0n, last: 0n };
}

function ipv4Number(text: string): number {
  return text.split('.').reduce((value, part) => ((value << 8) | Number(part)) >>> 0, 0);
}

/** The eight 16-bit groups of a valid IPv6 text. */
function ipv6Groups(text: string): number[] {
  const [head = '', tail] = text.split('::', 2);
  const before = parseGroups(head);
  if (tail === undefined) return before;
  const after = parseGroups(tail);
  const zeros: number[] = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after];
}

function parseGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const value = ipv4Number(part);
    return [value >>> 16, value & 0xffff];
  });
}

function half(groups: readonly number[], start: number): bigint {
  let value = 0n;
  for (let index = start; index < start + 4; index += 1) value = (value << 16n) | BigInt(groups[index] ?? 0);
  return value;
}
