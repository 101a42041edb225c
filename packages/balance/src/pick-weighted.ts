// SPDX-License-Identifier: Apache-2.0
/*
 * The backend of a request where a rule splits by weight (proxy-contract §6.2). The contract draws by weight, without replacement, until an
 * available backend comes up; the one that comes up first is distributed as one draw among the available ones alone, which is what this does.
 */

const EVERYONE = (): boolean => true;

/**
 * Index drawn with chance proportional to its weight among those that are available, or -1 if none has a positive weight. `random`: uniform in
 * [0, 1). `isAvailable` must not change its mind within the call. Weights that are negative or no finite numbers count as 0.
 */
export function pickWeighted(weights: readonly number[], random: () => number, isAvailable: (index: number) => boolean = EVERYONE): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) {
    if (isDrawable(weights, i, isAvailable)) total += weights[i] as number;
  }
  if (total === 0) return -1;
  let rest = random() * total;
  let picked = -1;
  for (let i = 0; i < weights.length; i++) {
    if (!isDrawable(weights, i, isAvailable)) continue;
    // Where rounding has eaten the end of the scale, the last one has it.
    picked = i;
    rest -= weights[i] as number;
    if (rest < 0) break;
  }
  return picked;
}

function isDrawable(weights: readonly number[], index: number, isAvailable: (index: number) => boolean): boolean {
  const weight = weights[index] as number;
  return weight > 0 && weight < Number.POSITIVE_INFINITY && isAvailable(index);
}
