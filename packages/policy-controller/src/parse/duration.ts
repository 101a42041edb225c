// SPDX-License-Identifier: Apache-2.0
/*
 * The two duration grammars that users meet: that of Linkerd's annotations (control-contract §3.3: one integer with a unit, or a bare 0)
 * and that of route timeouts (Go's, of which the Gateway API's GEP-2257 is a subset), and the protobuf form of both.
 */
import { goDurationMs } from '@weft/kube-text';
import { type Parsed, invalid, valid } from './parsed.ts';

/** Longest span a protobuf Duration may carry (google/protobuf/duration.proto), in milliseconds. */
const MAX_DURATION_MS = 315_576_000_000 * 1000;

const ANNOTATION_UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

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

/** Milliseconds, possibly a fraction, of a duration as Go writes it: `1h30m`, `1.5s`, `0`. One with a sign is refused. */
export function parseGoDuration(text: string): Parsed<number> {
  const ms = /^[+-]/.test(text) ? undefined : goDurationMs(text);
  return ms === undefined ? invalid(`invalid duration '${text}'`) : valid(ms);
}

/** A google.protobuf.Duration of `ms` milliseconds (0 or more; fractions to the nanosecond). */
export function durationOf(ms: number): { seconds: bigint; nanos: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
