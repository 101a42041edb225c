// SPDX-License-Identifier: Apache-2.0
/* Which V8 flags serve the proxy best: pairs of Weft sidecars with each candidate set, in rounds, fresh processes each time. */
import { CASES, type BenchCase } from './cases.ts';
import { measureRun, type Sample, waitForQuiet } from './measure.ts';
import { rssAnonKbOf } from './process-usage.ts';
import type { Environment } from './results.ts';
import { stopRig } from './rig.ts';
import { sleep } from './shell.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { createWorld, type World, type WorldOptions } from './world.ts';

/** Each with the flags that it has besides those that only silence warnings. */
export const FLAG_SETS: readonly (readonly string[])[] = [
  [],
  ['--max-semi-space-size=1'],
  ['--max-semi-space-size=1', '--max-lazy'],
  ['--max-semi-space-size=1', '--single-threaded-gc'],
  ['--max-semi-space-size=1', '--no-concurrent-recompilation'],
  ['--max-semi-space-size=1', '--optimize-for-size'],
  ['--max-semi-space-size=1', '--lite-mode'],
  ['--max-semi-space-size=1', '--single-threaded'],
  ['--max-semi-space-size=1', '--single-threaded', '--v8-pool-size=0'],
  ['--max-semi-space-size=1', '--single-threaded', '--v8-pool-size=0', '--expose-gc'],
  ['--max-semi-space-size=4', '--single-threaded', '--v8-pool-size=0', '--expose-gc'],
  ['--max-semi-space-size=1', '--single-threaded', '--v8-pool-size=0', '--expose-gc', '--max-lazy'],
];

/** CPU in µs per request of both sidecars, p99 in ms, private memory in MiB of the larger sidecar. */
export interface FlagSummary {
  readonly flags: readonly string[];
  readonly cpuUs: { readonly c32: Spread; readonly r300: Spread; readonly r1200: Spread };
  readonly p99Ms: { readonly c32: Spread; readonly r1200: Spread; readonly cold: Spread };
  readonly rssAnonMb: { readonly idle: Spread; readonly r1200: Spread; readonly c32: Spread; readonly after: Spread };
}

/** bench/results/flags.json. */
export interface FlagResults {
  readonly environment: Environment;
  readonly sets: readonly FlagSummary[];
}

interface FlagSample {
  /** 1,200 requests/s right after the start. */
  readonly cold: Sample;
  readonly c32: Sample;
  readonly r300: Sample;
  readonly r1200: Sample;
  readonly idleMb: number;
  readonly afterMb: number;
}

const WARM_UP_SECONDS = 4;
/** Longer than the proxy takes to find itself idle after the start. */
const IDLE_MS = 12_000;
const AFTER_MS = 10_000;

export interface FlagTrialPlan {
  readonly world: Omit<WorldOptions, 'nodeFlags' | 'hasEnvoy'>;
  readonly sets: readonly (readonly string[])[];
  readonly rounds: number;
  readonly seconds: number;
  readonly quietWaitSeconds: number;
  report(line: string): void;
}

export async function runFlagTrial(plan: FlagTrialPlan): Promise<FlagSummary[]> {
  const samples = plan.sets.map((): FlagSample[] => []);
  for (let round = 0; round < plan.rounds; round++) {
    // Forwards, then backwards: what drifts over the hour then touches all sets alike.
    const order = plan.sets.map((_, index) => index);
    for (const index of round % 2 === 0 ? order : order.reverse()) {
      const flags = plan.sets[index] ?? [];
      const world = await createWorld({ ...plan.world, nodeFlags: ['--disable-warning=ExperimentalWarning', ...flags], hasEnvoy: false });
      const sample = await measureSet(world, plan);
      stopRig();
      samples[index]?.push(sample);
      plan.report(
        `flags ${round + 1}/${plan.rounds}  c32 ${cpuUsOf(sample.c32).toFixed(1)} µs p99 ${sample.c32.p99Ms.toFixed(2)} (cold ${sample.cold.p99Ms.toFixed(2)}) ms  r300 ${cpuUsOf(sample.r300).toFixed(0)}  r1200 ${cpuUsOf(sample.r1200).toFixed(0)} µs  ` +
          `RssAnon idle ${sample.idleMb.toFixed(1)}  r1200 ${rssMbOf(sample.cold).toFixed(1)}  c32 ${rssMbOf(sample.c32).toFixed(1)}  after ${sample.afterMb.toFixed(1)} MiB  others ${sample.c32.foreignCores.toFixed(2)}  ${flags.join(' ')}`,
      );
    }
  }
  return plan.sets.map((flags, index) => summarize(flags, samples[index] ?? []));
}

async function measureSet(world: World, plan: FlagTrialPlan): Promise<FlagSample> {
  const measure = async (id: string, seconds: number): Promise<Sample> => {
    await waitForQuiet(plan.quietWaitSeconds);
    return measureRun(world.loadTools, caseOf(id), 'weft', world.weft, world.applications, seconds);
  };
  await sleep(IDLE_MS);
  const idleMb = rssNowMb(world);
  const cold = await measure('http1-r1200', plan.seconds);
  await measure('http1-c32', WARM_UP_SECONDS);
  const c32 = await measure('http1-c32', plan.seconds);
  const r1200 = await measure('http1-r1200', plan.seconds);
  const r300 = await measure('http1-r300', plan.seconds);
  await sleep(AFTER_MS);
  return { cold, c32, r300, r1200, idleMb, afterMb: rssNowMb(world) };
}

function summarize(flags: readonly string[], samples: readonly FlagSample[]): FlagSummary {
  const spread = (of: (sample: FlagSample) => number): Spread => spreadOf(samples.map(of));
  return {
    flags,
    cpuUs: {
      c32: spread(({ c32 }) => cpuUsOf(c32)),
      r300: spread(({ r300 }) => cpuUsOf(r300)),
      r1200: spread(({ r1200 }) => cpuUsOf(r1200)),
    },
    p99Ms: { c32: spread(({ c32 }) => c32.p99Ms), r1200: spread(({ r1200 }) => r1200.p99Ms), cold: spread(({ cold }) => cold.p99Ms) },
    rssAnonMb: {
      idle: spread(({ idleMb }) => idleMb),
      r1200: spread(({ cold }) => rssMbOf(cold)),
      c32: spread(({ c32 }) => rssMbOf(c32)),
      after: spread(({ afterMb }) => afterMb),
    },
  };
}

function cpuUsOf(sample: Sample): number {
  return sample.outboundCpuUs + sample.inboundCpuUs;
}

function rssMbOf(sample: Sample): number {
  return Math.max(sample.outboundRssAnonMb, sample.inboundRssAnonMb);
}

function rssNowMb({ weft }: World): number {
  return Math.max(rssAnonKbOf(weft.outbound.pid), rssAnonKbOf(weft.inbound.pid)) / 1024;
}

function caseOf(id: string): BenchCase {
  const found = CASES.find((entry) => entry.id === id);
  if (found === undefined) throw new Error(`no case ${id}`);
  return found;
}
