// SPDX-License-Identifier: Apache-2.0
/* What every part of the data path shares: time, chance and timers, passed in so that tests can hold them. */

export interface Clock {
  /** Monotonic milliseconds, with fractions. */
  readonly now: () => number;
  /** The time of day as a Date field has it (RFC 9110 §5.6.7). The same string object for the whole second. */
  readonly date: () => string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Calls back once after `ms`, coarsely (the process's one timer wheel). Returns cancel. */
  readonly after: (ms: number, callback: () => void) => () => void;
}

/** A `Clock.date` of a wall clock in milliseconds since the epoch. */
export function dateSource(wallClock: () => number): () => string {
  let second = -1;
  let text = '';
  return () => {
    const nowSecond = Math.floor(wallClock() / 1000);
    if (nowSecond !== second) {
      second = nowSecond;
      text = new Date(nowSecond * 1000).toUTCString();
    }
    return text;
  };
}
