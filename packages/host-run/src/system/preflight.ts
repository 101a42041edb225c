// SPDX-License-Identifier: Apache-2.0
/*
 * Whether this machine can run a mesh, and what to type where it cannot: Linux, root, and the tools of four packages. Pure; the caller says
 * what there is.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { HostRunError } from '../errors.ts';

/** Tools and the Debian packages that bring them. */
const TOOLS: readonly (readonly [string, string])[] = [
  ['ip', 'iproute2'],
  ['iptables', 'iptables'],
  ['iptables-restore', 'iptables'],
  ['setpriv', 'util-linux'],
  ['unshare', 'util-linux'],
  ['sh', 'dash'],
];

/** What was found of the machine. */
export interface Machine {
  readonly platform: string;
  readonly uid: number;
  hasTool(name: string): boolean;
}

/** Debian packages that are missing, without those of `extraTools` that are there. */
export function missingPackages(machine: Machine, extraTools: readonly (readonly [string, string])[] = []): string[] {
  const missing = [...TOOLS, ...extraTools].filter(([tool]) => !machine.hasTool(tool)).map(([, name]) => name);
  return [...new Set(missing)];
}

/** The command that installs packages, as words. */
export function installCommand(packages: readonly string[]): string[] {
  return ['apt-get', 'install', '-y', '--no-install-recommends', ...packages];
}

/** Throws HostRunError with one line for whoever typed the command, unless the machine is Linux and the user root. */
export function checkMachine(machine: Machine, commandLine: string): void {
  if (machine.platform !== 'linux') {
    throw new HostRunError('ERR_RUN_PLATFORM', 'weft run needs Linux: it makes network namespaces; run it in a Linux virtual machine');
  }
  if (machine.uid !== 0) {
    throw new HostRunError('ERR_RUN_NOT_ROOT', `weft run needs root to make network namespaces; type: sudo ${commandLine}`);
  }
}

/** This machine. */
export function thisMachine(path: string = process.env['PATH'] ?? ''): Machine {
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    hasTool: (name) => [...path.split(':'), '/usr/sbin', '/sbin'].some((directory) => isExecutable(join(directory, name))),
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
