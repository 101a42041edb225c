// SPDX-License-Identifier: Apache-2.0
/*
 * Parts that many derived values have in common, computed once for all of them while nothing changes: the policy of a Service is the same for
 * every namespace without routes of its own, and encoding it is most of the work (measured: 10,000 values of 1,000 Services, all touched by one
 * change).
 */
import type { DependencyGraph, Track } from './dependency-graph.ts';

/** Results kept at most; a flood of questions that nobody repeats must not pile up. */
export const MAX_SHARED_RESULTS = 10_000;

interface Shared {
  readonly keys: readonly string[];
  readonly value: unknown;
}

/** Results by name, good until the next touch of any key. */
export class SharedComputations {
  private readonly graph: DependencyGraph;
  private results = new Map<string, Shared>();
  private touchCount = -1;

  constructor(graph: DependencyGraph) {
    this.graph = graph;
  }

  /** The result of `compute`, from before if nothing was touched since. Equal names must mean equal computations. */
  get<T>(name: string, track: Track, compute: (track: Track) => T): T {
    if (this.touchCount !== this.graph.touchCount || this.results.size >= MAX_SHARED_RESULTS) {
      this.touchCount = this.graph.touchCount;
      this.results = new Map();
    }
    let shared = this.results.get(name);
    if (shared === undefined) {
      const keys: string[] = [];
      shared = { value: compute((key) => keys.push(key)), keys };
      this.results.set(name, shared);
    }
    for (const key of shared.keys) track(key);
    return shared.value as T;
  }
}
