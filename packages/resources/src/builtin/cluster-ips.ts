// SPDX-License-Identifier: Apache-2.0
/*
 * Cluster IPs for services of a world without an API server. A service's address follows from its name, so that it stays over restarts;
 * where two names meet, the later one goes on to the next free address. Source: Kubernetes, "Service ClusterIP allocation".
 */
import { isIPv4 } from 'node:net';

/** Gives a cluster IP for a new service; `isTaken` says whether another service has an address. Throws RangeError when all are taken. */
export type ClusterIpAllocator = (namespace: string, name: string, isTaken: (address: string) => boolean) => string;

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return value;
}

/** Addresses of an IPv4 network (`10.96.0.0/12`), but its first and last. Throws RangeError for anything else. */
export function clusterIpsFrom(cidr: string): ClusterIpAllocator {
  const [network = '', length = ''] = cidr.split('/');
  const bits = Number(length);
  if (!isIPv4(network) || !/^\d+$/.test(length) || bits > 30)
    throw new RangeError(`not an IPv4 network of more than two addresses: ${cidr}`);
  const size = 2 ** (32 - bits) - 2;
  const first = (network.split('.').reduce((value, part) => value * 256 + Number(part), 0) & (-1 << (32 - bits))) >>> 0;
  return (namespace, name, isTaken) => {
    const start = hash(`${namespace}/${name}`) % size;
    for (let step = 0; step < size; step += 1) {
      const number = first + 1 + ((start + step) % size);
      const address = [24, 16, 8, 0].map((shift) => (number >>> shift) & 0xff).join('.');
      if (!isTaken(address)) return address;
    }
    throw new RangeError(`no free cluster IP in ${cidr}`);
  };
}
