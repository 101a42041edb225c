// SPDX-License-Identifier: Apache-2.0
/*
 * Which Service owns a cluster IP (control-contract §3.3). The first Service to claim an address keeps it until it gives it up; then the next
 * claimant has it.
 */
import { type IpAddress, ipKey } from '../parse/ip-network.ts';

/** A Service's name, as a claimant of addresses. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
}

/** Owners of cluster IPs. */
export class ClusterIpIndex {
  private readonly touch: (key: string) => void;
  /** Claimants by address, the owner first. */
  private readonly claims = new Map<string, ServiceName[]>();

  constructor(touch: (key: string) => void) {
    this.touch = touch;
  }

  /** A Service's addresses went from `before` to `after`. */
  change(service: ServiceName, before: readonly IpAddress[], after: readonly IpAddress[]): void {
    const keys = new Set(after.map(ipKey));
    const old = new Set(before.map(ipKey));
    for (const key of old) if (!keys.has(key)) this.release(key, service);
    for (const key of keys) if (!old.has(key)) this.claim(key, service);
  }

  owner(address: IpAddress): ServiceName | undefined {
    return this.claims.get(ipKey(address))?.[0];
  }

  private claim(key: string, service: ServiceName): void {
    const claimants = this.claims.get(key);
    if (claimants === undefined) this.claims.set(key, [service]);
    else claimants.push(service);
    this.touch(clusterIpKey(key));
  }

  private release(key: string, service: ServiceName): void {
    const left = (this.claims.get(key) ?? []).filter(({ namespace, name }) => namespace !== service.namespace || name !== service.name);
    if (left.length === 0) this.claims.delete(key);
    else this.claims.set(key, left);
    this.touch(clusterIpKey(key));
  }
}

/** What a derivation depends on when it reads the owner of an address (given by its key). */
export function clusterIpKey(key: string): string {
  return `cluster-ip/${key}`;
}
