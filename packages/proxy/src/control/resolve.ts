// SPDX-License-Identifier: Apache-2.0
/*
 * Addresses of a control-plane service (proxy-contract §5.1): loopback without lookup, else SRV on the name as configured, whose
 * targets' first labels are the addresses themselves; any target that is not makes it A/AAAA with the configured port.
 */
import { Resolver } from 'node:dns';
import type { SocketAddress } from '@weft/net';
import type { ControlAddress } from '../config/types.ts';
import { isLoopbackHost } from '../config/control-address.ts';
import { isIp } from '../config/values.ts';

/** A lookup takes at most this long per try, and this many tries. */
const TIMEOUT_MS = 2000;
const TRIES = 2;

export interface ResolutionCounter {
  (recordType: 'SRV' | 'A/AAAA', result: 'ok' | 'not_found'): void;
}

/** One lookup; answers are not cached here: callers look up when they (re)connect. */
export function resolveControlAddress(
  address: ControlAddress,
  count: ResolutionCounter,
  onResolved: (addresses: readonly SocketAddress[]) => void,
  onError: (message: string) => void,
): void {
  if (isIp(address.host)) {
    onResolved([{ ip: address.host, port: address.port }]);
    return;
  }
  if (isLoopbackHost(address.host)) {
    onResolved([{ ip: '127.0.0.1', port: address.port }]);
    return;
  }
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  const name = address.host.replace(/\.$/, '');
  resolver.resolveSrv(name, (srvError, records) => {
    const addresses = srvError === null ? records.map((record) => srvTarget(record.name, record.port)) : [undefined];
    count('SRV', srvError === null ? 'ok' : 'not_found');
    if (addresses.length > 0 && addresses.every((entry) => entry !== undefined)) {
      onResolved(addresses);
      return;
    }
    resolver.resolve4(name, (v4Error, v4) => {
      if (v4Error === null && v4.length > 0) {
        count('A/AAAA', 'ok');
        onResolved(v4.map((ip) => ({ ip, port: address.port })));
        return;
      }
      resolver.resolve6(name, (v6Error, v6) => {
        if (v6Error === null && v6.length > 0) {
          count('A/AAAA', 'ok');
          onResolved(v6.map((ip) => ({ ip, port: address.port })));
          return;
        }
        count('A/AAAA', 'not_found');
        onError(`cannot resolve ${address.host}: ${v4Error?.message ?? 'no addresses'}`);
      });
    });
  });
}

/** `10-1-2-3.service…` → 10.1.2.3; dashes as colons for IPv6. Undefined where the first label is no address. */
export function srvTarget(target: string, port: number): SocketAddress | undefined {
  const label = target.split('.')[0] ?? '';
  const v4 = label.replaceAll('-', '.');
  if (isIp(v4)) return { ip: v4, port };
  const v6 = label.replaceAll('-', ':');
  return isIp(v6) ? { ip: v6, port } : undefined;
}
