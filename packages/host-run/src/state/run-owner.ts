// SPDX-License-Identifier: Apache-2.0
/*
 * Who runs a run: written before anything is made, read by the next start to tell a running one from what a crash has left.
 */
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { RunPaths } from './run-paths.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from '../system/processes.ts';

/** The file `run.json`. */
export interface RunOwner extends ProcessIdentity {
  /** Random, in the environment of every process of the run. */
  readonly id: string;
  readonly name: string;
  readonly directory: string;
  readonly startedAt: string;
}

/** A process that the run has started, as kept in `processes.jsonl`. */
export interface StartedProcess extends ProcessIdentity {
  readonly name: string;
}

/** The owner that a runtime directory names; undefined where there is none that can be read. */
export function readOwner(paths: RunPaths): RunOwner | undefined {
  try {
    const owner = JSON.parse(readFileSync(paths.owner, 'utf8')) as Partial<RunOwner>;
    const { id, pid, startTicks } = owner;
    return typeof id === 'string' && typeof pid === 'number' && typeof startTicks === 'number' ? (owner as RunOwner) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the run is running. */
export function isRunning(paths: RunPaths): boolean {
  const owner = readOwner(paths);
  return owner !== undefined && isAlive(owner);
}

/** Makes the runtime directory and says that it is ours. */
export function writeOwner(paths: RunPaths, id: string, directory: string, startedAt: string): RunOwner {
  const own = identifyProcess(process.pid) ?? { pid: process.pid, startTicks: 0 };
  const owner: RunOwner = { ...own, id, name: paths.name, directory, startedAt };
  mkdirSync(paths.runtime, { recursive: true, mode: 0o755 });
  mkdirSync(paths.pods, { recursive: true, mode: 0o711 });
  writeFileSync(paths.owner, `${JSON.stringify(owner)}\n`, { mode: 0o600 });
  writeFileSync(paths.processes, '', { mode: 0o600 });
  return owner;
}

/** Notes a process that was just started. */
export function noteProcess(paths: RunPaths, started: StartedProcess): void {
  appendFileSync(paths.processes, `${JSON.stringify(started)}\n`);
}

/** Processes that were noted; a half-written last line does not count. */
export function readProcesses(paths: RunPaths): StartedProcess[] {
  let text: string;
  try {
    text = readFileSync(paths.processes, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      const { pid, startTicks, name = '' } = JSON.parse(line) as Partial<StartedProcess>;
      return typeof pid === 'number' && typeof startTicks === 'number' ? [{ pid, startTicks, name }] : [];
    } catch {
      return [];
    }
  });
}

/** Names of all runs that have a runtime directory. */
export function listRuns(runtimeBase: string): string[] {
  try {
    return readdirSync(runtimeBase).sort();
  } catch {
    return [];
  }
}
