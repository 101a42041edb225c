// SPDX-License-Identifier: Apache-2.0
/*
 * What to redirect (proxy-contract §10.1), as the init container, the CNI plugin and a host without a cluster say it.
 */
import { isIP } from 'node:net';
import { RedirectError } from './errors.ts';
import { parsePortRange } from './port-ranges.ts';

export type IptablesMode = 'legacy' | 'nft' | 'plain';

export interface RedirectOptions {
  /** Where incoming connections go; 4143 in a mesh. */
  readonly incomingProxyPort: number;
  /** Where outgoing connections go; 4140 in a mesh. */
  readonly outgoingProxyPort: number;
  /** Traffic of this user is not redirected: the proxy's own. 0 or absent: no such rule. */
  readonly proxyUid?: number;
  /** Likewise for a group. */
  readonly proxyGid?: number;
  /** Only these incoming ports are redirected; empty or absent: all. */
  readonly portsToRedirect?: readonly number[];
  /** `N` or `N-M`. */
  readonly inboundPortsToIgnore?: readonly string[];
  /** `N` or `N-M`. */
  readonly outboundPortsToIgnore?: readonly string[];
  /** CIDRs; incoming connections **from** these sources are not redirected. Each applies to its address family only. */
  readonly subnetsToIgnore?: readonly string[];
  /** Network namespace to work in: a path (`/proc/1/ns/net`), or a name known to `ip netns`. Absent: the current one. */
  readonly netns?: string;
  /** Wait for the lock of iptables instead of failing. */
  readonly useWaitFlag?: boolean;
  /** Sets `net.netfilter.nf_conntrack_tcp_timeout_close_wait`, in seconds; 0 or absent leaves it. */
  readonly timeoutCloseWaitSecs?: number;
  /** Also install rules for IPv6. Default true. */
  readonly ipv6?: boolean;
  /** Which of the installed iptables; others are tried when it is missing or does not work. Default `legacy`. */
  readonly mode?: IptablesMode;
  /** Instead of what `mode` says, for IPv4; IPv6 derives from it. */
  readonly firewallBinPath?: string;
  readonly firewallSaveBinPath?: string;
}

/** Throws RedirectError `ERR_REDIRECT_OPTION` naming the flag of the first unusable option. */
export function checkOptions(options: RedirectOptions): void {
  checkProxyPort('--incoming-proxy-port', options.incomingProxyPort);
  checkProxyPort('--outgoing-proxy-port', options.outgoingProxyPort);
  checkCount('--proxy-uid', options.proxyUid);
  checkCount('--proxy-gid', options.proxyGid);
  checkCount('--timeout-close-wait-secs', options.timeoutCloseWaitSecs);
  for (const port of options.portsToRedirect ?? []) checkPort('--ports-to-redirect', port);
  for (const text of options.inboundPortsToIgnore ?? []) checkRange('--inbound-ports-to-ignore', text);
  for (const text of options.outboundPortsToIgnore ?? []) checkRange('--outbound-ports-to-ignore', text);
  for (const subnet of options.subnetsToIgnore ?? []) {
    if (familyOfSubnet(subnet) === 0) refuse('--subnets-to-ignore', `${subnet} is not a CIDR such as 10.0.0.0/8`);
  }
  if ((options.firewallBinPath === undefined) !== (options.firewallSaveBinPath === undefined)) {
    refuse('--firewall-bin-path', 'and --firewall-save-bin-path go together');
  }
  if (options.netns !== undefined && !/^[\w./-]+$/.test(options.netns)) refuse('--netns', `${options.netns} is not a path or a name`);
}

/** 4, 6, or 0 for what is not a CIDR. */
export function familyOfSubnet(subnet: string): 0 | 4 | 6 {
  const [address, bits, ...rest] = subnet.split('/');
  if (address === undefined || bits === undefined || rest.length > 0 || !/^\d{1,3}$/.test(bits)) return 0;
  const family = isIP(address);
  if (family === 4) return Number(bits) <= 32 ? 4 : 0;
  if (family === 6) return Number(bits) <= 128 ? 6 : 0;
  return 0;
}

function checkProxyPort(flag: string, port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) refuse(flag, 'must be a valid TCP port number');
}

function checkPort(flag: string, port: number): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) refuse(flag, `${port} is not a TCP port`);
}

function checkCount(flag: string, value: number | undefined): void {
  if (value !== undefined && (!Number.isInteger(value) || value < 0)) refuse(flag, `${value} is not a number of 0 or more`);
}

function checkRange(flag: string, text: string): void {
  if (parsePortRange(text) === undefined) refuse(flag, `${text} is not a port (N) or a range of ports (N-M) within 0 to 65535`);
}

function refuse(flag: string, reason: string): never {
  throw new RedirectError('ERR_REDIRECT_OPTION', `${flag}: ${reason}`);
}
