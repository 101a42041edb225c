// SPDX-License-Identifier: Apache-2.0
/* The memory of fresh sidecars: idle, under a light and a heavy load, and after it; and what idling costs in CPU. */
import { CASES, PROXIED, type BenchCase, type Subject } from './cases.ts';
import { measureRun } from './measure.ts';
import { cpuNsOf, rssAnonKbOf } from './process-usage.ts';
import type { MemorySummary } from './results.ts';
import type { Sidecars } from './rig.ts';
import { sleep } from './shell.ts';
import { spreadOf } from './statistics.ts';
import type { World } from './world.ts';

export interface MemorySample {
  readonly idleRssAnonMb: number;
  readonly idleCpuPercent: number;
  readonly loadedRssAnonMb: number;
  readonly saturatedRssAnonMb: number;
  readonly afterRssAnonMb: number;
}

const SETTLE_MS = 10_000;
const IDLE_WINDOW_MS = 10_000;
/** Longer than the minute that Weft leaves between two collections while idle. */
const AFTER_MS = 70_000;

/** One round on a world that has seen no traffic. `isReversed` lets the second subject go first. */
export async function measureMemory(world: World, seconds: number, isReversed: boolean): Promise<Map<Subject, MemorySample>> {
  const pairs = PROXIED.flatMap((subject) => {
    const sidecars = world[subject];
    return sidecars === undefined ? [] : [{ subject, sidecars }];
  });
  if (isReversed) pairs.reverse();
  await sleep(SETTLE_MS);
  const idle = new Map<Subject, { rssMb: number; cpuNs: number; cpuPercent: number }>();
  for (const { subject, sidecars } of pairs) idle.set(subject, { rssMb: rssMbOf(sidecars), cpuNs: cpuOf(sidecars), cpuPercent: 0 });
  await sleep(IDLE_WINDOW_MS);
  for (const { subject, sidecars } of pairs) {
    const found = idle.get(subject);
    if (found !== undefined) found.cpuPercent = ((cpuOf(sidecars) - found.cpuNs) / (IDLE_WINDOW_MS * 1e6)) * 100;
  }
  const loaded = new Map<Subject, { light: number; heavy: number }>();
  for (const { subject, sidecars } of pairs) {
    const peak = async (id: string): Promise<number> => {
      const sample = await measureRun(world.loadTools, caseOf(id), subject, sidecars, [], seconds);
      return Math.max(sample.outboundRssAnonMb, sample.inboundRssAnonMb);
    };
    loaded.set(subject, { light: await peak('http1-r1200'), heavy: await peak('http1-c256') });
  }
  await sleep(AFTER_MS);
  return new Map(
    pairs.map(({ subject, sidecars }) => [
      subject,
      {
        idleRssAnonMb: idle.get(subject)?.rssMb ?? 0,
        idleCpuPercent: idle.get(subject)?.cpuPercent ?? 0,
        loadedRssAnonMb: loaded.get(subject)?.light ?? 0,
        saturatedRssAnonMb: loaded.get(subject)?.heavy ?? 0,
        afterRssAnonMb: rssMbOf(sidecars),
      },
    ]),
  );
}

export function summarizeMemory(samples: readonly MemorySample[]): MemorySummary {
  return {
    idleRssAnonMb: spreadOf(samples.map((sample) => sample.idleRssAnonMb)),
    idleCpuPercent: spreadOf(samples.map((sample) => sample.idleCpuPercent)),
    loadedRssAnonMb: spreadOf(samples.map((sample) => sample.loadedRssAnonMb)),
    saturatedRssAnonMb: spreadOf(samples.map((sample) => sample.saturatedRssAnonMb)),
    afterRssAnonMb: spreadOf(samples.map((sample) => sample.afterRssAnonMb)),
  };
}

function rssMbOf({ outbound, inbound }: Sidecars): number {
  return Math.max(rssAnonKbOf(outbound.pid), rssAnonKbOf(inbound.pid)) / 1024;
}

function cpuOf({ outbound, inbound }: Sidecars): number {
  return cpuNsOf(outbound.pid) + cpuNsOf(inbound.pid);
}

function caseOf(id: string): BenchCase {
  const found = CASES.find((entry) => entry.id === id);
  if (found === undefined) throw new Error(`no case ${id}`);
  return found;
}
