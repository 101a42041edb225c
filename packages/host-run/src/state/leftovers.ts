// SPDX-License-Identifier: Apache-2.0
/*
 * Taking away what a run has made: its processes, network namespaces, links, files, its rule in the machine's own tables. The same code ends a
 * run in order and cleans up after one that was killed. Everything is found by names that only this run uses, or by processes that carry
 * its id; nothing else is touched.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MustRun } from '../system/commands.ts';
import { findRunProcesses, isAlive, killProcess, type ProcessIdentity } from '../system/processes.ts';
import { removeHostRules } from '../network/bridge.ts';
import { isRunning, listRuns, readOwner, readProcesses } from './run-owner.ts';
import { runPaths, type RunBases, type RunPaths } from './run-paths.ts';

/** Waiting for killed processes to be gone, in milliseconds. */
const KILL_WAIT_MS = 5000;
const POLL_MS = 20;
/** A runtime directory without owner may be one that is just being made; after this many milliseconds it is not. */
const FRESH_MS = 60_000;

/** What was taken away, for a line in the log. */
export interface Removed {
  readonly processes: number;
  readonly namespaces: number;
  readonly links: number;
}

/** Removes what is left of one run, which must not be running. */
export async function removeRun(paths: RunPaths, run: MustRun): Promise<Removed> {
  const processes = await killRunProcesses(paths);
  const namespaces = (await namespacesOf(paths, run)).length;
  for (const name of await namespacesOf(paths, run)) await removeNamespace(name, paths, run);
  for (const name of listDirectory(paths.bases.netnsEtc)) {
    if (name.startsWith(paths.netnsPrefix)) rmSync(join(paths.bases.netnsEtc, name), { recursive: true, force: true });
  }
  const links = await linksOf(paths, run);
  for (const link of links) await run(['ip', 'link', 'delete', link]).catch(() => undefined);
  await removeHostRules(paths, run);
  rmSync(paths.runtime, { recursive: true, force: true });
  return { processes, namespaces, links: links.length };
}

/** Removes what is left of every run that is not running; returns their names. */
export async function removeDeadRuns(bases: RunBases, run: MustRun): Promise<Map<string, Removed>> {
  const removed = new Map<string, Removed>();
  for (const name of listRuns(bases.runtime)) {
    let paths: RunPaths;
    try {
      paths = runPaths(name, bases);
    } catch {
      // A directory of another name is not ours.
      continue;
    }
    const isFresh = readOwner(paths) === undefined && Date.now() - statSync(paths.runtime).mtimeMs < FRESH_MS;
    if (!isFresh && !isRunning(paths)) removed.set(name, await removeRun(paths, run));
  }
  return removed;
}

/** Removes one namespace and the files that `ip netns exec` put over /etc in it. */
export async function removeNamespace(name: string, paths: RunPaths, run: MustRun): Promise<void> {
  await run(['ip', 'netns', 'delete', name]).catch(() => undefined);
  rmSync(join(paths.bases.netnsEtc, name), { recursive: true, force: true });
}

async function killRunProcesses(paths: RunPaths): Promise<number> {
  const owner = readOwner(paths);
  const found = new Map<number, ProcessIdentity>();
  for (const noted of readProcesses(paths)) if (isAlive(noted)) found.set(noted.pid, noted);
  if (owner !== undefined) for (const one of findRunProcesses(owner.id)) found.set(one.pid, one);
  found.delete(process.pid);
  for (const one of found.values()) killProcess(one);
  for (let waitedMs = 0; waitedMs < KILL_WAIT_MS && [...found.values()].some((one) => isAlive(one)); waitedMs += POLL_MS)
    await sleep(POLL_MS);
  return found.size;
}

async function namespacesOf(paths: RunPaths, run: MustRun): Promise<string[]> {
  const text = await run(['ip', 'netns', 'list']);
  return text
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name.startsWith(paths.netnsPrefix));
}

async function linksOf(paths: RunPaths, run: MustRun): Promise<string[]> {
  const text = await run(['ip', '-o', 'link', 'show']);
  return text
    .split('\n')
    .map((line) => /^\d+: ([^:@]+)[:@]/.exec(line)?.[1] ?? '')
    .filter((name) => name === paths.bridge || name.startsWith(paths.linkPrefix));
}

function listDirectory(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
