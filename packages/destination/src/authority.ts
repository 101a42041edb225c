// SPDX-License-Identifier: Apache-2.0
/*
 * What a client asks for: `host[:port]` of a GetDestination, and the service name in its host (control-contract §1.3). Only fully-qualified
 * names under the cluster domain are services; anything else is the caller's to refuse, with the reason given here.
 */
import { atoiRangeError, atoiSyntaxError } from './go-text.ts';

/** Longest authority that is looked at, in UTF-16 units: a DNS name (255), a port, and generous room. */
export const MAX_AUTHORITY_LENGTH = 1024;

/** Port of an authority that names none. */
export const DEFAULT_PORT = 80;

/** Host and port, or why there are none. */
export type ParsedAuthority = { readonly host: string; readonly port: number } | { readonly reason: string };

/** A service, and with `instance` one pod of it by hostname; or why the host names none. */
export type ParsedServiceName =
  | { readonly service: string; readonly namespace: string; readonly instance: string | undefined }
  | { readonly reason: string };

/** Splits an authority as Go's `net.SplitHostPort` does; without any colon the port is 80. Ports are 1 to 65535. */
export function parseAuthority(path: string): ParsedAuthority {
  if (path.length > MAX_AUTHORITY_LENGTH) return { reason: `authority longer than ${MAX_AUTHORITY_LENGTH}` };
  if (!path.includes(':')) return { host: path, port: DEFAULT_PORT };
  const split = splitHostPort(path);
  if ('reason' in split) return { reason: `invalid destination: address ${path}: ${split.reason}` };
  const { host, portText } = split;
  if (!/^[+-]?[0-9]+$/.test(portText)) return { reason: `invalid port ${portText}: ${atoiSyntaxError(portText)}` };
  const port = Number(portText);
  if (Math.abs(port) > 2 ** 63) return { reason: `invalid port ${portText}: ${atoiRangeError(portText)}` };
  if (port <= 0 || port > 65_535) return { reason: `invalid port ${port}` };
  return { host, port };
}

function splitHostPort(path: string): { readonly host: string; readonly portText: string } | { readonly reason: string } {
  const colon = path.lastIndexOf(':');
  if (path.startsWith('[')) {
    const bracket = path.indexOf(']');
    if (bracket < 0) return { reason: "missing ']' in address" };
    if (bracket + 1 === path.length) return { reason: 'missing port in address' };
    if (bracket + 1 !== colon) return { reason: path[bracket + 1] === ':' ? 'too many colons in address' : 'missing port in address' };
    const host = path.slice(1, bracket);
    if (host.includes('[')) return { reason: "unexpected '[' in address" };
    return { host, portText: path.slice(colon + 1) };
  }
  const host = path.slice(0, colon);
  if (host.includes(':')) return { reason: 'too many colons in address' };
  if (path.includes('[')) return { reason: "unexpected '[' in address" };
  if (path.includes(']')) return { reason: "unexpected ']' in address" };
  return { host, portText: path.slice(colon + 1) };
}

/** Parses `<service>.<namespace>.svc.<clusterDomain>` or, for one pod, `<instance>.<service>.<namespace>.svc.<clusterDomain>`. */
export function parseServiceName(host: string, clusterDomain: string): ParsedServiceName {
  const suffix = `.svc.${clusterDomain}`;
  if (!host.endsWith(suffix)) return { reason: `name ${host} does not match cluster domain ${clusterDomain}` };
  const labels = host.slice(0, -suffix.length).split('.');
  const [first, second, third] = labels;
  if (labels.includes('') || first === undefined || second === undefined || labels.length > 3) {
    return { reason: `name ${host} names no service` };
  }
  if (third === undefined) return { service: first, namespace: second, instance: undefined };
  return { service: second, namespace: third, instance: first };
}
