// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { DependencyGraph, type Derivation } from './dependency-graph.ts';

interface World {
  readonly graph: DependencyGraph;
  readonly numbers: Map<string, number>;
  readonly errors: string[];
  computed: number;
  set(key: string, value: number): void;
  flushAll(): void;
}

function createWorld(): World {
  const due: (() => void)[] = [];
  const errors: string[] = [];
  const numbers = new Map<string, number>();
  const graph = new DependencyGraph(
    (run) => due.push(run),
    (_error, name) => errors.push(name),
  );
  return {
    graph,
    numbers,
    errors,
    computed: 0,
    set(key, value) {
      numbers.set(key, value);
      graph.touch(key);
    },
    flushAll() {
      for (const run of due.splice(0)) run();
    },
  };
}

/** The sum of numbers by name; `a` may name another key to read instead of `b`. */
function sum(world: World, ...keys: readonly string[]): Derivation<number> {
  return {
    compute(track) {
      world.computed += 1;
      return keys.reduce((total, key) => {
        track(key);
        return total + (world.numbers.get(key) ?? 0);
      }, 0);
    },
    equal: (a, b) => a === b,
  };
}

describe('[RT-27] derived values', () => {
  it('start with the value now and tell each later one once, however many keys were touched', () => {
    const world = createWorld();
    world.set('a', 1);
    const heard: number[] = [];
    const observation = world.graph.observe('sum', sum(world, 'a', 'b'), (value) => heard.push(value));
    expect(observation.value).toBe(1);
    world.set('a', 2);
    world.set('b', 3);
    expect(heard).toEqual([]);
    world.flushAll();
    expect(heard).toEqual([5]);
    expect(observation.value).toBe(5);
  });

  it('are silent about changes that give an equal value, and about keys that they did not read', () => {
    const world = createWorld();
    const heard: number[] = [];
    world.graph.observe('sum', sum(world, 'a', 'b'), (value) => heard.push(value));
    world.set('a', 1);
    world.set('b', -1);
    world.flushAll();
    const { computed } = world;
    world.set('elsewhere', 7);
    world.flushAll();
    expect(heard).toEqual([]);
    expect(world.computed).toBe(computed);
  });

  it('follow what they read now, not what they read before', () => {
    const world = createWorld();
    const heard: number[] = [];
    const choice: Derivation<number> = {
      compute(track) {
        track('which');
        const key = world.numbers.get('which') === 1 ? 'x' : 'y';
        track(key);
        return world.numbers.get(key) ?? 0;
      },
      equal: (a, b) => a === b,
    };
    world.graph.observe('choice', choice, (value) => heard.push(value));
    world.set('y', 5);
    world.flushAll();
    world.set('which', 1);
    world.flushAll();
    world.set('y', 6);
    world.flushAll();
    world.set('x', 7);
    world.flushAll();
    expect(heard).toEqual([5, 0, 7]);
  });

  it('are shared by their observers and dropped after the last', () => {
    const world = createWorld();
    const heard: string[] = [];
    const one = world.graph.observe('sum', sum(world, 'a'), () => heard.push('one'));
    const two = world.graph.observe('sum', sum(world, 'a'), () => heard.push('two'));
    expect([world.computed, world.graph.cellCount]).toEqual([1, 1]);
    one.close();
    world.set('a', 1);
    world.flushAll();
    two.close();
    two.close();
    world.set('a', 2);
    world.flushAll();
    expect(heard).toEqual(['two']);
    expect([world.computed, world.graph.cellCount]).toEqual([2, 0]);
  });

  it('give a late observer the pending change as its first value, and do not repeat it', () => {
    const world = createWorld();
    const heard: string[] = [];
    world.graph.observe('sum', sum(world, 'a'), (value) => heard.push(`early ${value}`));
    world.set('a', 4);
    const late = world.graph.observe('sum', sum(world, 'a'), (value) => heard.push(`late ${value}`));
    expect(late.value).toBe(4);
    world.flushAll();
    expect(heard).toEqual(['early 4']);
  });

  it('keep their last value when a computation throws, and recover', () => {
    const world = createWorld();
    const heard: number[] = [];
    const fragile: Derivation<number> = {
      compute(track) {
        track('a');
        const value = world.numbers.get('a') ?? 0;
        if (value < 0) throw new Error('negative');
        return value;
      },
      equal: (a, b) => a === b,
    };
    const observation = world.graph.observe('fragile', fragile, (value) => heard.push(value));
    world.set('a', -1);
    world.flushAll();
    expect([observation.value, world.errors]).toEqual([0, ['fragile']]);
    world.set('a', 2);
    world.flushAll();
    expect(heard).toEqual([2]);
  });

  it('reach every observer although one of them throws', () => {
    const world = createWorld();
    const heard: number[] = [];
    world.graph.observe('sum', sum(world, 'a'), () => {
      throw new Error('observer');
    });
    world.graph.observe('sum', sum(world, 'a'), (value) => heard.push(value));
    world.set('a', 1);
    world.flushAll();
    expect([heard, world.errors]).toEqual([[1], ['sum']]);
  });

  it('are recomputed in slices of time, so that many dear ones keep nobody waiting', () => {
    let nowMs = 0;
    const due: (() => void)[] = [];
    const graph = new DependencyGraph(
      (run) => due.push(run),
      () => undefined,
      () => nowMs,
    );
    let base = 0;
    const heard: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const dear: Derivation<number> = {
        compute(track) {
          track('a');
          nowMs += 4;
          return base + i;
        },
        equal: (a, b) => a === b,
      };
      graph.observe(`dear ${i}`, dear, () => heard.push(i));
    }
    base = 10;
    graph.touch('a');
    const slices: number[] = [];
    for (let run = due.shift(); run !== undefined; run = due.shift()) {
      run();
      slices.push(heard.length);
    }
    expect(slices).toEqual([3, 5]);
    graph.touch('a');
    expect(due).toHaveLength(1);
  });
});
