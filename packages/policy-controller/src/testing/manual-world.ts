// SPDX-License-Identifier: Apache-2.0
/*
 * A policy controller over a world in memory, with a clock that the test moves. For tests.
 */
import { readFileSync } from 'node:fs';
import type { MetricFactory } from '@weft/grpc-server';
import { type LocalSource, type MemorySourceOptions, ResourceError, type ResourceInput, createMemorySource } from '@weft/resources';
import { type PolicyController, createPolicyController } from '../policy-controller.ts';
import type { PolicyClock, PolicyControllerOptions, PolicyLog } from '../types.ts';

/** A clock whose timers run when the test says so; deferred work runs in the next turn of the event loop. */
export class ManualClock implements PolicyClock {
  private nowMs: number;
  private timers: { readonly atMs: number; readonly callback: () => void }[] = [];

  constructor(startMs: number) {
    this.nowMs = startMs;
  }

  now(): number {
    return this.nowMs;
  }

  setTimer(callback: () => void, delayMs: number): () => void {
    const timer = { atMs: this.nowMs + delayMs, callback };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  /** Moves time on, running due timers in order and letting each one's consequences settle. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const [next] = this.timers.filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.timers = this.timers.filter((other) => other !== next);
      this.nowMs = next.atMs;
      next.callback();
      await settle();
    }
    this.nowMs = untilMs;
  }
}

/** What a controller logged. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A controller and everything around it. */
export interface ManualWorld {
  readonly source: LocalSource;
  readonly controller: PolicyController;
  readonly clock: ManualClock;
  readonly log: readonly LogLine[];
  /** Counters without labels, by family. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Starts a controller over these objects and waits until it is ready. It leads at once. Without `hasWriter` its status patches fail. */
export async function startWorld(
  objects: readonly ResourceInput[],
  options: Partial<PolicyControllerOptions> = {},
  sourceOptions: Partial<MemorySourceOptions> = {},
  hasWriter = true,
): Promise<ManualWorld> {
  const clock = new ManualClock(Date.parse('2026-11-23T12:00:00Z'));
  const lines: LogLine[] = [];
  const write =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, message, fields });
    };
  const log: PolicyLog = { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') };
  const source = createMemorySource({ nowMs: () => clock.now(), ...sourceOptions, objects });
  if (!hasWriter) source.patchStatus = () => Promise.reject(new ResourceError('ERR_CONFLICT', 'statuses stay as they are'));
  const counts = new Map<string, number>();
  const controller = createPolicyController({
    source,
    log,
    clock,
    metrics: countingMetrics(counts),
    options: { leaderElection: 'always', ...options },
  });
  await controller.ready;
  await settle();
  return { source, controller, clock, log: lines, counts };
}

/** Counts increments only. */
function countingMetrics(counts: Map<string, number>): MetricFactory {
  return {
    counter: (name) => ({ inc: (_labels, value = 1) => counts.set(name, (counts.get(name) ?? 0) + value) }),
    gauge: () => ({ inc: () => undefined, dec: () => undefined, set: () => undefined, remove: () => undefined }),
    histogram: () => ({ observe: () => undefined }),
  };
}

/** Lets everything that is under way happen: watch events, deferred flushes, status patches and what follows from them. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** The objects of a recorded scenario. */
export function recordedObjects(scenario: string): ResourceInput[] {
  const list = JSON.parse(readFileSync(vectorPath(`control-objects/${scenario}.json`), 'utf8')) as { readonly items: ResourceInput[] };
  return list.items;
}

/** A file of the vectors. */
export function vectorPath(path: string): URL {
  return new URL(`../testdata/vectors/${path}`, import.meta.url);
}
