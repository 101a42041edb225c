// SPDX-License-Identifier: Apache-2.0
/*
 * CPU and heap profiles of this very process, taken while it serves (proxy-contract §2.6). The inspector is loaded with the first profile, so that
 * a proxy that is never asked carries none of it.
 */
import type { Buffer } from 'node:buffer';
import type { Session } from 'node:inspector';
import { gzipSync } from 'node:zlib';
import { type ProfileFrame, type ProfileSample, encodePprof } from './pprof-encode.ts';

export type ProfileKind = 'cpu' | 'heap';

/** Longest profile, in seconds: samples are kept in memory meanwhile. */
export const MAX_PROFILE_SECONDS = 300;
/** More samples a second than this would measure the sampling. */
export const MAX_PROFILE_HERTZ = 1000;
/** Mean bytes between two sampled allocations. */
const HEAP_INTERVAL_BYTES = 32_768;

/** Takes one profile at a time. */
export class Profiler {
  private isTaking = false;

  /** A gzipped pprof profile, or undefined while another is being taken. */
  async take(kind: ProfileKind, seconds: number, hertz: number): Promise<Buffer | undefined> {
    if (this.isTaking) return undefined;
    this.isTaking = true;
    const inspector = await import('node:inspector');
    const session = new inspector.Session();
    try {
      session.connect();
      return gzipSync(kind === 'cpu' ? await cpuProfile(session, seconds, hertz) : await heapProfile(session, seconds));
    } finally {
      session.disconnect();
      this.isTaking = false;
    }
  }
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

async function cpuProfile(session: Session, seconds: number, hertz: number): Promise<Buffer> {
  const startMs = Date.now();
  const intervalMicros = Math.round(1e6 / hertz);
  await post(session, 'Profiler.enable');
  await post(session, 'Profiler.setSamplingInterval', { interval: intervalMicros });
  await post(session, 'Profiler.start');
  await delay(seconds);
  const { profile } = (await post(session, 'Profiler.stop')) as {
    profile: {
      readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame; readonly children?: readonly number[] }[];
      readonly samples?: readonly number[];
      readonly timeDeltas?: readonly number[];
    };
  };
  await post(session, 'Profiler.disable');
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)));
  const totals = new Map<number, { count: number; micros: number }>();
  for (const [index, id] of (profile.samples ?? []).entries()) {
    const total = totals.get(id) ?? { count: 0, micros: 0 };
    total.count += 1;
    total.micros += Math.max(0, profile.timeDeltas?.[index] ?? intervalMicros);
    totals.set(id, total);
  }
  const samples: ProfileSample[] = [];
  for (const [id, { count, micros }] of totals) {
    const frames: ProfileFrame[] = [];
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = nodes.get(at)?.callFrame;
      if (frame !== undefined && frame.functionName !== '(root)') frames.push(frameOf(frame));
    }
    samples.push({ frames, values: [count, micros * 1000] });
  }
  return encodePprof({
    sampleTypes: [
      ['samples', 'count'],
      ['cpu', 'nanoseconds'],
    ],
    samples,
    startMs,
    durationMs: Date.now() - startMs,
    period: intervalMicros * 1000,
  });
}

interface HeapNode {
  readonly callFrame: CallFrame;
  readonly selfSize: number;
  readonly children: readonly HeapNode[];
}

/** What was allocated in that time and is still held. */
async function heapProfile(session: Session, seconds: number): Promise<Buffer> {
  const startMs = Date.now();
  await post(session, 'HeapProfiler.enable');
  await post(session, 'HeapProfiler.startSampling', { samplingInterval: HEAP_INTERVAL_BYTES });
  await delay(seconds);
  const { profile } = (await post(session, 'HeapProfiler.stopSampling')) as { profile: { readonly head: HeapNode } };
  await post(session, 'HeapProfiler.disable');
  const samples: ProfileSample[] = [];
  const walk = (node: HeapNode, above: readonly ProfileFrame[]): void => {
    const frames = node.callFrame.functionName === '(root)' ? above : [frameOf(node.callFrame), ...above];
    if (node.selfSize > 0) samples.push({ frames, values: [node.selfSize] });
    for (const child of node.children) walk(child, frames);
  };
  walk(profile.head, []);
  return encodePprof({
    sampleTypes: [['inuse_space', 'bytes']],
    samples,
    startMs,
    durationMs: Date.now() - startMs,
    period: HEAP_INTERVAL_BYTES,
  });
}

function frameOf({ functionName, url, lineNumber }: CallFrame): ProfileFrame {
  return { functionName, url, line: lineNumber + 1 };
}

function post(session: Session, method: string, parameters?: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    session.post(method, parameters, (error: Error | null, result?: object) => {
      if (error === null) resolve(result);
      else reject(new Error(error.message));
    });
  });
}

function delay(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1000);
  });
}
