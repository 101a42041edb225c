// SPDX-License-Identifier: Apache-2.0
/* Durations on the command line: `500ms`, `30s`, `5m`, `1h`. */

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds, or undefined for what is no duration. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  return match === null ? undefined : Math.round(Number(match[1]) * (UNITS_MS[match[2] as string] as number));
}
