// SPDX-License-Identifier: Apache-2.0
/*
 * The cgroups below which a node's kubelet puts its pods. Kubelet wants its root to exist; each node has one of its own, so that several kubelets on
 * one machine do not remove each other's. With the first version of cgroups there is one per hierarchy, with the second one, whose parents hand the
 * controllers down (written after the documentation, not tried: this was made on a machine with the first version).
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterPlan, NodePlan } from './plan.ts';

const ROOT = '/sys/fs/cgroup';

const isUnified = (): boolean => existsSync(join(ROOT, 'cgroup.controllers'));

/** The roots of the hierarchies. */
function hierarchies(): readonly string[] {
  if (isUnified()) return [ROOT];
  // Some names are links to others (cpu and cpuacct are one hierarchy on most machines).
  return readdirSync(ROOT, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [join(ROOT, entry.name)] : []));
}

/** Makes a node's cgroups. */
export function makeCgroups(node: NodePlan): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, node.cgroup), { recursive: true });
  if (!isUnified()) return;
  const controllers = readFileSync(join(ROOT, 'cgroup.controllers'), 'utf8').trim().split(' ');
  const handedDown = controllers.map((name) => `+${name}`).join(' ');
  let directory = ROOT;
  for (const part of ['', ...node.cgroup.split('/').filter((name) => name !== '')]) {
    directory = join(directory, part);
    writeFileSync(join(directory, 'cgroup.subtree_control'), handedDown);
  }
}

/** Removes all cgroups of a cluster, in which no process may be left. */
export function removeCgroups(plan: ClusterPlan): void {
  for (const hierarchy of hierarchies()) removeTree(join(hierarchy, plan.name));
}

/** The directories of a hierarchy that bear the cluster's name. */
export function leftCgroups(plan: ClusterPlan): readonly string[] {
  return hierarchies()
    .map((hierarchy) => join(hierarchy, plan.name))
    .filter((directory) => existsSync(directory));
}

function removeTree(directory: string): void {
  if (!existsSync(directory)) return;
  // The files in there are the kernel's and go with the directory.
  for (const entry of readdirSync(directory, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(directory, entry.name));
  rmdirSync(directory);
}
