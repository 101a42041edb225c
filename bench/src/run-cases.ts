// SPDX-License-Identifier: Apache-2.0
/* All cases in interleaved rounds: in each, every subject runs every case, and who goes first alternates (A B, B A, …). */
import { type BenchCase, type Subject } from './cases.ts';
import { measureRun, type Sample, waitForQuiet } from './measure.ts';
import { type CaseSummary, summarizeCase } from './results.ts';
import type { World } from './world.ts';

/** A run with more of other processes' work than this is made again. */
const MAX_FOREIGN_CORES = 0.4;
const MAX_ATTEMPTS = 3;
const WARM_UP_SECONDS = 4;

export interface RunPlan {
  readonly cases: readonly BenchCase[];
  readonly rounds: number;
  readonly seconds: number;
  readonly quietWaitSeconds: number;
  report(line: string): void;
}

export async function runCases(world: World, plan: RunPlan): Promise<CaseSummary[]> {
  const proxied: Subject[] = world.envoy === undefined ? ['weft'] : ['weft', 'envoy'];
  // The code of one side has to be compiled and the pools of both filled before anything counts.
  for (const protocol of ['http1', 'http2', 'grpc'] as const) {
    const saturated = plan.cases.find((entry) => entry.protocol === protocol);
    if (saturated === undefined) continue;
    const { rate: _, ...warmUp } = { ...saturated, connections: Math.max(saturated.connections, protocol === 'http1' ? 32 : 4) };
    for (const subject of proxied) await measureOnce(world, warmUp, subject, Math.min(WARM_UP_SECONDS, plan.seconds));
  }
  const samples = new Map<BenchCase, Map<Subject, Sample[]>>();
  for (const benchCase of plan.cases)
    samples.set(benchCase, new Map([...(['direct', 'weft', 'envoy'] as const)].map((subject) => [subject, []])));
  for (let round = 0; round < plan.rounds; round++) {
    const order: Subject[] = ['direct', ...(round % 2 === 0 ? proxied : proxied.toReversed())];
    for (const benchCase of plan.cases) {
      for (const subject of order) {
        const sample = await measureQuietly(world, benchCase, subject, plan);
        samples.get(benchCase)?.get(subject)?.push(sample);
        plan.report(
          `round ${round + 1}/${plan.rounds}  ${benchCase.id.padEnd(12)} ${subject.padEnd(7)} ${sample.ratePerSecond.toFixed(0).padStart(6)}/s  ` +
            `CPU ${sample.outboundCpuUs.toFixed(1)} + ${sample.inboundCpuUs.toFixed(1)} µs  p50 ${sample.p50Ms.toFixed(2)}  p99 ${sample.p99Ms.toFixed(2)} ms  ` +
            `RssAnon ${sample.outboundRssAnonMb.toFixed(1)} + ${sample.inboundRssAnonMb.toFixed(1)} MiB  errors ${sample.errors}  others ${sample.foreignCores.toFixed(2)}`,
        );
      }
    }
  }
  return plan.cases.map((benchCase) => summarizeCase(benchCase, samples.get(benchCase) ?? new Map()));
}

/** Repeats a disturbed run, and takes the least disturbed one. */
async function measureQuietly(world: World, benchCase: BenchCase, subject: Subject, plan: RunPlan): Promise<Sample> {
  let best: Sample | undefined;
  const attempts = plan.quietWaitSeconds > 0 ? MAX_ATTEMPTS : 1;
  for (let attempt = 0; attempt < attempts; attempt++) {
    await waitForQuiet(plan.quietWaitSeconds);
    const sample = await measureOnce(world, benchCase, subject, plan.seconds);
    if (best === undefined || sample.foreignCores < best.foreignCores) best = sample;
    if (sample.foreignCores <= MAX_FOREIGN_CORES) break;
  }
  return best as Sample;
}

function measureOnce(world: World, benchCase: BenchCase, subject: Subject, seconds: number): Promise<Sample> {
  return measureRun(world.loadTools, benchCase, subject, subject === 'direct' ? undefined : world[subject], world.applications, seconds);
}
