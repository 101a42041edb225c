// SPDX-License-Identifier: Apache-2.0
/* One measured run: a load against one subject, with what its two proxies used meanwhile and how busy the rest of the machine was. */
import type { BenchCase, LoadResult, Subject } from './cases.ts';
import { type LoadTools, runLoad } from './load/run-load.ts';
import { cpuNsOf, machineBusyNs, ownCpuNs, rssAnonKbOf } from './process-usage.ts';
import type { Sidecars } from './rig.ts';
import { sleep, type Started } from './shell.ts';

/** CPU per request in microseconds, private memory in MiB (the largest of samples during the run). */
export interface Sample extends LoadResult {
  readonly outboundCpuUs: number;
  readonly inboundCpuUs: number;
  readonly outboundRssAnonMb: number;
  readonly inboundRssAnonMb: number;
  /** CPU cores that processes outside of the bench used during the run. */
  readonly foreignCores: number;
}

const MEMORY_SAMPLE_MS = 250;
const NS_PER_MS = 1e6;

/** `others` are the bench's own long-running processes besides the subject's, whose CPU is not foreign. */
export async function measureRun(
  tools: LoadTools,
  benchCase: BenchCase,
  subject: Subject,
  sidecars: Sidecars | undefined,
  others: readonly Started[],
  seconds: number,
): Promise<Sample> {
  const peaks = { outbound: 0, inbound: 0 };
  const sampleMemory = (): void => {
    if (sidecars === undefined) return;
    peaks.outbound = Math.max(peaks.outbound, rssAnonKbOf(sidecars.outbound.pid));
    peaks.inbound = Math.max(peaks.inbound, rssAnonKbOf(sidecars.inbound.pid));
  };
  const sampler = setInterval(sampleMemory, MEMORY_SAMPLE_MS);
  const before = { at: performance.now(), machine: machineBusyNs(), own: ownCpuNs(), others: cpuOf(others), ...cpuOfPair(sidecars) };
  let load: LoadResult;
  try {
    load = await runLoad(tools, benchCase, subject, seconds);
  } finally {
    clearInterval(sampler);
  }
  const after = { at: performance.now(), machine: machineBusyNs(), own: ownCpuNs(), others: cpuOf(others), ...cpuOfPair(sidecars) };
  sampleMemory();
  if (load.requests === 0) throw new Error(`${benchCase.id}, ${subject}: no request was answered`);
  const outboundNs = after.outbound - before.outbound;
  const inboundNs = after.inbound - before.inbound;
  const oursNs = outboundNs + inboundNs + (after.own - before.own) + (after.others - before.others);
  return {
    ...load,
    outboundCpuUs: outboundNs / load.requests / 1000,
    inboundCpuUs: inboundNs / load.requests / 1000,
    outboundRssAnonMb: peaks.outbound / 1024,
    inboundRssAnonMb: peaks.inbound / 1024,
    foreignCores: Math.max(0, (after.machine - before.machine - oursNs) / ((after.at - before.at) * NS_PER_MS)),
  };
}

function cpuOf(processes: readonly Started[]): number {
  return processes.reduce((sum, { pid }) => sum + cpuNsOf(pid), 0);
}

function cpuOfPair(sidecars: Sidecars | undefined): { outbound: number; inbound: number } {
  return sidecars === undefined
    ? { outbound: 0, inbound: 0 }
    : { outbound: cpuNsOf(sidecars.outbound.pid), inbound: cpuNsOf(sidecars.inbound.pid) };
}

const QUIET_CORES = 0.3;
const QUIET_WINDOW_MS = 500;

/** Waits until processes of others use little CPU, at most `maxSeconds`. The rig itself is idle meanwhile. */
export async function waitForQuiet(maxSeconds: number): Promise<void> {
  const deadline = Date.now() + maxSeconds * 1000;
  while (Date.now() < deadline) {
    const before = machineBusyNs() - ownCpuNs();
    await sleep(QUIET_WINDOW_MS);
    if ((machineBusyNs() - ownCpuNs() - before) / (QUIET_WINDOW_MS * NS_PER_MS) < QUIET_CORES) return;
  }
}
