// SPDX-License-Identifier: Apache-2.0
/*
 * A pod's network: a namespace of its own, one link to the bridge, an address, a default route (so that packets to a cluster IP reach the rules
 * of OUTPUT), its own /etc/resolv.conf, and either the mesh's redirection (proxy-contract §10.1) or rules for cluster IPs.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyRedirect, runCommand } from '@weft/redirect';
import { HostRunError } from '../errors.ts';
import { removeNamespace } from '../state/leftovers.ts';
import type { RunPaths } from '../state/run-paths.ts';
import type { MustRun } from '../system/commands.ts';
import { ADMIN_PORT, CONTROL_PORT, DEFAULT_IGNORED_PORTS, INBOUND_PORT, OUTBOUND_PORT, PROXY_UID } from '../pod/proxy-settings.ts';
import { SERVICE_CHAIN } from './service-rules.ts';

/** What a pod's network is made from. */
export interface PodNetworkOptions {
  readonly paths: RunPaths;
  readonly run: MustRun;
  readonly gateway: string;
  readonly prefixBits: number;
  readonly clusterDomain: string;
}

/** One pod's network. */
export class PodNetwork {
  readonly netns: string;
  private readonly options: PodNetworkOptions;
  private readonly link: string;

  /** `index` is unique within the run; it names the link. */
  constructor(options: PodNetworkOptions, podName: string, namespace: string, index: number) {
    this.options = options;
    this.netns = `${options.paths.netnsPrefix}${namespace}.${podName}`;
    this.link = `${options.paths.linkPrefix}${index.toString(36)}`;
  }

  /** Makes namespace, link, address and route. */
  async create(address: string, namespace: string): Promise<void> {
    const { run, paths, gateway, prefixBits } = this.options;
    this.writeResolvConf(namespace);
    await run(['ip', 'netns', 'add', this.netns]);
    await run(
      ['ip', '-batch', '-'],
      [`link add ${this.link} type veth peer name eth0 netns ${this.netns}`, `link set ${this.link} master ${paths.bridge} up`, ''].join(
        '\n',
      ),
    );
    await run(
      ['ip', '-n', this.netns, '-batch', '-'],
      ['link set lo up', `addr add ${address}/${prefixBits} dev eth0`, 'link set eth0 up', `route add default via ${gateway}`, ''].join(
        '\n',
      ),
    );
    // As container runtimes do: an application that is not root may listen on port 80.
    await this.exec(['sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start']);
  }

  /** Sends the pod's TCP traffic through its proxy, but for the ports that annotations name. */
  async redirect(annotations: Readonly<Record<string, string>>): Promise<void> {
    const list = (name: string, fallback: string): string[] =>
      (annotations[`config.linkerd.io/${name}`] ?? fallback)
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '');
    try {
      await applyRedirect(
        {
          incomingProxyPort: INBOUND_PORT,
          outgoingProxyPort: OUTBOUND_PORT,
          proxyUid: PROXY_UID,
          inboundPortsToIgnore: [String(CONTROL_PORT), String(ADMIN_PORT), ...list('skip-inbound-ports', DEFAULT_IGNORED_PORTS)],
          outboundPortsToIgnore: list('skip-outbound-ports', DEFAULT_IGNORED_PORTS),
          subnetsToIgnore: list('skip-subnets', ''),
          netns: this.netns,
          ipv6: false,
          mode: 'nft',
        },
        runCommand,
      );
    } catch (error) {
      throw new HostRunError('ERR_RUN_COMMAND', `cannot redirect the traffic of ${this.netns}: ${(error as Error).message}`, error);
    }
  }

  /** Gives an unmeshed pod its cluster IPs; called again when endpoints change. */
  async applyServiceRules(rules: string): Promise<void> {
    await this.exec(['iptables-restore', '--noflush'], rules);
    const jump = ['OUTPUT', '-j', SERVICE_CHAIN];
    await this.exec(['iptables', '-t', 'nat', '-C', ...jump]).catch(() => this.exec(['iptables', '-t', 'nat', '-A', ...jump]));
  }

  /** Removes everything; the processes in it must have ended. */
  async remove(): Promise<void> {
    await removeNamespace(this.netns, this.options.paths, this.options.run);
    // The kernel removes the link with the namespace, but later; its name may be wanted again before.
    await this.options.run(['ip', 'link', 'delete', this.link]).catch(() => undefined);
  }

  private writeResolvConf(namespace: string): void {
    const { paths, gateway, clusterDomain } = this.options;
    const directory = join(paths.bases.netnsEtc, this.netns);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const search = [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain].join(' ');
    writeFileSync(join(directory, 'resolv.conf'), `search ${search}\nnameserver ${gateway}\noptions ndots:5\n`, { mode: 0o644 });
  }

  private exec(command: readonly string[], stdin?: string): Promise<string> {
    return this.options.run(['ip', 'netns', 'exec', this.netns, ...command], stdin);
  }
}
