// SPDX-License-Identifier: Apache-2.0
/* What a bench leaves behind in bench/results: medians with their range, on which machine and with what they were measured. */
import { execFileSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import type { BenchCase, Subject } from './cases.ts';
import type { Sample } from './measure.ts';
import { type Spread, spreadOf } from './statistics.ts';

export interface SubjectSummary {
  /** Outbound and inbound together, µs per request. */
  readonly cpuUs: Spread;
  readonly outboundCpuUs: Spread;
  readonly inboundCpuUs: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  readonly ratePerSecond: Spread;
  readonly outboundRssAnonMb: Spread;
  readonly inboundRssAnonMb: Spread;
  readonly errors: number;
  readonly foreignCores: Spread;
}

export interface CaseSummary {
  readonly id: string;
  readonly title: string;
  readonly subjects: Partial<Record<Subject, SubjectSummary>>;
  /** Weft's CPU per request over Envoy's: of the medians, with the range over rounds. Absent unless both ran. */
  readonly cpuRatio?: Spread;
}

/** Private memory in MiB of the larger of the two sidecars; CPU of both in percent of a core. */
export interface MemorySummary {
  readonly idleRssAnonMb: Spread;
  readonly idleCpuPercent: Spread;
  /** At 1,200 requests/s. */
  readonly loadedRssAnonMb: Spread;
  /** With 256 saturated connections. */
  readonly saturatedRssAnonMb: Spread;
  /** 70 s after the end of the load. */
  readonly afterRssAnonMb: Spread;
}

export interface Environment {
  readonly date: string;
  /** Of the checkout that was measured; `+` when it had changes that were not committed. */
  readonly commit: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly nodeFlags: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  /** Whether runs that other processes of the machine disturbed were made again. */
  readonly isGuarded: boolean;
}

export interface Results {
  readonly environment: Environment;
  readonly cases: readonly CaseSummary[];
  readonly memory?: Partial<Record<Subject, MemorySummary>>;
}

export function describeEnvironment(
  root: string,
  versions: Readonly<Record<string, string>>,
  nodeFlags: readonly string[],
  plan: { readonly rounds: number; readonly seconds: number; readonly quietWaitSeconds: number },
): Environment {
  const processors = cpus();
  const git = (...args: string[]): string => execFileSync('git', ['-C', root, ...args], { encoding: 'utf8' }).trim();
  const isChanged = git('status', '--porcelain', '--untracked-files=no', '--', 'packages', 'apps') !== '';
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: git('rev-parse', '--short=12', 'HEAD') + (isChanged ? '+' : ''),
    machine: `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`,
    versions,
    nodeFlags,
    rounds: plan.rounds,
    seconds: plan.seconds,
    isGuarded: plan.quietWaitSeconds > 0,
  };
}

/** `samples` by subject, each in the order of the rounds. Subjects without samples are left out. */
export function summarizeCase(benchCase: BenchCase, samples: ReadonlyMap<Subject, readonly Sample[]>): CaseSummary {
  const subjects: Partial<Record<Subject, SubjectSummary>> = {};
  for (const [subject, list] of samples) if (list.length > 0) subjects[subject] = summarizeSubject(list);
  const { weft, envoy } = subjects;
  if (weft === undefined || envoy === undefined) return { id: benchCase.id, title: benchCase.title, subjects };
  const pairs = (samples.get('weft') ?? []).flatMap((sample, round) => {
    const other = samples.get('envoy')?.[round];
    return other === undefined ? [] : [cpuUsOf(sample) / cpuUsOf(other)];
  });
  const { min, max } = spreadOf(pairs);
  return { id: benchCase.id, title: benchCase.title, subjects, cpuRatio: { median: weft.cpuUs.median / envoy.cpuUs.median, min, max } };
}

function summarizeSubject(samples: readonly Sample[]): SubjectSummary {
  const spread = (of: (sample: Sample) => number): Spread => spreadOf(samples.map(of));
  return {
    cpuUs: spread(cpuUsOf),
    outboundCpuUs: spread((sample) => sample.outboundCpuUs),
    inboundCpuUs: spread((sample) => sample.inboundCpuUs),
    p50Ms: spread((sample) => sample.p50Ms),
    p99Ms: spread((sample) => sample.p99Ms),
    ratePerSecond: spread((sample) => sample.ratePerSecond),
    outboundRssAnonMb: spread((sample) => sample.outboundRssAnonMb),
    inboundRssAnonMb: spread((sample) => sample.inboundRssAnonMb),
    errors: samples.reduce((sum, sample) => sum + sample.errors, 0),
    foreignCores: spread((sample) => sample.foreignCores),
  };
}

function cpuUsOf(sample: Sample): number {
  return sample.outboundCpuUs + sample.inboundCpuUs;
}
