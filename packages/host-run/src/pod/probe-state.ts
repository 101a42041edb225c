// SPDX-License-Identifier: Apache-2.0
/*
 * What a row of probe results means (core/v1 Probe): `successThreshold` good ones in a row turn it true, `failureThreshold` bad ones false.
 * Pure: who probes, and when, is the prober's.
 */
import type { Probe } from '@weft/resources';

/** Times and thresholds of a probe, defaults filled in, in milliseconds. */
export interface ProbeTiming {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export function probeTiming(probe: Probe): ProbeTiming {
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: Math.max(1, probe.periodSeconds ?? 10) * 1000,
    timeoutMs: Math.max(1, probe.timeoutSeconds ?? 1) * 1000,
    successThreshold: Math.max(1, probe.successThreshold ?? 1),
    failureThreshold: Math.max(1, probe.failureThreshold ?? 3),
  };
}

/** A probe's verdict so far. */
export class ProbeState {
  /** Undefined before the first threshold is reached. */
  verdict: boolean | undefined;
  private readonly timing: ProbeTiming;
  private run = 0;
  private last: boolean | undefined = undefined;

  constructor(timing: ProbeTiming, initial: boolean | undefined) {
    this.timing = timing;
    this.verdict = initial;
  }

  /** Takes one result; returns whether the verdict changed. */
  record(isSuccess: boolean): boolean {
    this.run = this.last === isSuccess ? this.run + 1 : 1;
    this.last = isSuccess;
    const threshold = isSuccess ? this.timing.successThreshold : this.timing.failureThreshold;
    if (this.run < threshold || this.verdict === isSuccess) return false;
    this.verdict = isSuccess;
    return true;
  }
}
