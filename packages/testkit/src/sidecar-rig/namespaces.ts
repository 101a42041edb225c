// SPDX-License-Identifier: Apache-2.0
/*
 * Three network namespaces of a rig, and nothing outside of them:
 *
 *   client 10.231.0.1 ──veth──┐
 *                             bridge, peer 10.231.0.3
 *   server 10.231.0.2 ──veth──┘
 *
 * `client` and `server` redirect their TCP traffic as a pod does (proxy-contract §10.1); `peer` redirects nothing: it is where unmeshed
 * clients and stand-ins of foreign proxies live. Names carry the process's id, so that rigs of several processes can be up at once, and so
 * that what a killed process left can be told from what is in use.
 */
import { existsSync } from 'node:fs';
import { run, tryRun } from './processes.ts';

export type Side = 'client' | 'server' | 'peer';

export const CLIENT_IP = '10.231.0.1';
export const SERVER_IP = '10.231.0.2';
export const PEER_IP = '10.231.0.3';

/** Addresses of a rig's hosts, all of one /24. */
export interface RigAddresses {
  readonly client: string;
  readonly server: string;
  readonly peer: string;
  /** More addresses of the peer, for stand-ins of several pods. */
  readonly alsoPeer?: readonly string[];
}

export const DEFAULT_ADDRESSES: RigAddresses = { client: CLIENT_IP, server: SERVER_IP, peer: PEER_IP };
/** A Service address: no host has it, only the redirect of `client` takes it up. */
export const SERVICE_IP = '10.96.99.1';

const PREFIX = 'weftrig';
const PROXY_UID = '2102';
/** Not redirected: the proxy's own control and admin ports. */
const IGNORED_INBOUND_PORTS = '4190,4191';
let rigCount = 0;

/** The namespaces of one rig. */
export class RigNamespaces {
  readonly addresses: RigAddresses;
  private readonly id: string;

  constructor(addresses: RigAddresses) {
    this.addresses = addresses;
    rigCount += 1;
    this.id = `${PREFIX}-${process.pid}-${rigCount}`;
  }

  /** Name of a side's namespace, as `ip netns` knows it. */
  name(side: Side): string {
    return `${this.id}-${side}`;
  }

  /** `ip` arguments that run `command` in a side's namespace. */
  exec(side: Side, ...command: readonly string[]): string[] {
    return ['netns', 'exec', this.name(side), ...command];
  }

  /** Makes the namespaces, addresses and redirects. Needs root. */
  create(): void {
    removeAbandoned();
    for (const side of ['client', 'server', 'peer'] as const) {
      run('ip', 'netns', 'add', this.name(side));
      run('ip', '-n', this.name(side), 'link', 'set', 'lo', 'up');
    }
    const peer = this.name('peer');
    run('ip', '-n', peer, 'link', 'add', 'br0', 'type', 'bridge');
    for (const ip of [this.addresses.peer, ...(this.addresses.alsoPeer ?? [])])
      run('ip', '-n', peer, 'addr', 'add', `${ip}/24`, 'dev', 'br0');
    run('ip', '-n', peer, 'link', 'set', 'br0', 'up');
    for (const side of ['client', 'server'] as const) {
      const ip = this.addresses[side];
      const namespace = this.name(side);
      run('ip', 'link', 'add', 'eth0', 'netns', namespace, 'type', 'veth', 'peer', 'name', side, 'netns', peer);
      run('ip', '-n', peer, 'link', 'set', side, 'master', 'br0');
      run('ip', '-n', peer, 'link', 'set', side, 'up');
      run('ip', '-n', namespace, 'addr', 'add', `${ip}/24`, 'dev', 'eth0');
      run('ip', '-n', namespace, 'link', 'set', 'eth0', 'up');
      run('ip', '-n', namespace, 'route', 'add', 'default', 'via', this.addresses.peer);
      this.redirect(side);
    }
  }

  /** Removes what `create` made. Processes in the namespaces must have ended before. */
  remove(): void {
    for (const side of ['client', 'server', 'peer'] as const) tryRun('ip', 'netns', 'del', this.name(side));
  }

  private redirect(side: Side): void {
    const nat = (...args: string[]): string => run('ip', ...this.exec(side, 'iptables-nft', '-t', 'nat', ...args));
    nat('-A', 'PREROUTING', '-p', 'tcp', '-m', 'multiport', '--dports', IGNORED_INBOUND_PORTS, '-j', 'RETURN');
    nat('-A', 'PREROUTING', '-p', 'tcp', '-j', 'REDIRECT', '--to-port', '4143');
    nat('-A', 'OUTPUT', '-m', 'owner', '--uid-owner', PROXY_UID, '-j', 'RETURN');
    nat('-A', 'OUTPUT', '-o', 'lo', '-j', 'RETURN');
    nat('-A', 'OUTPUT', '-p', 'tcp', '-j', 'REDIRECT', '--to-port', '4140');
  }
}

/** Removes rigs whose process is gone, with whatever still runs in their namespaces. */
function removeAbandoned(): void {
  for (const line of run('ip', 'netns', 'list').split('\n')) {
    const name = line.split(' ')[0] ?? '';
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    for (const left of run('ip', 'netns', 'pids', name).split('\n').filter(Boolean)) tryRun('kill', '-9', left);
    tryRun('ip', 'netns', 'del', name);
  }
}
