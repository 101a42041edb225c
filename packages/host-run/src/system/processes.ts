// SPDX-License-Identifier: Apache-2.0
/*
 * Processes of this machine, told apart for good: a pid is reused, a pid with its start time is not. A run's processes carry its id in their
 * environment, so that those which outlived a crash can be found again, and no other is ever ended.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Variable with the run's id in the environment of every process of a run. */
export const RUN_MARKER = 'WEFT_RUN';

/** One process, for good. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to its start (proc(5), field 22). */
  readonly startTicks: number;
}

/** The process behind a pid now; undefined when there is none, or only a zombie. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The command's name, in parentheses, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, startTicks: Number(fields[19]) };
}

/** Whether exactly that process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startTicks === identity.startTicks;
}

/** Processes whose environment names this run. Those of other users need root. */
export function findRunProcesses(runId: string): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  const marker = `${RUN_MARKER}=${runId}`;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    let environment: string;
    try {
      environment = readFileSync(`/proc/${entry}/environ`, 'latin1');
    } catch {
      // It has ended meanwhile, or is not ours to see.
      continue;
    }
    if (!environment.split('\0').includes(marker)) continue;
    const identity = identifyProcess(Number(entry));
    if (identity !== undefined) found.push(identity);
  }
  return found;
}

/** Ends that process at once; no effect when it is gone. */
export function killProcess(identity: ProcessIdentity): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch {
    // It ended between the look and the signal.
  }
}
