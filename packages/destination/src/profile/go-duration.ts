// SPDX-License-Identifier: Apache-2.0
/* Durations as Go writes them (`1m30s`, `250ms`, `1.5h`): timeouts and budgets of ServiceProfiles (control-contract §1.8, §4.6). */
import { create } from '@bufbuild/protobuf';
import { DurationSchema, type Duration } from '@bufbuild/protobuf/wkt';

const NS_PER_UNIT: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
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

/** Parses a duration; undefined when the text is none. */
export function parseGoDuration(text: string): Duration | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const isNegative = text.startsWith('-');
  const body = isNegative || text.startsWith('+') ? text.slice(1) : text;
  if (body === '0') return create(DurationSchema);
  if (body === '') return undefined;
  let totalNs = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body);
    if (match === null) return undefined;
    const [, amount = '', unit = ''] = match;
    const [whole = '', fraction = ''] = amount.split('.', 2);
    const scale = NS_PER_UNIT[unit] ?? 0;
    totalNs += BigInt(whole === '' ? 0 : whole) * BigInt(scale) + BigInt(Math.trunc(Number(`0.${fraction || '0'}`) * scale));
  }
  if (totalNs > MAX_NS) return undefined;
  const signed = isNegative ? -totalNs : totalNs;
  return create(DurationSchema, { seconds: signed / 1_000_000_000n, nanos: Number(signed % 1_000_000_000n) });
}
