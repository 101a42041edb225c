// SPDX-License-Identifier: Apache-2.0
/* The control-plane address rule (proxy-contract §1.6): `<BASE>_ADDR` with `<BASE>_NAME`, the name not wanted on loopback. */
import { isDnsIdentity } from './names.ts';
import type { ControlAddress } from './types.ts';
import { ConfigError, type EnvReader, isIp, parseHostPort, variableName } from './values.ts';

/** An address that must be configured. Throws ConfigError. */
export function controlAddress(env: EnvReader, base: string): ControlAddress {
  const text = env.required(`${base}_ADDR`, 'give IP:port or name:port');
  const address = parseHostPort(text);
  if (address === undefined) throw new ConfigError(variableName(`${base}_ADDR`), 'is not IP:port or name:port');
  if (isLoopbackHost(address.host)) return { ...address, identity: undefined };
  const name = env.required(`${base}_NAME`, 'give the identity of that service; only loopback addresses go without').toLowerCase();
  if (!isDnsIdentity(name)) throw new ConfigError(variableName(`${base}_NAME`), 'is not a DNS name without trailing dot');
  return { ...address, identity: name };
}

/** An address that may be left out, together with its name. */
export function optionalControlAddress(env: EnvReader, base: string): ControlAddress | undefined {
  if (env.text(`${base}_ADDR`) !== undefined) return controlAddress(env, base);
  if (env.text(`${base}_NAME`) !== undefined)
    throw new ConfigError(variableName(`${base}_ADDR`), `is not set, but ${variableName(`${base}_NAME`)} is; set both or neither`);
  return undefined;
}

/** Whether a host names this very machine: 127.0.0.0/8, ::1, `localhost.` with its dot. */
export function isLoopbackHost(host: string): boolean {
  if (host === 'localhost.') return true;
  if (!isIp(host)) return false;
  return host.includes(':') ? new URL(`http://[${host}]/`).hostname === '[::1]' : host.startsWith('127.');
}
