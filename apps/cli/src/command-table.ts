// SPDX-License-Identifier: Apache-2.0
/*
 * The sub-commands of `weft`, in the order of its help. A command's file is loaded only when the command is named, so that `weft --help`
 * answers at once: keep imports out of this file.
 */
import type { CommandModule } from './command-context.ts';

/** One line of the help, and where the command is. */
export interface CommandEntry {
  readonly name: string;
  readonly description: string;
  readonly alias?: string;
  readonly load: () => Promise<CommandModule>;
}

/** All of them. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'install',
    description: 'print the manifests that install the control plane',
    load: () => import('./commands/install.ts'),
  },
  {
    name: 'upgrade',
    description: 'print the manifests that upgrade an installed control plane',
    load: () => import('./commands/upgrade.ts'),
  },
  {
    name: 'prune',
    description: 'print what is left of earlier versions in the cluster, for kubectl delete',
    load: () => import('./commands/prune.ts'),
  },
  {
    name: 'uninstall',
    description: 'print all that belongs to the control plane, for kubectl delete',
    load: () => import('./commands/uninstall.ts'),
  },
  { name: 'install-cni', description: 'print the manifests of the CNI plugin', load: () => import('./commands/install-cni.ts') },
  { name: 'check', description: 'check the cluster and the installation for problems', load: () => import('./commands/check.ts') },
  {
    name: 'run',
    description: 'run a mesh from a directory of manifests on this Linux machine',
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'redirect',
    description: 'send the traffic of a network namespace through a proxy (flags of the init container; `redirect remove` undoes it)',
    load: () => import('./commands/redirect.ts'),
  },
  { name: 'inject', description: 'put the workloads of manifests into the mesh', load: () => import('./commands/inject.ts') },
  { name: 'uninject', description: 'take the workloads of manifests out of the mesh', load: () => import('./commands/uninject.ts') },
  {
    name: 'stat',
    description: 'show success, rate and latency of workloads',
    load: () => import('./commands/stat.ts'),
  },
  {
    name: 'top',
    description: 'show the busiest routes of workloads, again and again',
    load: () => import('./commands/top.ts'),
  },
  {
    name: 'tap',
    description: 'show single requests of workloads as they happen',
    load: () => import('./commands/tap.ts'),
  },
  {
    name: 'edges',
    description: 'show who is connected to whom, and whether it is secured',
    load: () => import('./commands/edges.ts'),
  },
  {
    name: 'diagnostics',
    description: "show what the control plane's and the proxies' processes say",
    alias: 'dg',
    load: () => import('./commands/diagnostics.ts'),
  },
  {
    name: 'authz',
    description: "list the policies that admit clients to a workload's ports",
    load: () => import('./commands/authz.ts'),
  },
  {
    name: 'identity',
    description: 'show the certificates of proxies',
    load: () => import('./commands/identity.ts'),
  },
  {
    name: 'profile',
    description: 'print a ServiceProfile, to edit or from an OpenAPI or protobuf file',
    load: () => import('./commands/profile.ts'),
  },
  {
    name: 'completion',
    description: 'print a completion script for bash, zsh or fish',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'version',
    description: 'print the versions of this program and of the control plane',
    load: () => import('./commands/version.ts'),
  },
];
