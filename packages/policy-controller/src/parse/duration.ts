// SPDX-License-Identifier: Apache-2.0
/*
 * The two duration grammars that users meet: that of Linkerd's annotations (control-contract §3.3: one integer with a unit, or a bare 0)
 * and that of route timeouts (Go's, of which the Gateway API's GEP-2257 is a subset), and the protobuf form of both.
 */
import { type Parsed, invalid, valid } from './parsed.ts';

/** Longest span a protobuf Duration may carry (google/protobuf/duration.proto), in milliseconds. */
const MAX_DURATION_MS = 315_576_000_000 * 1000;

const ANNOTATION_UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const GO_UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of an annotation's duration: `150ms`, `10s`, `1m`, `2h`, `1d`, `0`. No fraction, no sign, no missing unit. */
export function parseAnnotationDuration(text: string): Parsed<number> {
  const match = /^(?<count>[0-9]+)(?<unit>ms|s|m|h|d)?$/u.exec(text);
  const count = Number(match?.groups?.['count']);
  const unit = match?.groups?.['unit'];
  if (match === null) return invalid(`invalid duration '${text}'`);
  if (unit === undefined) return count === 0 ? valid(0) : invalid(`duration '${text}' has no unit`);
  const ms = count * (ANNOTATION_UNIT_MS[unit] ?? Number.NaN);
  return ms <= MAX_DURATION_MS ? valid(ms) : invalid(`duration '${text}' is too long`);
}

/** Milliseconds, possibly a fraction, of a duration as Go writes it: `1h30m`, `1.5s`, `0`. Negative ones are refused. */
export function parseGoDuration(text: string): Parsed<number> {
  if (text === '0') return valid(0);
  const part = /(?<count>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?<unit>ns|us|µs|μs|ms|s|m|h)/gy;
  let totalMs = 0;
  let end = 0;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) {
    totalMs += Number(match.groups?.['count']) * (GO_UNIT_MS[match.groups?.['unit'] ?? ''] ?? Number.NaN);
    end = part.lastIndex;
  }
  if (end === 0 || end !== text.length || !(totalMs <= MAX_DURATION_MS)) return invalid(`invalid duration '${text}'`);
  return valid(totalMs);
}

/** A google.protobuf.Duration of `ms` milliseconds (0 or more; fractions to the nanosecond). */
export function durationOf(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
