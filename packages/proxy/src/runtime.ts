// SPDX-License-Identifier: Apache-2.0
/* What every part of the data path shares: time, chance and timers, passed in so that tests can hold them. */

export interface Clock {
  /** Monotonic milliseconds, with fractions. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Calls back once after `ms`, coarsely (the process's one timer wheel). Returns cancel. */
  readonly after: (ms: number, callback: () => void) => () => void;
}
