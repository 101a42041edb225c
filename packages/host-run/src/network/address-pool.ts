// SPDX-License-Identifier: Apache-2.0
/*
 * Pod addresses of one IPv4 network. A given-back address rests before it is handed out again: proxies may still hold connections to it, and
 * a new pod that took it over would get another's traffic.
 */
import { isIPv4 } from 'node:net';
import { HostRunError } from '../errors.ts';

/** How long a given-back address rests, in milliseconds. */
export const ADDRESS_REST_MS = 120_000;

/** An IPv4 network as numbers. */
export interface Ipv4Network {
  readonly first: number;
  /** Addresses in it, network and broadcast address included. */
  readonly count: number;
  readonly bits: number;
}

/** `10.244.0.0/16`; undefined for anything else, also for networks of fewer than eight addresses. */
export function parseNetwork(text: string): Ipv4Network | undefined {
  const [address = '', length = '', ...rest] = text.split('/');
  const bits = Number(length);
  if (!isIPv4(address) || !/^\d{1,2}$/.test(length) || bits > 29 || rest.length > 0) return undefined;
  const count = 2 ** (32 - bits);
  const number = address.split('.').reduce((value, part) => value * 256 + Number(part), 0);
  return { first: number - (number % count), count, bits };
}

/** A number as an address. */
export function formatAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.');
}

/** Whether two networks share an address. */
export function overlaps(a: Ipv4Network, b: Ipv4Network): boolean {
  return a.first < b.first + b.count && b.first < a.first + a.count;
}

/** Hands out the addresses of a network but its first (the network), its second (the bridge) and its last. */
export class AddressPool {
  /** The bridge's own address. */
  readonly gateway: string;
  private readonly network: Ipv4Network;
  private readonly taken = new Map<string, number>();
  private next = 2;

  constructor(network: Ipv4Network) {
    this.network = network;
    this.gateway = formatAddress(network.first + 1);
  }

  /** A free address. Throws HostRunError `ERR_RUN_ADDRESSES` when there is none. */
  take(nowMs: number): string {
    const usable = this.network.count - 3;
    for (let step = 0; step < usable; step++) {
      const offset = 2 + ((this.next - 2 + step) % usable);
      const address = formatAddress(this.network.first + offset);
      const restsUntilMs = this.taken.get(address);
      if (restsUntilMs !== undefined && restsUntilMs > nowMs) continue;
      this.taken.set(address, Infinity);
      this.next = offset + 1;
      return address;
    }
    throw new HostRunError('ERR_RUN_ADDRESSES', 'no free pod address is left');
  }

  /** Gives an address back. */
  release(address: string, nowMs: number): void {
    if (this.taken.has(address)) this.taken.set(address, nowMs + ADDRESS_REST_MS);
  }
}
