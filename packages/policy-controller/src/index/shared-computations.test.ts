// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { DependencyGraph } from './dependency-graph.ts';
import { MAX_SHARED_RESULTS, SharedComputations } from './shared-computations.ts';

function createShared(): { readonly graph: DependencyGraph; readonly shared: SharedComputations } {
  const graph = new DependencyGraph(
    () => undefined,
    () => undefined,
  );
  return { graph, shared: new SharedComputations(graph) };
}

describe('shared computations', () => {
  it('run once until something is touched, and name what they read to everyone', () => {
    const { graph, shared } = createShared();
    let runs = 0;
    const ask = (): string[] => {
      const keys: string[] = [];
      const value = shared.get(
        'x',
        (key) => keys.push(key),
        (track) => {
          track('a');
          track('b');
          runs += 1;
          return runs;
        },
      );
      return [String(value), ...keys];
    };
    expect([ask(), ask()]).toEqual([
      ['1', 'a', 'b'],
      ['1', 'a', 'b'],
    ]);
    graph.touch('unrelated');
    expect(ask()).toEqual(['2', 'a', 'b']);
  });

  it('remember a bounded number of results', () => {
    const { shared } = createShared();
    let runs = 0;
    const ask = (name: string): void => {
      shared.get(
        name,
        () => undefined,
        () => {
          runs += 1;
        },
      );
    };
    for (let i = 0; i < MAX_SHARED_RESULTS; i += 1) ask(`${i}`);
    ask('0');
    ask('0');
    expect(runs).toBe(MAX_SHARED_RESULTS + 1);
  });
});
