// SPDX-License-Identifier: Apache-2.0
/*
 * The links of a local cluster: one bridge of the machine, into which each node is plugged, and routes by which the machine reaches pods and Services,
 * and each node the pods of the others. Nothing is masqueraded and the machine forwards nothing, so no packet leaves it.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ClusterPlan, NodePlan } from './plan.ts';

const run = promisify(execFile);
const ip = async (...args: readonly string[]): Promise<unknown> => run('ip', [...args]);

/** The name of a node's own link, as on most machines. */
const NODE_LINK = 'eth0';
const PREFIX_LENGTHS = ['/24', '/64'];

const withPrefix = (addresses: readonly string[]): readonly string[] => addresses.map((address, at) => `${address}${PREFIX_LENGTHS[at]}`);
/** IPv6 addresses are usable at once: nobody else can have them. */
const flags = (address: string): readonly string[] => (address.includes(':') ? ['nodad'] : []);

/** Makes the bridge. Throws where a link of its name exists. */
export async function makeBridge(plan: ClusterPlan): Promise<void> {
  await ip('link', 'add', plan.bridge, 'address', plan.bridgeMac, 'type', 'bridge');
  for (const address of withPrefix(plan.hostAddresses)) await ip('address', 'add', address, 'dev', plan.bridge, ...flags(address));
  await ip('link', 'set', plan.bridge, 'up');
}

/** Plugs a node into the bridge; `pid` is a process in its network namespace. */
export async function plugNode(plan: ClusterPlan, node: NodePlan, pid: number): Promise<void> {
  const inNode = async (...args: readonly string[]): Promise<unknown> => run('nsenter', ['-t', String(pid), '-n', 'ip', ...args]);
  await ip('link', 'add', node.link, 'type', 'veth', 'peer', 'name', NODE_LINK, 'netns', String(pid));
  await ip('link', 'set', node.link, 'master', plan.bridge, 'up');
  await inNode('link', 'set', 'lo', 'up');
  for (const address of withPrefix(node.addresses)) await inNode('address', 'add', address, 'dev', NODE_LINK, ...flags(address));
  await inNode('link', 'set', NODE_LINK, 'up');
  for (const gateway of plan.hostAddresses) await inNode('route', 'add', 'default', 'via', gateway);
  for (const other of plan.nodes)
    if (other !== node)
      for (const [at, range] of other.podRanges.entries()) await inNode('route', 'add', range, 'via', other.addresses[at] ?? '');
  for (const [at, range] of node.podRanges.entries()) await ip('route', 'replace', range, 'via', node.addresses[at] ?? '');
  // Services of the cluster, as seen by the machine, are node 1's to translate.
  if (node.number === 1)
    for (const [at, range] of plan.serviceRanges.entries()) await ip('route', 'replace', range, 'via', node.addresses[at] ?? '');
}

/** Removes the cluster's links, and with them the routes. Absent ones are no error. */
export async function removeLinks(plan: ClusterPlan): Promise<void> {
  for (const link of [...plan.nodes.map((node) => node.link), plan.bridge]) await ip('link', 'delete', link).catch(() => undefined);
}
