// SPDX-License-Identifier: Apache-2.0
/*
 * How many pods each version of a Deployment should have now: the rolling update of Kubernetes (apps/v1 DeploymentSpec.strategy), as a pure
 * function of what there is. Default here: one more pod than asked for, none fewer, so that an edit of a manifest never costs capacity.
 */

/** One ReplicaSet of a Deployment. */
export interface ReplicaSetState {
  readonly name: string;
  readonly replicas: number;
  /** Pods that are ready (for `minReadySeconds`). */
  readonly available: number;
  /** Pods that are there and not being deleted. */
  readonly pods: number;
}

export interface RolloutState {
  readonly desired: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  readonly isRecreate: boolean;
  readonly current: ReplicaSetState;
  /** Oldest first. */
  readonly old: readonly ReplicaSetState[];
}

/** Wanted replicas by name of the ReplicaSet. Called again after each change, until nothing changes. */
export function planRollout(state: RolloutState): Map<string, number> {
  const { desired, current, old } = state;
  const wanted = new Map<string, number>();
  for (const set of [...old, current]) wanted.set(set.name, set.replicas);
  if (state.isRecreate) {
    for (const set of old) wanted.set(set.name, 0);
    if (old.every((set) => set.pods === 0)) wanted.set(current.name, desired);
    return wanted;
  }
  const oldTotal = sum(old.map((set) => set.replicas));
  const total = oldTotal + current.replicas;
  if (oldTotal === 0) {
    wanted.set(current.name, desired);
    return wanted;
  }
  // A resize while two versions are there: the new one takes it, the old ones go anyway.
  const room = desired + state.maxSurge - total;
  const next = Math.min(desired, Math.max(current.replicas + Math.max(0, room), 0));
  wanted.set(current.name, next);

  const available = sum([...old, current].map((set) => set.available));
  let removable = total - (desired - state.maxUnavailable) - (current.replicas - current.available);
  // Old pods that do not work serve nobody: they go first, and cost nothing.
  for (const set of old) {
    const broken = Math.min(set.replicas - Math.min(set.available, set.replicas), Math.max(0, removable));
    wanted.set(set.name, set.replicas - broken);
    removable -= broken;
  }
  let spare = available - (desired - state.maxUnavailable);
  for (const set of old) {
    const left = wanted.get(set.name) ?? 0;
    const down = Math.min(left, Math.max(0, spare));
    wanted.set(set.name, left - down);
    spare -= down;
  }
  return wanted;
}

/** `maxSurge`, `maxUnavailable`: a number, or a percentage of `desired`, rounded up or down. */
export function resolveCount(value: unknown, desired: number, fallback: number, rounds: 'up' | 'down'): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  const match = typeof value === 'string' ? /^(\d{1,3})%$/.exec(value) : null;
  if (match === null) return fallback;
  const exact = (Number(match[1]) * desired) / 100;
  return rounds === 'up' ? Math.ceil(exact) : Math.floor(exact);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
