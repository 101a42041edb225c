// SPDX-License-Identifier: Apache-2.0
/*
 * What a running local cluster leaves in its directory, so that other processes can use it and the next start can remove what a killed one left:
 * its shape, the process that made it, and the first process of each node. A process is known by its number and start time; a node's also by its
 * command line, whose last word is the path of a script in this directory.
 */
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { IpFamily } from '../cluster.ts';
import type { ClusterPlan, NodePlan } from './plan.ts';

export interface ProcessName {
  readonly pid: number;
  /** Clock ticks since boot (field 22 of /proc/PID/stat): tells a process from a later one of the same number. */
  readonly startTicks: number;
}

export interface ClusterRecord {
  readonly nodeCount: number;
  readonly ipFamily: IpFamily;
  /** Whether it outlives its maker. */
  readonly isKept: boolean;
  readonly maker: ProcessName;
  /** First processes by node name. */
  readonly nodes: Readonly<Record<string, ProcessName>>;
}

const recordFile = (directory: string): string => join(directory, 'record.json');

/** The record of a cluster's directory; undefined where there is none. */
export function readRecord(plan: ClusterPlan): ClusterRecord | undefined {
  const file = recordFile(plan.directory);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ClusterRecord) : undefined;
}

/** Writes it whole or not at all. */
export function writeRecord(directory: string, record: ClusterRecord): void {
  const file = recordFile(directory);
  writeFileSync(`${file}.new`, JSON.stringify(record));
  renameSync(`${file}.new`, file);
}

/** The process of this number as it is now; undefined where none is (or only its remains, which wait for their parent). */
export function processName(pid: number): ProcessName | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in parentheses that may hold anything.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, startTicks: Number(fields[19]) };
  } catch {
    return undefined;
  }
}

/** Whether this very process runs. */
export function isAlive(name: ProcessName): boolean {
  return processName(name.pid)?.startTicks === name.startTicks;
}

/** The script that a node's first process runs. */
export const nodeScriptFile = (plan: ClusterPlan, node: NodePlan): string => join(plan.directory, 'conf', `${node.name}.sh`);

/** All processes of this machine that run the script of a node: its first process, the shells it forked, and what started it. */
export function processesOfNode(plan: ClusterPlan, node: NodePlan): readonly number[] {
  const script = nodeScriptFile(plan, node);
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      return words.at(-2) === script && (words[0] === 'bash' || words[0] === 'unshare') && processName(Number(entry)) !== undefined
        ? [Number(entry)]
        : [];
    } catch {
      return [];
    }
  });
}
