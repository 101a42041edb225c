// SPDX-License-Identifier: Apache-2.0
/* Networks in CIDR notation, both families: is one inside another? */
import { isIPv4, isIPv6 } from 'node:net';

/** A network: its address as a number, and how many bits are fixed. */
export interface Network {
  readonly family: 4 | 6;
  readonly address: bigint;
  readonly prefixBits: number;
}

/** A network, or a single address; undefined for what is neither. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', prefix, rest] = text.trim().split('/');
  const family = isIPv4(address) ? 4 : isIPv6(address) ? 6 : undefined;
  if (family === undefined || rest !== undefined) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefixBits = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
  if (prefixBits < 0 || prefixBits > bits) return undefined;
  return { family, address: family === 4 ? parse4(address) : parse6(address), prefixBits };
}

/** Whether `inner` is wholly in `outer`. */
export function contains(outer: Network, inner: Network): boolean {
  if (outer.family !== inner.family || outer.prefixBits > inner.prefixBits) return false;
  const shift = BigInt((outer.family === 4 ? 32 : 128) - outer.prefixBits);
  return outer.address >> shift === inner.address >> shift;
}

function parse4(address: string): bigint {
  return address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
}

function parse6(address: string): bigint {
  let text = address.split('%')[0] as string;
  const tail = text.slice(text.lastIndexOf(':') + 1);
  if (tail.includes('.')) {
    const four = parse4(tail);
    text = `${text.slice(0, -tail.length)}${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`;
  }
  const [head = '', end] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = end === undefined ? [] : groups(end);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
