// SPDX-License-Identifier: Apache-2.0
/*
 * The bridge that a run's pods hang on, with the address that is their gateway and name server. Nothing is routed off the machine. Where
 * bridged packets pass the machine's own tables and those drop by default (as Docker sets them up), one marked rule lets this bridge's through.
 */
import { readFile } from 'node:fs/promises';
import { HostRunError } from '../errors.ts';
import type { RunPaths } from '../state/run-paths.ts';
import type { MustRun } from '../system/commands.ts';
import { overlaps, parseNetwork, type Ipv4Network } from './address-pool.ts';

/** The pods' network unless the machine uses it already; then the next ones are tried. */
export const POD_NETWORKS: readonly string[] = ['10.244.0.0/16', '10.243.0.0/16', '10.242.0.0/16', '10.241.0.0/16', '10.240.0.0/16'];

/** Makes the bridge. */
export async function createBridge(paths: RunPaths, gateway: string, network: Ipv4Network, run: MustRun): Promise<void> {
  // A fixed address: a bridge without one takes the lowest of its links', and every change costs the pods an ARP round.
  const mac = `02:77:66${gateway
    .split('.')
    .slice(1)
    .map((part) => `:${Number(part).toString(16).padStart(2, '0')}`)
    .join('')}`;
  await run(['ip', 'link', 'add', paths.bridge, 'address', mac, 'type', 'bridge']);
  await run(['ip', 'addr', 'add', `${gateway}/${network.bits}`, 'dev', paths.bridge]);
  await run(['ip', 'link', 'set', paths.bridge, 'up']);
  await addHostRules(paths, run);
}

/** A network that no route of this machine overlaps. Throws HostRunError when `wanted` does, or all of ours do. */
export async function choosePodNetwork(wanted: string | undefined, run: MustRun): Promise<Ipv4Network> {
  const routes = (await run(['ip', '-o', '-4', 'route', 'show']))
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .flatMap((text) => parseNetwork(text.includes('/') ? text : `${text}/32`) ?? []);
  for (const text of wanted === undefined ? POD_NETWORKS : [wanted]) {
    const network = parseNetwork(text);
    if (network === undefined)
      throw new HostRunError('ERR_RUN_ARGUMENT', `--pod-network: ${text} is not an IPv4 network such as 10.244.0.0/16`);
    if (!routes.some((route) => overlaps(route, network))) return network;
  }
  throw new HostRunError(
    'ERR_RUN_ADDRESSES',
    `the machine already has routes to ${wanted ?? POD_NETWORKS.join(', ')}; name another with --pod-network`,
  );
}

/** Takes the run's rules out of the machine's own tables. */
export async function removeHostRules(paths: RunPaths, run: MustRun): Promise<void> {
  const saved = await run(['iptables', '-S']).catch(() => '');
  for (const line of saved.split('\n')) {
    if (!line.startsWith('-A ') || !line.includes(` ${commentOf(paths)} `)) continue;
    await run([
      'iptables',
      '-D',
      ...line
        .slice(3)
        .split(' ')
        .map((word) => word.replaceAll('"', '')),
    ]).catch(() => undefined);
  }
}

async function addHostRules(paths: RunPaths, run: MustRun): Promise<void> {
  const isFiltered = await readFile('/proc/sys/net/bridge/bridge-nf-call-iptables', 'utf8').catch(() => '0');
  const saved = await run(['iptables', '-S']).catch(() => '');
  const comment = ['-m', 'comment', '--comment', commentOf(paths), '-j', 'ACCEPT'];
  if (isFiltered.trim() === '1' && /^-P FORWARD DROP/m.test(saved)) {
    await run(['iptables', '-I', 'FORWARD', '-i', paths.bridge, '-o', paths.bridge, ...comment]);
  }
  if (/^-P INPUT DROP/m.test(saved)) await run(['iptables', '-I', 'INPUT', '-i', paths.bridge, ...comment]);
}

function commentOf(paths: RunPaths): string {
  return `weft-run-${paths.name}`;
}
