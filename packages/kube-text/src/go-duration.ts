// SPDX-License-Identifier: Apache-2.0
/*
 * Durations as Go's time.ParseDuration reads them: `1m30s`, `250ms`, `-1.5h`, `0`. They are in annotations, ServiceProfiles, routes, charts and flags
 * (control-contract §1.8, §3, §4.3, §4.6), and every reader takes the same texts. What a place takes less of, a sign say, it refuses itself.
 */

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  // The micro sign and the Greek letter, both of which Go takes.
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const PART = /([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;

/** Longest text that is looked at, in UTF-16 units. */
const MAX_LENGTH = 64;

/** Go counts nanoseconds in 64 bits: 292 years either way. */
const MAX_NS = 2n ** 63n - 1n;

/** Nanoseconds of a duration, negative where it is; undefined for a text that is none or is longer than Go can count. */
export function goDurationNs(text: string): bigint | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const isNegative = text.startsWith('-');
  const body = isNegative || text.startsWith('+') ? text.slice(1) : text;
  if (body === '0') return 0n;
  if (body === '') return undefined;
  let totalNs = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body);
    if (match === null) return undefined;
    const [, amount = '', unit = ''] = match;
    const [whole = '', fraction = ''] = amount.split('.', 2);
    const scale = UNIT_NS[unit] ?? 0;
    totalNs += BigInt(whole) * BigInt(scale) + BigInt(Math.trunc(Number(`0.${fraction}`) * scale));
  }
  if (totalNs > MAX_NS) return undefined;
  return isNegative ? -totalNs : totalNs;
}

/** Milliseconds of a duration that is not negative, fractions and all; undefined for any other text. */
export function goDurationMs(text: string): number | undefined {
  const ns = goDurationNs(text);
  return ns === undefined || ns < 0n ? undefined : Number(ns) / 1e6;
}
