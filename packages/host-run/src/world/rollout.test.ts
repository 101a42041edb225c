// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planRollout, type ReplicaSetState, resolveCount, type RolloutState } from './rollout.ts';

function set(name: string, replicas: number, available = replicas): ReplicaSetState {
  return { name, replicas, available, pods: replicas };
}

const BASE = { maxSurge: 1, maxUnavailable: 0, isRecreate: false };

describe('planRollout', () => {
  const cases: [string, RolloutState, Record<string, number>][] = [
    ['a first version gets everything', { ...BASE, desired: 3, current: set('new', 0), old: [] }, { new: 3 }],
    ['a resize without old versions is done at once', { ...BASE, desired: 1, current: set('new', 4), old: [] }, { new: 1 }],
    ['an update begins with one more', { ...BASE, desired: 2, current: set('new', 0), old: [set('old', 2)] }, { new: 1, old: 2 }],
    [
      'nothing old goes while the new one is not ready',
      { ...BASE, desired: 2, current: set('new', 1, 0), old: [set('old', 2)] },
      { new: 1, old: 2 },
    ],
    [
      'an old one goes for each new one that is ready',
      { ...BASE, desired: 2, current: set('new', 1), old: [set('old', 2)] },
      { new: 1, old: 1 },
    ],
    ['the room of one that went is used', { ...BASE, desired: 2, current: set('new', 1), old: [set('old', 1)] }, { new: 2, old: 1 }],
    ['the last old one goes', { ...BASE, desired: 2, current: set('new', 2), old: [set('old', 1)] }, { new: 2, old: 0 }],
    ['broken old pods go first', { ...BASE, desired: 2, current: set('new', 1), old: [set('old', 2, 1)] }, { new: 1, old: 1 }],
    [
      'Recreate takes all old ones first',
      { ...BASE, isRecreate: true, desired: 2, current: set('new', 0), old: [set('old', 2)] },
      { new: 0, old: 0 },
    ],
    [
      'Recreate then makes the new ones',
      { ...BASE, isRecreate: true, desired: 2, current: set('new', 0), old: [set('old', 0)] },
      { new: 2, old: 0 },
    ],
  ];
  it.each(cases)('%s', (_title, state, wanted) => {
    expect(Object.fromEntries(planRollout(state))).toEqual(wanted);
  });

  it('never goes below what must be available nor above what may be there, and ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 0, max: 2 }),
        fc.array(fc.nat({ max: 99 }), { maxLength: 200 }),
        (desired, maxSurge, maxUnavailable, luck) => {
          fc.pre(maxSurge + maxUnavailable > 0);
          let [current, old] = [
            { replicas: 0, available: 0 },
            { replicas: desired, available: desired },
          ];
          for (let step = 0; step < 200; step++) {
            const plan = planRollout({
              desired,
              maxSurge,
              maxUnavailable,
              isRecreate: false,
              current: { name: 'new', pods: current.replicas, ...current },
              old: [{ name: 'old', pods: old.replicas, ...old }],
            });
            const [nextNew = 0, nextOld = 0] = [plan.get('new'), plan.get('old')];
            expect(nextNew + nextOld).toBeLessThanOrEqual(desired + maxSurge);
            old = { replicas: nextOld, available: Math.min(old.available, nextOld) };
            current = { replicas: nextNew, available: Math.min(current.available, nextNew) };
            expect(old.available + current.available).toBeGreaterThanOrEqual(desired - maxUnavailable);
            // New pods become ready one at a time, at unforeseen moments; in the end all do.
            if ((luck[step] ?? 0) < 50 && current.available < current.replicas) current = { ...current, available: current.available + 1 };
          }
          expect([current.replicas, old.replicas]).toEqual([desired, 0]);
        },
      ),
    );
  });
});

describe('resolveCount', () => {
  it.each([
    [2, 10, 2],
    ['25%', 10, 3],
    ['0%', 10, 0],
    [undefined, 10, 7],
    ['many', 10, 7],
    [-1, 10, 7],
  ])('%s of %i is %i, rounded up', (value, desired, count) => {
    expect(resolveCount(value, desired, 7, 'up')).toBe(count);
  });

  it('rounds down where asked to', () => {
    expect(resolveCount('25%', 10, 0, 'down')).toBe(2);
  });
});
